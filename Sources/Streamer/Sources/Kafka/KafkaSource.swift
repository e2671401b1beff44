import KafkaBridge
import PGWire

/// Topics of Kafka as a driver's source: this process is a member of the group that reads them.
///
/// An offset is committed when every sink has acknowledged everything below it. A sink that fails is
/// replaced and the partitions are read again from there, while the member stays in its group; the
/// other sinks pass over what they were given.
// A class because the driver and its jobs' answers speak of the same source.
final class KafkaSource: Source {
  typealias Instant = ContinuousClock.Instant

  /// What its jobs bring back.
  enum Answer: Sendable {
    case found([KafkaTableRequest], Result<[TableTopics], StreamerError>)
    case revoked([PartitionOffset], StreamerError?)
    case probed(KafkaSourceSession.Probe)
  }

  /// Partitions that the group wants back, which waits for the answer.
  struct Revocation {
    let places: [TopicPartition]
    var deadline: Instant
    var isCommitting = false
  }

  private(set) var plan: DriverPlan
  let configuration: KafkaSourceConfiguration
  let session: KafkaSourceSession
  let observer: PipelineObserver
  let log: Log
  /// What becomes of tables whose topics are in the way.
  private(set) var policy: TablePolicy
  var flow: KafkaFlow

  /// The member of the group; nil while there is none.
  var consumer: Consumer?
  /// The consumer has failed: the next disconnection gives it up.
  var isBroken = false
  var revocation: Revocation?
  /// Whether the partitions are paused; records that come nevertheless wait in the backlog.
  var isPaused = false
  /// Whether the consumer's descriptor is in the epoll set.
  var isWatching = false
  /// Since when nothing could be read.
  var blockedSince: Instant?
  /// An outage that is not known to be over, and when the cluster is asked about it.
  var trouble: StreamerError?
  var nextProbe: Instant?
  var nextCommit = Instant.now
  /// How many answers of the group have to come before anything is committed again.
  var rejoining = 0
  private var isLookingUp = false
  var hasProgressed = false

  /// Makes a source that has not joined its group.
  init(
    _ plan: DriverPlan, _ configuration: KafkaSourceConfiguration, observer: PipelineObserver,
    log: Log
  ) throws(StreamerError) {
    self.plan = plan
    self.configuration = configuration
    self.observer = observer
    self.log = log
    policy = TablePolicy(sinks: plan.sinks, log: log)
    session = KafkaSourceSession(plan, configuration, log: log)
    var sinks: [(name: String, sink: any Sink)] = []
    for sink in plan.sinks { sinks.append((sink.name, try sink.makeSink(log))) }
    if let sink = session.deadLetterSink() { sinks.append((plan.name, sink)) }
    let lanes = LaneSet<KafkaOffset>(count: sinks.count) { index in
      Lane(
        name: sinks[index].name, sink: sinks[index].sink, capacity: Limits.kafkaUnsettledRecords)
    }
    flow = KafkaFlow(
      name: plan.name, sinks: plan.sinks, lanes: lanes, inFlightLimit: plan.inFlight,
      observer: observer)
  }

  var lanes: LaneSet<KafkaOffset> {
    _read { yield flow.lanes }
    _modify { yield &flow.lanes }
  }

  func tables(by setups: [LaneSetup]) -> [(name: TablePolicy.Name, topics: [String?])] {
    flow.routes(by: setups)
  }

  /// Each record is a whole.
  var isBetweenTransactions: Bool { true }

  // The topics of messages are asked for like those of tables.
  func adopt(_ setups: [LaneSetup], _ policy: TablePolicy, messageTopics: [TopicID?]) {
    plan.adopt(setups)
    self.policy = policy
    flow.adopt(plan.sinks)
  }

  func makeSink(_ lane: Int) throws(StreamerError) -> any Sink {
    if lane < plan.sinks.count { return try plan.sinks[lane].makeSink(log) }
    guard let sink = session.deadLetterSink() else {
      preconditionFailure("a lane without a sink has failed")
    }
    return sink
  }

  // MARK: - Connections

  func attempt(_ sinks: SinkList) -> @Sendable () -> Result<Consumer?, StreamerError> {
    guard consumer == nil else { return { .success(nil) } }
    return { [session] in session.connect().map { $0 } }
  }

  func connect(
    _ fresh: Consumer?, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    flow.isHeld = false
    hasProgressed = true
    guard let fresh else { return }
    consumer = fresh
    isBroken = false
    isWatching = false
    isPaused = false
    let topics = configuration.topics
    try guarded { () throws(KafkaError) in try fresh.subscribe(topics) }
    log.info(
      "joining the group",
      ["group": configuration.groupID, "topics": topics.joined(separator: ",")])
  }

  func discard(_ fresh: Consumer?) -> (@Sendable () -> Void)? {
    guard let fresh else { return nil }
    return { fresh.close(timeout: .zero) }
  }

  /// A failed sink costs a rewind, a failed consumer its membership.
  func disconnect(
    after error: StreamerError?, _ poller: inout Poller
  ) -> (@Sendable () -> Void)? {
    flow.isHeld = true
    guard isBroken else {
      if revocation != nil {
        revocation?.deadline = .now
        flow.rewind()
        return nil
      }
      do throws(StreamerError) {
        try rewind()
        return nil
      } catch { return giveUp(&poller) }
    }
    return giveUp(&poller)
  }

  /// Commits what is delivered and leaves the group; what is not delivered comes again.
  private func giveUp(_ poller: inout Poller) -> (@Sendable () -> Void)? {
    revocation = nil
    trouble = nil
    nextProbe = nil
    guard let old = consumer.take() else { return nil }
    if isWatching { poller.forget(old.eventDescriptor) }
    isWatching = false
    let places = flow.takeCommittable()
    flow.rewind()
    flow.retire(flow.owned)
    return { [session] in
      if !places.isEmpty { _ = session.commit(places, on: old) }
      old.close(timeout: Limits.release)
    }
  }

  func goodbye(within limit: Duration, _ poller: inout Poller) -> @Sendable () -> Void {
    if !flow.isIdle { log.warning("what was not delivered comes again at the next start") }
    guard let consumer = consumer.take() else { return {} }
    if isWatching { poller.forget(consumer.eventDescriptor) }
    isWatching = false
    let places = flow.takeCommittable()
    return { [session, log] in
      if !places.isEmpty, let error = session.commit(places, on: consumer) {
        log.warning("offsets were not committed; their records come again", ["error": "\(error)"])
      }
      consumer.close(timeout: min(limit, Limits.kafkaCommit))
    }
  }

  // MARK: - Jobs

  func takeJobs(isEnding: Bool, now: Instant) -> [@Sendable () -> Answer] {
    var jobs = lookUp().map { [$0] } ?? []
    guard let consumer else { return jobs }
    if let places = placesToGiveBack(now: now) {
      jobs.append { [session] in .revoked(places, session.commit(places, on: consumer)) }
    }
    if let due = nextProbe, now >= due, !isEnding {
      nextProbe = nil
      jobs.append { [session] in .probed(session.probe(consumer)) }
    }
    return jobs
  }

  private func lookUp() -> (@Sendable () -> Answer)? {
    guard !isLookingUp else { return nil }
    let requests = flow.takeRequests()
    isLookingUp = !requests.isEmpty
    guard isLookingUp else { return nil }
    let sinks = SinkList(Array(flow.lanes.sinks.prefix(plan.sinks.count)))
    let tables = requests.map {
      (name: TablePolicy.Name(schema: $0.schema, table: $0.table), topics: $0.topics)
    }
    return { [policy] in
      .found(requests, Result { () throws(StreamerError) in try policy.find(tables, in: sinks) })
    }
  }

  func take(
    _ answer: Answer, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    switch answer {
    case .revoked(let places, let error): try revoked(places, error, now: now)
    case .probed(let probe): try probed(probe, now: now)
    case .found(let requests, let result):
      isLookingUp = false
      for (request, table) in zip(requests, try result.get()) {
        flow.answer(request, table.topics, left: table.left)
      }
    }
  }

  // MARK: - Where it stands

  var rest: PipelineMachine.Rest { PipelineMachine.Rest(isUndelivered: !flow.lanes.isDrained) }

  var isExhausted: Bool { false }

  /// Takes the numbers over to status and metrics.
  func observe(now: Instant) {
    observer.observe(
      events: flow.eventCount, malformed: flow.malformedCount, isOverBudget: flow.isOverBudget,
      now: now)
    for index in plan.sinks.indices {
      let counts = flow.lanes[index].counts
      observer.observe(
        sink: index, counts, inFlightBytes: flow.lanes[index].inFlightBytes, now: now)
      if flow.lanes[index].isOpen { observer.observe(flow.lanes[index].sink, index) }
    }
  }

  /// Runs calls of the consumer and gives their errors the source's name; one that fails is given up.
  func guarded(_ body: () throws(KafkaError) -> Void) throws(StreamerError) {
    do { try body() } catch {
      isBroken = true
      throw StreamerError(error, kafkaSource: plan.name)
    }
  }
}
