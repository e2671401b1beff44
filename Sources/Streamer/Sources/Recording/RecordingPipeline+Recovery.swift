import CLinux
import PGWire
import Recording

// Starting, starting again, and the end.
extension RecordingPipeline {
  /// Opens the file, and lets the worker open the sinks that need it.
  func open(now: ContinuousClock.Instant) {
    phase = .opening
    observer.entered(hasStarted ? .retrying : .starting, cause: nil)
    do throws(StreamerError) { feed = try RecordingFeed(plan.source.path) } catch {
      phase = .ended(error)
      return
    }
    let sinks = SinkList(unopened.map(\.sink))
    let all = SinkList(pipeline?.lanes.map(\.sink) ?? sinks.sinks)
    let topics = plan.sinks.map(\.messageTopic)
    submit {
      do throws(StreamerError) {
        for sink in sinks.sinks { try sink.open() }
        return .opened(Self.prepare(topics, all))
      } catch { return .opened(.failure(error)) }
    }
  }

  /// All sinks are open: reading begins.
  func opened(
    messageTopics: [TopicID?], now: ContinuousClock.Instant
  ) throws(StreamerError) {
    guard let header = feed?.header else { return }
    if pipeline == nil {
      let host = feed?.firstConnection?.host ?? ""
      let lanes = zip(plan.sinks, unopened).map { sink, fresh in
        Lane(
          name: sink.name, routing: sink.routing, sink: fresh.sink,
          encoder: EventEncoder(
            systemIdentifier: UInt64(header.systemIdentifier) ?? 0, host: host,
            database: header.database, options: sink.values, headers: sink.headers),
          position: .zero)
      }
      pipeline = Pipeline(
        lanes: lanes, database: header.database, inFlightLimit: plan.inFlight,
        spool: plan.spool, observer: observer)
    }
    unopened = []
    for (index, lane) in (pipeline?.lanes ?? []).enumerated() {
      lane.opened()
      lane.messageRoute = messageTopics[index].map { Route(topic: $0, table: "") }
      guard let descriptor = lane.sink.eventDescriptor else { continue }
      try loop.poller.watch(descriptor, tag: PipelineTag.firstLane + UInt64(index), for: .readable)
    }
    pipeline?.connected(at: feed?.firstConnection?.startLSN ?? .zero)
    isAskingForTopics = false
    start = now
    startDeadline = nil
    backoff.reset()
    phase = .streaming
    loop.noteStarted()
    observer.entered(.streaming, cause: nil)
    log.info("reading the recording", ["path": plan.source.path, "slot": header.slot])
  }

  /// Something failed: what can be mended by trying again is, else the pipeline ends, once what was
  /// read before is delivered.
  func fail(_ error: StreamerError, now: ContinuousClock.Instant) {
    if case .ended = phase { return }
    observer.failed(error)
    let isTooLate = startDeadline.map { now >= $0 } ?? false
    guard plan.reconnects, error.isRetryable, !isTooLate,
      !loop.isStopRequested
    else {
      let limit = error.isRetryable ? .seconds(1) : plan.shutdownTimeout
      phase = .finishing(error, deadline: now + limit)
      return
    }
    let pause = backoff.next(using: &random)
    log.warning("trying again", ["error": "\(error)", "in": DurationText.text(pause)])
    observer.entered(.retrying, cause: error)
    phase = .waiting(until: now + pause)
  }

  /// A sink failed: it is replaced, and the recording is read again for it.
  func fail(lane index: Int, _ error: StreamerError, now: ContinuousClock.Instant) {
    guard let lane = pipeline?.lanes[index] else { return }
    observer.failed(sink: index, error)
    let old = SinkList([lane.sink])
    if let descriptor = lane.sink.eventDescriptor { loop.poller.forget(descriptor) }
    submit {
      for sink in old.sinks { sink.close(within: .seconds(1)) }
      return .done
    }
    do throws(StreamerError) {
      let fresh = try plan.sinks[index].make(log)
      lane.restart(with: fresh)
      unopened.append((index, fresh))
      fail(error, now: now)
    } catch { fail(error, now: now) }
  }

  /// It was told to stop: nothing more is read, and what was is delivered.
  func stop(now: ContinuousClock.Instant) {
    switch phase {
    case .opening, .streaming, .waiting:
      phase = .finishing(nil, deadline: now + plan.shutdownTimeout)
    case .finishing(let error, nil):
      phase = .finishing(error, deadline: now + plan.shutdownTimeout)
    case .finishing, .ended: break
    }
  }

  /// Closes the sinks and the worker.
  func finish(_ error: StreamerError?) -> StreamerError? {
    pipeline?.report(saved: .zero, now: .now)
    let open = SinkList(pipeline?.lanes.map(\.sink) ?? unopened.map(\.sink))
    for sink in open.sinks { sink.abandon() }
    let timeout = error == nil ? plan.shutdownTimeout : .seconds(1)
    submit {
      for sink in open.sinks { sink.close(within: timeout) }
      return .done
    }
    loop.worker.stop()
    observer.ended(error)
    return error
  }
}
