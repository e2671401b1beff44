import PGWire

/// Which transactions readers of the primary see, where one that they do not see yet has to wait.
///
/// A commit is decoded and sent before it is visible to others: by an instant, or as long as a
/// synchronous standby takes. One look at the server tells of everything that was committed before it:
/// the first lets a whole backlog through, and under load each lets through what has come since the
/// one before. Pure: the caller looks, and says when.
struct VisibleTransactions {
  typealias Instant = ContinuousClock.Instant

  /// What readers of the primary saw at one moment.
  struct Sight: Hashable, Sendable {
    /// What they saw.
    let snapshot: ServerSnapshot
    /// Whatever they saw was committed before it.
    let limit: LSN

    /// Whether they saw a transaction that was committed there; of those before the limit no number is
    /// used twice.
    func sees(_ xid: UInt32, at commitLSN: LSN) -> Bool {
      commitLSN < limit && snapshot.sees(xid)
    }
  }

  /// A transaction that is not known to be visible.
  struct Waiting: Hashable {
    let xid: UInt32
    let commitLSN: LSN
  }

  /// What there is to say of a wait.
  enum Remark: Hashable {
    /// It lasts.
    case lasts(Waiting)
    /// A transaction became visible after all that time.
    case over(Waiting, after: Duration)
  }

  /// The first transaction that is not known to be visible; nothing is read behind it.
  private(set) var waiting: Waiting?
  private var newest: Sight?
  private var isLooking = false
  /// Since when it has been looked for the one that waits.
  private var since: Instant?
  private var nextLook: Instant?
  private var pause = Limits.firstVisibilityPause
  private var hasFailed = false
  private var isTold = false
  private var ended: (waited: Waiting, after: Duration)?

  /// Whether a transaction that is about to be read has to wait.
  mutating func holds(_ xid: UInt32, at commitLSN: LSN) -> Bool {
    let next = Waiting(xid: xid, commitLSN: commitLSN)
    if newest?.sees(xid, at: commitLSN) == true {
      waiting = nil
    } else if next != waiting {
      waiting = next
      since = nil
      nextLook = nil
      pause = Limits.firstVisibilityPause
      isTold = false
    }
    return waiting != nil
  }

  /// The one that waited is let through, since it is known from elsewhere that it is visible.
  mutating func passed() { waiting = nil }

  /// The connection is lost: the next one may be to another server.
  mutating func disconnected() {
    let wasLooking = isLooking
    self = VisibleTransactions()
    // It is answered all the same.
    isLooking = wasLooking
  }

  // MARK: - Looking

  /// Whether the server is to be looked at now; one look is under way at a time.
  mutating func begins(now: Instant) -> Bool {
    guard waiting != nil, !isLooking, nextLook.map({ now >= $0 }) ?? true else { return false }
    isLooking = true
    since = since ?? now
    return true
  }

  /// When ``begins(now:)`` or ``takeRemark(now:)`` has something to do by time alone.
  var deadline: Instant? {
    guard waiting != nil else { return nil }
    let remark = isTold ? nil : since.map { $0 + Limits.visibilityPatience }
    guard !isLooking, let nextLook else { return remark }
    return min(nextLook, remark ?? nextLook)
  }

  /// A look was of the connection before this one: it tells nothing.
  mutating func voided() { isLooking = false }

  /// The server has answered.
  mutating func looked(_ sight: Sight, now: Instant) {
    isLooking = false
    hasFailed = false
    newest = sight
    guard let waiting else { return }
    guard sight.sees(waiting.xid, at: waiting.commitLSN) else {
      nextLook = now + pause
      pause = min(pause * 2, Limits.longestVisibilityPause)
      return
    }
    if isTold { ended = (waiting, now - (since ?? now)) }
    isTold = false
    self.waiting = nil
  }

  /// It has not; false when that is not the first time in a row, so that the whole connection is given up:
  /// a server that shuts down waits for everything that it has sent to be acknowledged.
  mutating func failed(now: Instant) -> Bool {
    isLooking = false
    nextLook = now + Limits.longestVisibilityPause
    defer { hasFailed = true }
    return !hasFailed
  }

  // MARK: - What others see

  /// What is to be said now.
  mutating func takeRemark(now: Instant) -> Remark? {
    if let (waited, after) = ended.take() { return .over(waited, after: after) }
    guard let waiting, !isTold, waitingSince(now: now) != nil else { return nil }
    isTold = true
    return .lasts(waiting)
  }

  /// Since when a transaction has been waited for longer than is usual; nil while none has.
  func waitingSince(now: Instant) -> Instant? {
    guard waiting != nil, let since, now - since >= Limits.visibilityPatience else { return nil }
    return since
  }
}

/// Transactions that wait to be visible.
extension Pipeline {
  /// Whether what begins has to wait: for existing rows, or until readers of the primary see it.
  mutating func waits(_ xid: UInt32?, at commitLSN: LSN) -> Bool {
    isHeldBack = holds(xid, at: commitLSN) || holdsInvisible(xid, at: commitLSN)
    return isHeldBack
  }

  /// Whether one does, and nothing is read before existing rows are that a snapshot has.
  var isHeldInvisible: Bool { fence == nil && visible?.waiting != nil }

  /// Whether readers may not see a transaction yet; one that goes beyond a fence is seen by its
  /// snapshot.
  private mutating func holdsInvisible(_ xid: UInt32?, at commitLSN: LSN) -> Bool {
    guard let xid, fence == nil else {
      visible?.passed()
      return false
    }
    return visible?.holds(xid, at: commitLSN) ?? false
  }
}
