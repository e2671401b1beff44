import KafkaBridge
import PGWire

// Reading as a member of the group: records, partitions that come and go, offsets.
extension KafkaPipeline {
  /// Reads as far as the in-flight budget lets it.
  ///
  /// While nothing may be read the partitions are paused after a moment, so that polling goes on:
  /// a member that does not poll loses its partitions.
  func readOn(now: ContinuousClock.Instant) throws(StreamerError) {
    guard let consumer, revocation == nil, ending == nil else { return watch(false) }
    if let failure = flow.failure { return end(failure, now: now) }
    flow.readBacklog()
    if let failure = flow.failure { return end(failure, now: now) }
    try throttle(consumer, now: now)
    guard isPaused || !flow.isBlocked else { return watch(false) }
    watch(true)
    let limit = isPaused ? 1 : Limits.kafkaPollRecords
    let outcome = consumer.poll(limit: limit) { self.flow.read($0) }
    flow.flush()
    if let event = outcome.event { try take(event, now: now) }
    if let failure = flow.failure { return end(failure, now: now) }
    askForTables()
  }

  private func throttle(
    _ consumer: Consumer, now: ContinuousClock.Instant
  ) throws(StreamerError) {
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
  private func watch(_ wanted: Bool) {
    guard wanted != isWatching, let consumer else { return }
    isWatching = wanted
    guard wanted else { return loop.poller.forget(consumer.eventDescriptor) }
    do {
      try loop.poller.watch(consumer.eventDescriptor, tag: PipelineTag.source, for: .readable)
    } catch { fail(error, now: .now) }
  }

  /// Lets the worker look up the topics of new tables: one job for all of them, and one at a time.
  private func askForTables() {
    guard !isAskingForTables else { return }
    let requests = flow.takeRequests()
    guard !requests.isEmpty else { return }
    isAskingForTables = true
    let sinks = SinkList(Array(flow.lanes.sinks.prefix(plan.sinks.count)))
    submit { [session] in .tables(requests.map { ($0, session.prepare($0, sinks: sinks)) }) }
  }

  private func take(_ event: ConsumerEvent, now: ContinuousClock.Instant) throws(StreamerError) {
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
      log.warning("offsets were not committed", ["error": "\(error)"])
      observer.saveFailed()
      flow.commitFailed(places)
    case .error(let error): try troubled(error, now: now)
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
    loop.noteStarted()
    startDeadline = nil
    if case .streaming = phase { observer.entered(.streaming, cause: nil) }
  }

  /// Gives back what the group wants, once it is delivered or the time for that is over.
  func giveBack(now: ContinuousClock.Instant) throws(StreamerError) {
    guard var revocation, !revocation.isCommitting, ending == nil, let consumer else { return }
    guard flow.isIdle(revocation.places) || now >= revocation.deadline else { return }
    let places = flow.takeCommittable(revocation.places)
    revocation.isCommitting = true
    self.revocation = revocation
    submit { [session] in
      .committed(places, .revocation, session.commit(places, on: consumer))
    }
  }

  private func unassign(_ places: [TopicPartition]) throws(StreamerError) {
    flow.retire(places)
    guard let consumer else { return }
    try guarded { () throws(KafkaError) in try consumer.unassign(places) }
  }

  // MARK: - Offsets

  /// Commits what every sink has acknowledged, once a second.
  func commit(now: ContinuousClock.Instant) throws(StreamerError) {
    guard let consumer, now >= nextCommit, ending == nil else { return }
    nextCommit = now + Limits.kafkaCommitInterval
    rejoining = 0
    let places = flow.takeCommittable()
    guard !places.isEmpty else { return }
    try guarded { () throws(KafkaError) in try consumer.commitLater(places) }
  }

  /// A commit that was waited for has ended.
  func committed(
    _ places: [PartitionOffset], _ reason: CommitReason, _ error: StreamerError?,
    now: ContinuousClock.Instant
  ) throws(StreamerError) {
    if let error {
      log.warning(
        "offsets were not committed; their records come again", ["error": "\(error)"])
      observer.saveFailed()
    }
    switch reason {
    case .revocation:
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
    case .end: phase = .ended(ending?.error)
    }
  }

  // MARK: - Outages

  /// Reports an outage, and has it looked at whether it is one that time mends.
  private func troubled(
    _ error: KafkaError, now: ContinuousClock.Instant
  ) throws(StreamerError) {
    let error = StreamerError(error, kafkaSource: plan.name)
    log.warning("reading from Kafka is disturbed", ["error": "\(error)"])
    observer.failed(error)
    if trouble == nil { nextProbe = now }
    trouble = error
    if case .streaming = phase { observer.entered(.retrying, cause: error) }
  }

  /// Asks the cluster, while there is an outage, whether it is over.
  func probe(now: ContinuousClock.Instant) {
    guard let consumer, let due = nextProbe, now >= due, ending == nil else { return }
    nextProbe = nil
    submit { [session] in .probed(session.probe(consumer)) }
  }

  /// The cluster answers again, or the topic is gone, or the outage goes on.
  func probed(_ answer: KafkaSourceSession.Probe, now: ContinuousClock.Instant) {
    guard consumer != nil, trouble != nil else { return }
    switch answer {
    case .over:
      trouble = nil
      if case .streaming = phase { observer.entered(.streaming, cause: nil) }
    case .goesOn: nextProbe = now + .seconds(1)
    case .refused(let error): end(error, now: now)
    }
  }

  /// Runs calls of the consumer and gives their errors the source's name.
  func guarded(_ body: () throws(KafkaError) -> Void) throws(StreamerError) {
    do { try body() } catch { throw StreamerError(error, kafkaSource: plan.name) }
  }
}
