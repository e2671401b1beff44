import PGWire

/// When a Kafka transaction begins and ends: by time and by size, and between two transactions of the
/// source, as long as they are not too large.
///
/// It is pure: the sink says what has happened and asks what comes next. Reading and encoding go on in
/// every state; records are sent while it is idle or open.
struct KafkaTransaction {
  typealias Instant = ContinuousClock.Instant

  /// The bounds of one transaction.
  struct Rules: Hashable, Sendable {
    /// How long one stays open before it is committed at the source's next commit.
    var interval = Limits.transactionInterval
    /// Bytes from which on one is committed wherever the source stands.
    var bytes = Limits.transactionBytes
    /// The same as a time.
    var longest = Limits.longestTransaction
    /// How often a position without records is committed.
    var idleInterval = Limits.idlePosition
  }

  /// What is to be done.
  enum Step: Hashable {
    /// Begin one.
    case begin
    /// Send the position that its records lead to, which was `from` before them.
    case writePosition(ReadPlace, from: ReadPlace)
    /// Commit it.
    case commit
  }

  private enum State {
    /// None is open.
    case idle(since: Instant)
    /// Records are sent.
    case open(since: Instant, bytes: Int)
    /// What was sent is being delivered.
    case settling
    /// The position is being delivered.
    case placing
    /// The broker is asked to commit.
    case committing
  }

  let rules: Rules
  private var state: State
  /// What the last commit led to, or where reading began; nil before the start is known.
  private(set) var committed: ReadPlace?
  /// Whether a commit has led there: whoever starts again finds what was written last.
  private var isWritten = true
  /// What everything that was sent leads to.
  private var reached: ReadPlace?
  /// Records were sent after that was said: where they lead to is not known yet.
  private var isAhead = false
  /// What the commit that is under way leads to.
  private var target: ReadPlace?
  /// The transaction's time or size is over.
  private var isDue = false
  /// It may be cut inside one of the source's.
  private var mayCut = false
  private var isHurried = false

  init(rules: Rules, now: Instant) {
    self.rules = rules
    state = .idle(since: now)
  }

  /// Whether records may be sent.
  var takesRecords: Bool {
    switch state {
    case .idle, .open: true
    case .settling, .placing, .committing: false
    }
  }

  /// Whether the source's next commit ends it.
  var awaitsBoundary: Bool { if case .open = state { isDue } else { false } }

  /// Whether something was sent that is not committed.
  var isUncommitted: Bool { if case .idle = state { false } else { true } }

  /// Where reading began; `isWritten` says that this is what was committed last, else it is committed at
  /// once.
  mutating func started(at place: ReadPlace, isWritten: Bool) {
    committed = place
    reached = place
    self.isWritten = isWritten
  }

  /// Nothing waits for its interval any more.
  mutating func hurry() { isHurried = true }

  /// Records are about to be sent; returns whether a transaction has to be begun for them.
  mutating func send(bytes: Int, now: Instant) -> Bool {
    isAhead = true
    switch state {
    case .idle:
      state = .open(since: now, bytes: bytes)
      look(now)
      return true
    case .open(let since, let before):
      state = .open(since: since, bytes: before + bytes)
      look(now)
      return false
    case .settling, .placing, .committing:
      preconditionFailure("records are sent while their transaction ends")
    }
  }

  /// Everything up to there has been sent.
  mutating func reached(_ place: ReadPlace) {
    reached = place
    isAhead = false
    closeIfDue()
  }

  /// What is to be done now; `outstanding` records have no delivery report yet.
  mutating func next(outstanding: Int, now: Instant) -> Step? {
    look(now)
    closeIfDue()
    switch state {
    case .idle(let since):
      guard let reached, let committed,
        !isWritten || reached != committed && (isHurried || now >= since + rules.idleInterval)
      else { return nil }
      state = .settling
      return .begin
    case .settling:
      guard outstanding == 0, let reached, let committed else { return nil }
      state = .placing
      target = reached
      return .writePosition(reached, from: committed)
    case .placing:
      guard outstanding == 0 else { return nil }
      state = .committing
      return .commit
    case .open, .committing: return nil
    }
  }

  /// The broker has committed; gives the position that counts now.
  mutating func commitEnded(now: Instant) -> ReadPlace? {
    guard case .committing = state else { return nil }
    committed = target
    isWritten = true
    state = .idle(since: now)
    (isDue, mayCut) = (false, false)
    return committed
  }

  /// When something is due by time alone.
  var deadline: Instant? {
    switch state {
    case .idle(let since):
      !isWritten ? since : reached != committed ? since + rules.idleInterval : nil
    case .open(let since, _):
      isDue ? (mayCut ? nil : since + rules.longest) : since + rules.interval
    case .settling, .placing, .committing: nil
    }
  }

  private mutating func look(_ now: Instant) {
    guard case .open(let since, let bytes) = state else { return }
    mayCut = mayCut || bytes >= rules.bytes || now >= since + rules.longest
    isDue = isDue || mayCut || isHurried || now >= since + rules.interval
  }

  private mutating func closeIfDue() {
    guard case .open = state, isDue, !isAhead, let reached else { return }
    if mayCut || reached.cut == nil { state = .settling }
  }
}
