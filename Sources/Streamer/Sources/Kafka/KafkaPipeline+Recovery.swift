import KafkaBridge
import PGWire

// Starting, starting again, and the end.
extension KafkaPipeline {
  /// Lets the worker open the sinks that need it, and connect when there is no consumer.
  func establish() {
    phase = .establishing
    opening = flow.lanes.indices.filter { !flow.lanes[$0].isOpen }
    let sinks = SinkList(opening.map { flow.lanes[$0].sink })
    let connects = consumer == nil
    submit { [session] in .established(session.establish(opening: sinks, connects: connects)) }
  }

  /// Sinks are open, and the consumer is connected: records flow.
  func established(_ fresh: Consumer?, now: ContinuousClock.Instant) throws(StreamerError) {
    for index in opening {
      let lane = flow.lanes[index]
      lane.isOpen = true
      guard let descriptor = lane.sink.eventDescriptor else { continue }
      try loop.poller.watch(descriptor, tag: PipelineTag.firstLane + UInt64(index), for: .readable)
    }
    if let fresh {
      consumer = fresh
      isWatching = false
      isPaused = false
      try guarded { () throws(KafkaError) in try fresh.subscribe(plan.source.topics) }
      log.info(
        "joining the group",
        ["group": plan.source.groupID, "topics": plan.source.topics.joined(separator: ",")])
    }
    // Another sink may have failed meanwhile.
    guard flow.lanes.allSatisfy(\.isOpen) else {
      phase = .waiting(until: now + backoff.next(using: &random))
      return
    }
    flow.isHeld = false
    phase = .streaming
    backoff.reset()
    // A new member streams when the group has given it its share.
    if fresh == nil { observer.entered(.streaming, cause: nil) }
  }

  /// A sink or the cluster did not open: the next attempt follows, or the pipeline ends.
  func notEstablished(_ error: StreamerError, now: ContinuousClock.Instant) {
    observer.failed(error)
    let isTooLate = startDeadline.map { now >= $0 } ?? false
    guard error.isRetryable, !isTooLate, ending == nil else { return end(error, now: now) }
    wait(after: error, now: now)
  }

  /// Something failed beyond one sink: the consumer is given up and the next attempt follows, or
  /// the pipeline ends.
  func fail(_ error: StreamerError, now: ContinuousClock.Instant) {
    if case .ended = phase { return }
    observer.failed(error)
    let isTooLate = startDeadline.map { now >= $0 } ?? false
    guard error.isRetryable, !isTooLate else { return end(error, now: now) }
    giveUpConsumer()
    guard ending == nil else { return }
    wait(after: error, now: now)
  }

  private func wait(after error: StreamerError, now: ContinuousClock.Instant) {
    let pause = backoff.next(using: &random)
    log.warning("trying again", ["error": "\(error)", "in": "\(pause)"])
    observer.entered(hasStarted ? .retrying : .starting, cause: error)
    phase = .waiting(until: now + pause)
  }

  /// Commits what is delivered and leaves the group; what is not delivered comes again.
  private func giveUpConsumer() {
    flow.isHeld = true
    revocation = nil
    guard let old = consumer else { return }
    if isWatching { loop.poller.forget(old.eventDescriptor) }
    isWatching = false
    consumer = nil
    let places = flow.takeCommittable()
    flow.rewind()
    flow.retire(flow.owned)
    submit { [session] in
      if !places.isEmpty { _ = session.commit(places, on: old) }
      old.close(timeout: .seconds(1))
      return .done
    }
  }

  /// A sink failed: it is replaced, and the partitions are read again from what it has confirmed.
  func fail(
    lane index: Int, _ error: StreamerError, now: ContinuousClock.Instant
  ) throws(StreamerError) {
    let lane = flow.lanes[index]
    if index < plan.sinks.count {
      observer.failed(sink: index, error)
    } else {
      observer.failed(error)
    }
    if let descriptor = lane.sink.eventDescriptor { loop.poller.forget(descriptor) }
    let old = SinkList([lane.sink])
    submit {
      for sink in old.sinks { sink.close(within: .seconds(1)) }
      return .done
    }
    let fresh: any Sink
    if index < plan.sinks.count {
      fresh = try plan.sinks[index].make(log)
    } else if let sink = session.deadLetterSink() {
      fresh = sink
    } else {
      preconditionFailure("a lane without a sink has failed")
    }
    lane.restart(with: fresh)
    flow.isHeld = true
    guard ending == nil else {
      // What this sink has not confirmed comes again at the next start.
      ending?.deadline = now
      return
    }
    guard error.isRetryable else { return end(error, now: now) }
    if case .establishing = phase {} else { wait(after: error, now: now) }
    if revocation != nil {
      revocation?.deadline = now
      flow.rewind()
    } else {
      try rewind()
    }
  }

  /// Reads all partitions again from what every sink has confirmed, once the sinks are open.
  func rewind() throws(StreamerError) {
    flow.rewind()
    let owned = flow.owned
    guard let consumer, !owned.isEmpty else { return }
    let positions = flow.positions
    isPaused = true
    try guarded { () throws(KafkaError) in
      try consumer.unassign(owned)
      try consumer.assign(owned, startingAt: positions)
      try consumer.pause(owned)
    }
  }

  // MARK: - The end

  /// Begins the end: with `error`, or because it was asked for.
  func end(_ error: StreamerError?, now: ContinuousClock.Instant) {
    guard ending == nil else { return }
    if let error {
      log.error("the pipeline has failed", ["error": "\(error)"])
    } else {
      log.info("stopping", ["timeout": "\(plan.shutdownTimeout)"])
    }
    ending = Ending(error: error, deadline: now + plan.shutdownTimeout)
    flow.flush()
  }

  /// On the way to the end: wait for what is in flight, commit.
  func endOn(now: ContinuousClock.Instant) {
    if ending == nil, loop.isStopRequested { end(nil, now: now) }
    guard var ending, !ending.isCommitting else { return }
    let isTooLate = now >= ending.deadline
    guard flow.isIdle || isTooLate else { return }
    if isTooLate, !flow.isIdle {
      log.warning("what was not delivered comes again at the next start")
    }
    ending.isCommitting = true
    self.ending = ending
    let places = flow.takeCommittable()
    guard let consumer, !places.isEmpty else {
      phase = .ended(ending.error)
      return
    }
    submit { [session] in .committed(places, .end, session.commit(places, on: consumer)) }
  }

  /// Leaves the group, closes the sinks and the worker.
  func finish(_ error: StreamerError?) -> StreamerError? {
    observe(now: .now, atOnce: true)
    if isWatching, let consumer { loop.poller.forget(consumer.eventDescriptor) }
    let open = SinkList(flow.lanes.map(\.sink))
    for sink in open.sinks { sink.abandon() }
    submit { [consumer] in
      _ = consumer?.close(timeout: Limits.kafkaCommit)
      for sink in open.sinks { sink.close(within: .seconds(1)) }
      return .done
    }
    consumer = nil
    loop.worker.stop()
    observer.ended(error)
    return error
  }
}
