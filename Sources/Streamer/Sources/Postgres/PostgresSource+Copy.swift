import PGWire

/// Existing rows beside the stream.
extension PostgresSource {
  /// Begins the copies that a start has found, or goes on with them; those that are under way go on by
  /// themselves, unless it is another database.
  ///
  /// `isClaimed` says that a sink has told where it stands.
  func beginCopy(
    _ copy: CopyAtStart, _ origin: SourceOrigin, isOther: Bool, isClaimed: Bool, now: Instant
  ) {
    if isOther {
      snapshot.begin(copy.book, of: origin, now: now)
    } else {
      if isClaimed { snapshot.rewind(to: copy.book, now: now) }
      if copy.isNew { snapshot.take(copy.book, now: now) }
    }
    if isOther || isClaimed || copy.isNew { snapshot.tellPlace(&pipeline) }
    pipeline.read.isNeeded = snapshot.isOn
    if copy.isSlotNew, snapshot.isOn { pipeline.read.startAfresh() }
    hasCopied = configuration.snapshot.mode == .only
    if !copy.book.requests.isEmpty { observer.copied(snapshot.status, snapshot.list) }
    tellCopy()
  }

  /// Copies are new, or somebody has decided about some.
  func takeCopies(_ changed: CopyBook, now: Instant) {
    guard !changed.requests.isEmpty else { return }
    snapshot.take(changed, now: now)
    pipeline.read.isNeeded = snapshot.isOn
    for request in changed.requests {
      log.info(
        "a copy of existing rows", ["copy": "\(request.number)", "state": request.state.rawValue])
    }
    observer.copied(snapshot.status, snapshot.list)
    tellCopy()
  }

  func take(_ order: CopyOrder) { orders.add(order) }

  /// What somebody wants next; without a connection nobody can tell what it leads to.
  func order(isEnding: Bool) -> (@Sendable () -> Answer)? {
    guard stream != nil, !isEnding, let origin = identity?.origin else {
      orders.refuse(
        StreamerError(what: "source \(plan.name)", why: "it is not connected now", retryable: true))
      return nil
    }
    guard let order = orders.next() else { return nil }
    return { [server] in
      guard order.take() else { return .ordered(order, .success(CopyBook())) }
      return .ordered(order, server.carryOut(order.command, of: origin))
    }
  }

  /// Takes down what the signal table asks for, and which rows have to be read once more; the job that
  /// does what is next.
  func signal(now: Instant) -> (@Sendable () -> Answer)? {
    for row in pipeline.signals {
      let fields: Log.Pairs = ["id": row.id.singleLine, "type": row.type.singleLine]
      switch row.meaning {
      case .commands(let commands): signals.waiting += commands
      case .unknown:
        guard signals.unknown.insert(row.type).inserted, signals.unknown.count < Limits.keptCopies
        else { continue }
        log.info("a signal of this type is for somebody else; no more is said of it", fields)
      case .fault(let why):
        log.warning("a signal cannot be read", ["id": row.id.singleLine, "why": why])
      }
    }
    pipeline.signals.removeAll()
    if !pipeline.moved.isEmpty {
      signals.waiting += snapshot.rereads(for: pipeline.moved)
      pipeline.moved.removeAll()
    }
    guard let origin = identity?.origin, let command = signals.begin(now: now) else { return nil }
    return { [server] in .signalled(server.carryOut(command, of: origin)) }
  }

  func signalled(_ outcome: CopyOrder.Outcome, now: Instant) {
    switch outcome {
    case .success(let changed): takeCopies(changed, now: now)
    case .failure(let error):
      log.limited("signal")?.warning("a signal was not followed", ["error": "\(error)"])
    }
    signals.ended(outcome, now: now)
  }

  /// Goes on with the rows of a round, or towards the place where they belong.
  func copy(
    _ stream: borrowing ReplicationStream, _ permit: ReadPermit, now: Instant
  ) throws(StreamerError) {
    guard snapshot.isOn else { return }
    do throws(StreamFault) {
      try snapshot.turn(&pipeline, stream.received, mayRead: permit == .everything, now: now)
    } catch {
      throw StreamerError(error, source: configuration, name: plan.name, streams: isStreamed)
    }
    tellCopy()
  }

  /// Says what has become of the copy.
  func tellCopy() {
    for remark in snapshot.takeRemarks() {
      switch remark {
      case .began(let request, let tables):
        log.info(
          "copying existing rows", ["tables": "\(tables)", "copy": "\(request.number)"])
      case .copied(let table):
        log.info("copied a table", ["table": table.name, "rows": "\(table.rows)"])
      case .gone(let table):
        log.warning("a table is published no more and is not copied", ["table": table.name])
      case .round(let rows, let pause):
        log.debug(
          "a round of existing rows", ["rows": "\(rows)", "pause": DurationText.text(pause)])
      case .stale(let times, let isLate): tellStale(times, isLate)
      case .failed(let error):
        log.limited("copy")?.warning(
          "existing rows could not be read",
          ["copy": snapshot.current.map { "\($0.number)" } ?? "", "error": "\(error)"])
      case .refused(let request):
        observer.copied(snapshot.status, snapshot.list)
        log.warning(
          "existing rows are not copied",
          ["copy": "\(request.number)", "error": request.error ?? ""])
      case .finished(let request, let tables, let rows):
        observer.copied(snapshot.status, snapshot.list)
        log.info(
          "existing rows are copied",
          ["tables": "\(tables)", "rows": "\(rows)", "copy": "\(request.number)"])
        if configuration.snapshot.mode == .only {
          log.warning(
            "the slot stays, and holds log until it is read again or dropped",
            ["slot": configuration.replicationSlot])
        }
      }
    }
    if !snapshot.isOn, pipeline.read.isNeeded { pipeline.read = ReadTransactions() }
  }

  /// Some snapshots are given up in any copy; where it is one after the other, a copy stands still.
  private func tellStale(_ times: Int, _ isLate: Bool) {
    log.debug("a snapshot does not fit the stream; another is taken")
    guard times >= Limits.snapshotsGivenUp else { return }
    let why =
      isLate
      ? "the stream is behind and does not come to them in \(DurationText.text(Limits.fencePatience)): "
        + "the sinks are slow"
      : "the stream is ahead of them: commits are sent before other sessions see them, long before "
        + "where a synchronous standby is waited for"
    log.limited("stale copy")?.warning(
      "existing rows wait: one snapshot after the other is given up",
      ["copy": snapshot.current.map { "\($0.number)" } ?? "", "times": "\(times)", "why": why])
  }
}

/// What signals ask for, and rows that were moved, one after the other, until each is done or refused.
struct SignalQueue {
  typealias Instant = ContinuousClock.Instant

  /// What has to be done, the first of it perhaps now.
  var waiting: [CopyCommand] = []
  /// Types of signals that were told of.
  var unknown: Set<String> = []
  private var isUnderWay = false
  /// When it is tried again after a failure.
  private(set) var nextTry: Instant?

  /// Whether nothing is left to do.
  var isEmpty: Bool { waiting.isEmpty }

  /// What is to be done now; nil for nothing.
  mutating func begin(now: Instant) -> CopyCommand? {
    guard !isUnderWay, let first = waiting.first, nextTry.map({ now >= $0 }) ?? true else {
      return nil
    }
    isUnderWay = true
    nextTry = nil
    return first
  }

  /// It is done, refused, or has failed for now.
  mutating func ended(_ outcome: CopyOrder.Outcome, now: Instant) {
    isUnderWay = false
    if case .failure(let error) = outcome, error.isRetryable {
      nextTry = now + Limits.signalRetry
    } else {
      waiting.removeFirst()
    }
  }
}
