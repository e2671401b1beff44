import PGWire

/// Reading, consuming, answering the server.
extension PostgresSource {
  func turn(
    _ permit: ReadPermit, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    guard var stream = stream.take() else { return }
    for index in 0..<poller.count where poller[index].tag == DriverTag.source {
      isReadable = isReadable || poller[index].isReadable
    }
    try consume(&stream, permit)
    if wantsBytes(permit) {
      if try read(&stream, now: now) { try consume(&stream, permit) }
    } else {
      // What is not read cannot be heard.
      heard(now: now)
    }
    try copy(stream, permit, now: now)
    try answer(&stream, now: now)
    try yieldToShutdown(now: now)
    try watch(stream, permit, &poller)
    // Put back only when all went well: an error drops the connection.
    self.stream = consume stream
  }

  func deadline(_ permit: ReadPermit, now: Instant) -> Instant? {
    var next = identity == nil ? nil : feedback.saveDeadline(confirmed)
    if !signals.isEmpty { next = signals.nextTry }
    // Without a stream there is nobody to send a status to: that deadline would never move on.
    guard stream != nil else { return next }
    func add(_ due: Instant) { next = min(next ?? due, due) }
    add(feedback.statusDeadline)
    if let due = snapshot.deadline { add(due) }
    if let due = pipeline.visible?.deadline, mayLook(isEnding: permit != .everything) { add(due) }
    if permit != .nothing, pipeline.pause == .replaying { return now }
    if wantsBytes(permit) {
      if stream?.hasPending == true { return now }
      if let readBy = stream?.pace.readBy { add(readBy) }
    }
    return next
  }

  /// Whether the only thing that is missing to go on is what the server sends.
  ///
  /// Reading, waiting for the socket and the time to sleep all ask this one question.
  private func wantsBytes(_ permit: ReadPermit) -> Bool {
    switch permit {
    case .everything: pipeline.pause == .needsBytes || pipeline.looksBehindFence
    case .untilCommit: pipeline.pause == .needsBytes && !pipeline.isBetweenTransactions
    case .nothing: false
    }
  }

  private func consume(
    _ stream: inout ReplicationStream, _ permit: ReadPermit
  ) throws(StreamerError) {
    guard permit != .nothing else { return }
    do throws(StreamFault) {
      let consumed = try pipeline.consume(stream.received, untilCommit: permit == .untilCommit)
      stream.consume(consumed.count)
    } catch {
      if case .server(let server) = error, server.isVanishedPublication {
        foundNoPublication("\(server)", .stop)
      }
      throw StreamerError(error, source: configuration, name: plan.name, streams: isStreamed)
    }
  }

  /// Reads once, when the socket has something in the calm, a burst has gathered long enough, or more
  /// is known to be there.
  private func read(
    _ stream: inout ReplicationStream, now: Instant
  ) throws(StreamerError) -> Bool {
    let isDue = stream.pace.readBy.map { now >= $0 } ?? isReadable
    guard isDue || stream.hasPending else { return false }
    isReadable = false
    let abridging = ReplicationStream.Abridging(
      beyond: configuration.maxRowSize.bytes, isInChunk: pipeline.isInChunk)
    let count = try mapped { () throws(PGError) in
      try stream.receive(now: now, abridging: abridging)
    }
    if count > 0 { heard(now: now) }
    return count > 0
  }

  private func heard(now: Instant) {
    feedback.heard(now: now)
    observer.heard(at: now)
  }

  /// Sends what the server waits for: a status update that is due, or bytes left from the last.
  private func answer(
    _ stream: inout ReplicationStream, now: Instant
  ) throws(StreamerError) {
    if pipeline.replyRequested {
      pipeline.replyRequested = false
      feedback.statusRequested()
    }
    for end in pipeline.takeStreamEnds() { report(end) }
    tellNotices()
    for index in pipeline.lanes.indices { tellBuried(index) }
    tellOutboxes()
    tellInvisible(now: now)
    guard !feedback.isSilent(now: now) else {
      throw StreamerError(
        what: "source \(plan.name)",
        why: "the server has sent nothing for a while and answers no request", retryable: true)
    }
    try mapped { () throws(PGError) in
      if stream.wantsWrite { return try stream.flush() }
      if let status = feedback.status(sent: pipeline.sent, now: now) { try stream.send(status) }
    }
  }

  /// Says what the server has to say, as far as a log can bear it.
  private func tellNotices() {
    let (notices, leftOut) = pipeline.takeNotices()
    for notice in notices {
      if notice.isVanishedPublication {
        foundNoPublication("\(notice)", .accept)
        log.limited("gap")?.warning("going on over a gap", ["cause": "\(notice)"])
      } else {
        log.limited("notice")?.warning("the server sent a notice", ["notice": "\(notice)"])
      }
    }
    noticesUntold += leftOut
    guard noticesUntold > 0, let log = log.limited("notices") else { return }
    log.warning("the server sent more notices than are told", ["notices": noticesUntold])
    noticesUntold = 0
  }

  /// Says what went to a dead letter topic, as far as a log can bear it.
  private func tellBuried(_ index: Int) {
    for change in pipeline.lanes[index].takeBuried() {
      log.limited("dead-letter")?.warning(
        "a change went to the dead letter topic",
        [
          "sink": pipeline.lanes[index].name, "table": change.table, "lsn": change.lsn,
          "topic": change.topic, "cause": change.cause.rawValue, "bytes": change.size,
        ])
    }
  }

  /// Says what of outboxes was passed over.
  private func tellOutboxes() {
    for notice in pipeline.takeOutboxNotices() {
      let fields: Log.Pairs = [
        "sink": notice.sink, "table": notice.table, "lsn": notice.lsn, "error": notice.why,
      ]
      let log = log.limited("outbox")
      if notice.isError {
        log?.error("an event of an outbox is passed over", fields)
      } else {
        log?.warning("an event of an outbox is passed over", fields)
      }
    }
  }

  /// Says what became of a transaction that came in chunks; those that needed a file are rare.
  private func report(_ end: StreamReplay.Summary) {
    let fields: Log.Pairs = [
      "xid": "\(end.xid)", "events": "\(end.events)", "bytes": "\(end.bytes)",
      "spooledBytes": "\(end.spooledBytes)",
    ]
    if end.spooledBytes > 0 {
      log.info("a streamed transaction has been read", fields)
    } else {
      log.debug("a streamed transaction has been read", fields)
    }
  }

  /// A server that shuts down waits until we acknowledge all that it sent.
  ///
  /// When we cannot (WAL is retained, or something is undelivered) the connection is given up
  /// instead.
  private func yieldToShutdown(now: Instant) throws(StreamerError) {
    guard pipeline.pings >= Limits.shutdownPings else {
      pingedSince = nil
      return
    }
    let since = pingedSince ?? now
    pingedSince = since
    guard now >= since + Limits.shutdownPatience else { return }
    throw StreamerError(
      what: "source \(plan.name)", why: "the server waits for this connection to end",
      retryable: true)
  }

  /// Tells epoll what the socket is waited for: nothing to read while nothing may be, or in a burst,
  /// when only the time wakes.
  private func watch(
    _ stream: borrowing ReplicationStream, _ permit: ReadPermit, _ poller: inout Poller
  ) throws(StreamerError) {
    var wanted: Poller.Interest = []
    if wantsBytes(permit), stream.pace.mode == .calm { wanted.insert(.readable) }
    if stream.wantsWrite { wanted.insert(.writable) }
    guard wanted != interest else { return }
    interest = wanted
    try poller.watch(stream.descriptor, tag: DriverTag.source, for: wanted)
  }

  private func mapped<T>(
    _ body: () throws(PGError) -> T
  ) throws(StreamerError) -> T {
    do throws(PGError) { return try body() } catch {
      throw StreamerError(error, source: configuration, name: plan.name)
    }
  }
}
