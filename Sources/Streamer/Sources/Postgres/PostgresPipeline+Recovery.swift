import PGWire

extension PostgresPipeline {
  /// Lets the worker open the sinks that need it and start a stream.
  func establish() {
    phase = .establishing
    isEstablishing = true
    observer.entered(hasStarted ? .retrying : .starting, cause: lastFailure)
    let opening = SinkList(sinks.isEmpty ? unopened : sinks)
    opened = opening.sinks
    let all = SinkList(pipeline?.lanes.sinks ?? sinks)
    let resume = pipeline == nil ? nil : confirmed
    let known = identity
    // What ends with its first failure must not fail for want of room.
    let streams = plan.reconnects && !avoidsStreaming
    let binary = plan.source.output.binary && !avoidsBinary
    submit { [session] in
      .established(
        session.establish(
          opening: opening, all: all, resume: resume, known: known, streams: streams,
          binary: binary))
    }
  }

  /// A stream has started: reading begins.
  func established(
    _ established: EstablishedSession, now: ContinuousClock.Instant
  ) throws(StreamerError) {
    guard let stream = established.takeStream() else { return }
    // A sink that failed meanwhile was replaced by one that this attempt did not open.
    let isCovered = unopened.allSatisfy { sink in opened.contains { $0 === sink } }
    guard isCovered else { return establish() }
    if pipeline == nil {
      let lanes = LaneSet(count: plan.sinks.count) { index in
        Lane(
          name: plan.sinks[index].name, sink: sinks[index],
          position: established.positions[index])
      }
      pipeline = Pipeline(
        lanes: lanes, setups: plan.sinks.map(\.setup),
        settings: Pipeline.Settings(
          source: plan.name, inFlightLimit: plan.inFlight,
          maxRowSize: plan.source.maxRowSize.bytes, spool: plan.spool),
        observer: observer)
      feedback = Feedback(
        saved: established.positions, saveInterval: plan.source.flushInterval,
        statusInterval: established.statusInterval, walRetain: UInt64(plan.source.walRetain.bytes),
        now: now)
      sinks = []
    }
    for index in plan.sinks.indices {
      pipeline?.lanes[index].opened()
      guard let descriptor = pipeline?.lanes[index].sink.eventDescriptor else { continue }
      try loop.poller.watch(descriptor, tag: PipelineTag.firstLane + UInt64(index), for: .readable)
    }
    identity = established.identity
    let origin = StreamOrigin(
      systemIdentifier: UInt64(established.identity.systemIdentifier) ?? 0, host: established.host,
      database: established.identity.database)
    pipeline?.connected(at: established.start, origin, messageTopics: established.messageTopics)
    avoidsStreaming = false
    isStreaming = established.streams
    feedback?.connected(now: now)
    interest = []
    isReadable = stream.received.byteCount > 0
    unopened = []
    opened = []
    self.stream = consume stream
    phase = .streaming
    loop.noteStarted()
    lastFailure = nil
    startDeadline = nil
    observer.entered(.streaming, cause: nil)
    log.info(
      "streaming", ["slot": established.identity.slot, "lsn": "\(pipeline?.startLSN ?? .zero)"])
  }

  /// Something failed: the connection is dropped; the next attempt follows, or the pipeline ends.
  func fail(_ error: StreamerError, now: ContinuousClock.Instant) {
    stream = nil
    pipeline?.disconnected()
    if case .ended = phase { return }
    lastFailure = error
    if error.cause == .streamingFailed { avoidsStreaming = true }
    if error.cause == .binaryUnreadable { avoidsBinary = true }
    observer.failed(error)
    let isTooLate = startDeadline.map { now >= $0 } ?? false
    let isStandby = error.cause == .slotActive
    if error.cause == .historyChanged { forgetHistory() }
    if case .ended = phase { return }
    guard plan.reconnects, error.isRetryable, !isTooLate || isStandby else {
      log.error("the pipeline has failed", ["error": "\(error)"])
      phase = .ended(error)
      return
    }
    if stopDeadline != nil {
      // Without a connection nothing more can be read or confirmed: what is delivered is saved.
      return
    }
    // The attempt that is under way decides what comes next: a second one would find the slot active.
    guard !isEstablishing else { return }
    let pause = isStandby ? Limits.standbyPoll : backoff.next(using: &random)
    log.warning("trying again", ["error": "\(error)", "in": DurationText.text(pause)])
    observer.entered(isStandby ? .standby : .retrying, cause: error)
    phase = .waiting(until: now + pause)
  }

  /// The server is another, or on another timeline: everything begins anew from what is stored.
  private func forgetHistory() {
    guard let sinks = pipeline?.lanes.sinks else { return }
    retire(sinks)
    pipeline = nil
    feedback = nil
    identity = nil
    unopened = []
    do throws(StreamerError) {
      for sink in plan.sinks { self.sinks.append(try sink.make(log)) }
    } catch { phase = .ended(error) }
  }

  /// Closes sinks that are no longer used, off the pipeline's thread.
  private func retire(_ sinks: [any Sink]) {
    for sink in sinks {
      if let descriptor = sink.eventDescriptor { loop.poller.forget(descriptor) }
    }
    let old = SinkList(sinks)
    submit {
      for sink in old.sinks { sink.close(within: .seconds(1)) }
      return .done
    }
  }

  /// A sink failed: the others keep what they have, this one begins anew at its confirmed position.
  func fail(lane index: Int, _ error: StreamerError, now: ContinuousClock.Instant) {
    guard let sink = pipeline?.lanes[index].sink else { return }
    observer.failed(sink: index, error)
    guard error.isRetryable else { return fail(error, now: now) }
    retire([sink])
    do throws(StreamerError) {
      let fresh = try plan.sinks[index].make(log)
      pipeline?.lanes[index].restart(with: fresh)
      unopened.append(fresh)
      fail(error, now: now)
    } catch { fail(error, now: now) }
  }
}
