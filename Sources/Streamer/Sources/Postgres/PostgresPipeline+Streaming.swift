import CLinux
import Glibc
import PGWire

extension PostgresPipeline {
  /// Reads, consumes and answers the server, as far as the in-flight budget lets it.
  ///
  /// The stream is put back only when all went well: an error drops the connection.
  func streamOn(now: ContinuousClock.Instant) throws(StreamerError) {
    guard var stream = stream.take() else { return }
    do {
      try read(&stream, now: now)
      let untilCommit = loop.isStopRequested
      do {
        let count = try pipeline?.consume(stream.received, untilCommit: untilCommit) ?? 0
        stream.consume(count)
      } catch {
        throw StreamerError(error, source: plan.source, name: plan.name, streams: isStreaming)
      }
      try answerServer(&stream, now: now)
      try yieldToShutdown(now: now)
    } catch let error as PGError {
      throw StreamerError(error, source: plan.source, name: plan.name)
    } catch let error as StreamerError {
      throw error
    } catch { preconditionFailure("an error of an unknown type") }
    askForRelation()
    try watchServer(stream)
    self.stream = consume stream
  }

  /// Reads once, when the socket has something in the calm, a burst has gathered long enough, or more
  /// is known to be there; never while the pipeline is blocked or reads what was kept, so that TCP
  /// pushes back.
  private func read(
    _ stream: inout ReplicationStream, now: ContinuousClock.Instant
  ) throws(PGError) {
    guard pipeline?.isBlocked == false, pipeline?.isReplaying == false,
      stopDeadline == nil || pipeline?.isBetweenTransactions == false
    else { return }
    let isDue = stream.pace.readBy.map { now >= $0 } ?? isReadable
    guard isDue || stream.hasPending else { return }
    isReadable = false
    _ = try stream.receive(now: .now)
  }

  /// Sends what the server waits for: a status update that is due, or bytes left from the last.
  private func answerServer(
    _ stream: inout ReplicationStream, now: ContinuousClock.Instant
  ) throws(PGError) {
    if pipeline?.replyRequested == true {
      pipeline?.replyRequested = false
      feedback?.statusRequested()
    }
    for end in pipeline?.takeStreamEnds() ?? [] { report(end) }
    for notice in pipeline?.takeNotices() ?? [] {
      log.warning("the server sent a notice", ["notice": "\(notice)"])
    }
    let sent = pipeline?.sent ?? .zero
    if stream.wantsWrite { return try stream.flush() }
    if let status = feedback?.status(sent: sent, now: now) { try stream.send(status) }
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
  private func yieldToShutdown(now: ContinuousClock.Instant) throws(StreamerError) {
    guard let pings = pipeline?.pings, pings >= Limits.shutdownPings else {
      pingedSince = nil
      return
    }
    let since = pingedSince ?? now
    pingedSince = since
    guard now >= since + .seconds(1) else { return }
    throw StreamerError(
      what: "source \(plan.name)", why: "the server waits for this connection to end",
      retryable: true)
  }

  /// Lets the worker look up what a new table needs, once.
  private func askForRelation() {
    guard let request = pipeline?.request, !isAskingForRelation else { return }
    isAskingForRelation = true
    let sinks = SinkList(pipeline?.lanes.map(\.sink) ?? [])
    submit { [session] in .relation(session.lookUp(request, sinks: sinks)) }
  }

  /// Tells epoll what the socket is waited for: nothing to read while the pipeline is blocked or reads
  /// what was kept, or in a burst, when only the time wakes.
  private func watchServer(_ stream: borrowing ReplicationStream) throws(StreamerError) {
    var wanted: Poller.Interest = []
    if pipeline?.isBlocked == false, pipeline?.isReplaying == false, stream.pace.mode == .calm {
      wanted.insert(.readable)
    }
    if stream.wantsWrite { wanted.insert(.writable) }
    guard wanted != interest else { return }
    interest = wanted
    try loop.poller.watch(stream.descriptor, tag: PipelineTag.source, for: wanted)
  }

  // MARK: - The end

  /// On the way to the end: wait for the current commit and for what is in flight, save, confirm.
  func stopOn(now: ContinuousClock.Instant) {
    if stopDeadline == nil {
      stopDeadline = now + plan.shutdownTimeout
      log.info("stopping", ["timeout": DurationText.text(plan.shutdownTimeout)])
    }
    if case .ended = phase { return }
    // Without a connection an open transaction is not going to end: only deliveries are waited for.
    let isSettled =
      stream == nil ? (pipeline?.inFlightBytes ?? 0) == 0 : pipeline?.isAtRest ?? true
    let isSaved = feedback?.isSaved(confirmed) ?? true
    if isSettled, isSaved { return end(nil) }
    guard let stopDeadline, now >= stopDeadline else { return }
    log.warning("the time to stop is over; what was not delivered comes again at the next start")
    end(nil)
  }

  /// Ends the stream: the last status update, CopyDone, Terminate.
  private func end(_ error: StreamerError?) {
    if var stream = stream.take() {
      feedback?.statusRequested()
      if let status = feedback?.status(sent: pipeline?.sent ?? .zero, now: .now) {
        try? stream.send(status)
      }
      stream.close()
    }
    phase = .ended(error)
  }

  /// Closes the sinks and the worker.
  func finish(_ error: StreamerError?) -> StreamerError? {
    stream = nil
    pipeline?.report(saved: feedback?.saved.min() ?? .zero, now: .now)
    let open = SinkList(pipeline?.lanes.map(\.sink) ?? sinks)
    for sink in open.sinks { sink.abandon() }
    let timeout = error == nil ? plan.shutdownTimeout : .seconds(1)
    submit { [session] in
      for sink in open.sinks { sink.close(within: timeout) }
      session.close()
      return .done
    }
    loop.worker.stop()
    observer.ended(error)
    return error
  }
}

/// Sinks on their way to the I/O worker.
// SAFETY: the worker calls only what a sink says runs there: `open`, `prepare`, `close`.
struct SinkList: @unchecked Sendable {
  let sinks: [any Sink]

  init(_ sinks: [any Sink]) { self.sinks = sinks }
}
