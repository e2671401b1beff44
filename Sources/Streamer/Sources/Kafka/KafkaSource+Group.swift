import KafkaBridge
import PGWire

/// Reading as a member of the group: records, partitions that come and go, offsets.
extension KafkaSource {
  func turn(
    _ permit: ReadPermit, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    // On the way to the end the member is silent; its session lasts longer than the end may take.
    guard let consumer, permit != .untilCommit, revocation == nil else {
      return try watch(false, &poller)
    }
    if permit == .everything {
      if let failure = flow.failure { throw failure }
      flow.readBacklog()
      if let failure = flow.failure { throw failure }
    }
    try throttle(consumer, now: now)
    guard isPaused || !flow.isBlocked else { return try watch(false, &poller) }
    try watch(true, &poller)
    let limit = isPaused ? 1 : Limits.kafkaPollRecords
    let outcome = consumer.poll(limit: limit) { flow.read($0) }
    flow.flush()
    if let event = outcome.event { try take(event, now: now) }
    if permit == .everything, let failure = flow.failure { throw failure }
    try commit(consumer, now: now)
  }

  func deadline(_ permit: ReadPermit, now: Instant) -> Instant? {
    var next = now + Limits.kafkaCommitInterval
    if let blockedSince, !isPaused { next = min(next, blockedSince + Limits.kafkaPauseAfter) }
    if let revocation, !revocation.isCommitting { next = min(next, revocation.deadline) }
    if let nextProbe { next = min(next, nextProbe) }
    return next
  }

  /// While nothing may be read the partitions are paused after a moment, so that polling goes on:
  /// a member that does not poll loses its partitions.
  private func throttle(_ consumer: Consumer, now: Instant) throws(StreamerError) {
    if flow.isBlocked {
      let since = blockedSince ?? now
      blockedSince = since
      guard !isPaused, flow.isHeld || now >= since + Limits.kafkaPauseAfter else { return }
      isPaused = true
      try guarded { () throws(KafkaError) in try consumer.pause(flow.owned) }
    } else {
      blockedSince = nil
      guard isPaused else { return }
      isPaused = false
      try guarded { () throws(KafkaError) in try consumer.resume(flow.owned) }
    }
  }

  /// Waits for the consumer in epoll, or does not: its descriptor stays readable while it has
  /// records that may not be read.
  private func watch(_ wanted: Bool, _ poller: inout Poller) throws(StreamerError) {
    guard wanted != isWatching, let consumer else { return }
    isWatching = wanted
    guard wanted else { return poller.forget(consumer.eventDescriptor) }
    try poller.watch(consumer.eventDescriptor, tag: DriverTag.source, for: .readable)
  }

  private func take(_ event: ConsumerEvent, now: Instant) throws(StreamerError) {
    switch event {
    case .assigned(let places): try assigned(places)
    case .revoked(let places, let isLost):
      log.info("partitions are taken away", ["count": places.count, "lost": isLost])
      flow.disown(places)
      if isLost {
        try unassign(places)
      } else {
        revocation = Revocation(places: places, deadline: now + Limits.kafkaRevocation)
      }
    case .committed(let places, let error):
      guard let error else { return }
      let cause = StreamerError(error, kafkaSource: plan.name)
      log.warning("offsets were not committed", ["error": "\(cause)"])
      observer.saveFailed()
      flow.commitFailed(places)
    case .error(let error): troubled(error, now: now)
    case .endOfPartition: break
    }
  }

  // MARK: - Partitions

  private func assigned(_ places: [TopicPartition]) throws(StreamerError) {
    guard let consumer else { return }
    log.info("partitions are given", ["count": places.count])
    try flow.own(places)
    if rejoining > 0 {
      rejoining -= 1
      if rejoining == 0 { nextCommit = .now }
    }
    try guarded { () throws(KafkaError) in
      try consumer.assign(places)
      if isPaused { try consumer.pause(places) }
    }
  }

  /// What is committed before partitions are given back: they are delivered, or the time for that
  /// is over.
  func placesToGiveBack(now: Instant) -> [PartitionOffset]? {
    guard let revocation, !revocation.isCommitting else { return nil }
    guard flow.isIdle(revocation.places) || now >= revocation.deadline else { return nil }
    self.revocation?.isCommitting = true
    return flow.takeCommittable(revocation.places)
  }

  /// The commit before partitions are given back has ended.
  func revoked(
    _ places: [PartitionOffset], _ error: StreamerError?, now: Instant
  ) throws(StreamerError) {
    if let error {
      log.warning(
        "offsets were not committed; their records come again", ["error": "\(error)"])
      observer.saveFailed()
    }
    guard let revocation else { return }
    self.revocation = nil
    try unassign(revocation.places)
    // What is given back is followed by an answer to this round, and by another round in which
    // the group gives it to somebody else. A commit behind the request to join comes with the
    // number of a generation that is over, for which librdkafka gives up all other partitions.
    rejoining = 2
    nextCommit = now + Limits.kafkaRejoin
    // A sink failed meanwhile: what is left is read again before anything else is.
    if flow.isHeld { try rewind() }
  }

  private func unassign(_ places: [TopicPartition]) throws(StreamerError) {
    flow.retire(places)
    guard let consumer else { return }
    try guarded { () throws(KafkaError) in try consumer.unassign(places) }
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

  // MARK: - Offsets

  /// Commits what every sink has acknowledged, once a second.
  private func commit(_ consumer: Consumer, now: Instant) throws(StreamerError) {
    guard now >= nextCommit else { return }
    nextCommit = now + Limits.kafkaCommitInterval
    rejoining = 0
    let places = flow.takeCommittable()
    guard !places.isEmpty else { return }
    hasProgressed = true
    try guarded { () throws(KafkaError) in try consumer.commitLater(places) }
  }

  // MARK: - Outages

  /// Reports an outage, and has it looked at whether it is one that time mends.
  private func troubled(_ error: KafkaError, now: Instant) {
    let error = StreamerError(error, kafkaSource: plan.name)
    log.warning("reading from Kafka is disturbed", ["error": "\(error)"])
    if trouble == nil {
      nextProbe = now
      observer.failed(error)
    }
    trouble = error
    observer.entered(.retrying, cause: error)
  }

  /// The cluster answers again, or the topic is gone, or the outage goes on.
  func probed(_ answer: KafkaSourceSession.Probe, now: Instant) throws(StreamerError) {
    guard consumer != nil, trouble != nil else { return }
    switch answer {
    case .over:
      trouble = nil
      observer.entered(.streaming, cause: nil)
    case .goesOn: nextProbe = now + Limits.kafkaProbe
    case .refused(let error): throw error
    }
  }
}
