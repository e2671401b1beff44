import KafkaBridge
import PGWire

/// One Kafka source with all sinks that list it, run by one thread.
///
/// The thread sleeps in one epoll_wait on {consumer, sinks' descriptors, control, I/O worker}; what
/// may block runs on the I/O worker. An offset is committed when every sink has acknowledged
/// everything below it. A sink that fails is replaced and the partitions are read again from there;
/// the other sinks pass over what they were given.
// SAFETY: everything but `loop` belongs to the pipeline's own thread.
final class KafkaPipeline: LoopedPipeline, @unchecked Sendable {
  /// What the pipeline is doing.
  enum Phase {
    /// The worker opens sinks and connects.
    case establishing
    /// Records flow.
    case streaming
    /// The next attempt is due then.
    case waiting(until: ContinuousClock.Instant)
    /// It has ended; with an error unless it was stopped.
    case ended(StreamerError?)
  }

  /// Why offsets are committed by a call that waits.
  enum CommitReason: Sendable {
    /// The group takes partitions away.
    case revocation
    /// The pipeline ends.
    case end
  }

  /// What the I/O worker answers.
  enum Answer: Sendable {
    case established(Result<Consumer?, StreamerError>)
    case tables([(KafkaTableRequest, Result<[TopicID?], StreamerError>)])
    case committed([PartitionOffset], CommitReason, StreamerError?)
    case durable(lane: Int, generation: Int, StreamerError?)
    case probed(KafkaSourceSession.Probe)
    case done
  }

  /// Partitions that the group wants back, which waits for the answer.
  struct Revocation {
    let places: [TopicPartition]
    var deadline: ContinuousClock.Instant
    var isCommitting = false
  }

  /// The way to the end: deliver, commit, close.
  struct Ending {
    let error: StreamerError?
    var deadline: ContinuousClock.Instant
    var isCommitting = false
  }

  let plan: KafkaSourcePlan
  let log: Log
  let session: KafkaSourceSession
  let loop: PipelineLoop<Answer>
  let observer: PipelineObserver
  var flow: KafkaFlow

  var phase = Phase.establishing
  /// The member of the group; nil while there is none.
  var consumer: Consumer?
  var revocation: Revocation?
  var ending: Ending?
  var backoff: Backoff
  var random = SystemRandomNumberGenerator()
  /// Whether the partitions are paused; records that come nevertheless wait in the backlog.
  var isPaused = false
  /// Whether the consumer's descriptor is in the epoll set.
  var isWatching = false
  /// Since when nothing could be read.
  var blockedSince: ContinuousClock.Instant?
  /// Tables' look-ups are under way.
  var isAskingForTables = false
  /// The lanes whose sinks the worker was given to open.
  var opening: [Int] = []
  /// An outage that is not known to be over, and when the cluster is asked about it.
  var trouble: StreamerError?
  var nextProbe: ContinuousClock.Instant?
  /// Until when a first connection is tried; nil once it has streamed, or for ever.
  var startDeadline: ContinuousClock.Instant?
  var nextCommit = ContinuousClock.now
  /// How many answers of the group have to come before anything is committed again.
  var rejoining = 0
  var nextObservation = ContinuousClock.now

  /// Makes a pipeline that has not started.
  ///
  /// Throws when the system has no descriptor left.
  init(_ plan: KafkaSourcePlan, observer: PipelineObserver, log: Log) throws(StreamerError) {
    self.plan = plan
    self.log = log
    self.observer = observer
    session = KafkaSourceSession(plan, log: log)
    loop = try PipelineLoop(name: plan.name)
    var sinks: [(name: String, sink: any Sink)] = []
    for sink in plan.sinks { sinks.append((sink.name, try sink.make(log))) }
    if let sink = session.deadLetterSink() { sinks.append((plan.name, sink)) }
    let lanes = LaneSet<KafkaOffset>(count: sinks.count) { index in
      Lane(
        name: sinks[index].name, sink: sinks[index].sink, capacity: Limits.kafkaUnsettledRecords)
    }
    flow = KafkaFlow(
      name: plan.name, sinks: plan.sinks, lanes: lanes, inFlightLimit: plan.inFlight,
      observer: observer)
    backoff = Backoff(longest: plan.longestRetry)
  }

  func begin() {
    if plan.startTimeout > .zero { startDeadline = .now + plan.startTimeout }
    establish()
  }

  var outcome: PipelineOutcome {
    if case .ended(let error) = phase { .ended(error) } else { .running }
  }

  /// One turn of the loop: take what came, read what may be read, say what is due.
  func turn(now: ContinuousClock.Instant) throws(StreamerError) {
    for answer in loop.worker.takeAnswers() { try take(answer, now: now) }
    try pollLanes(now: now)
    if case .waiting(let until) = phase, now >= until, ending == nil { establish() }
    try readOn(now: now)
    try giveBack(now: now)
    try commit(now: now)
    probe(now: now)
    endOn(now: now)
    observe(now: now)
  }

  private func take(_ answer: Answer, now: ContinuousClock.Instant) throws(StreamerError) {
    switch answer {
    case .established(.success(let consumer)): try established(consumer, now: now)
    case .established(.failure(let error)): notEstablished(error, now: now)
    case .tables(let answers):
      isAskingForTables = false
      for (request, topics) in answers where request.generation == flow.generation {
        flow.answer(request, try topics.get())
      }
    case .committed(let places, let reason, let error):
      try committed(places, reason, error, now: now)
    case .durable(let index, let generation, let error):
      if flow.lanes[index].generation == generation {
        flow.lanes[index].sink.durabilityJobEnded(error)
      }
    case .probed(let answer): probed(answer, now: now)
    case .done: break
    }
  }

  /// How long the thread may sleep.
  func timeout(now: ContinuousClock.Instant) -> Duration {
    var next = now + Limits.kafkaCommitInterval
    if case .waiting(let until) = phase { next = min(next, until) }
    if let blockedSince, !isPaused { next = min(next, blockedSince + Limits.kafkaPauseAfter) }
    if let revocation, !revocation.isCommitting { next = min(next, revocation.deadline) }
    if let ending, !ending.isCommitting { next = min(next, ending.deadline) }
    return max(next - now, .zero)
  }

  // MARK: - Delivery

  private func pollLanes(now: ContinuousClock.Instant) throws(StreamerError) {
    for index in 0..<flow.lanes.count where flow.lanes[index].isOpen {
      do { try flow.lanes[index].poll() } catch {
        try fail(lane: index, error, now: now)
        continue
      }
      if let job = flow.lanes[index].sink.durabilityJob() {
        let generation = flow.lanes[index].generation
        submit { .durable(lane: index, generation: generation, job()) }
      }
    }
  }

  /// Takes the numbers over to status and metrics, a few times a second at most.
  func observe(now: ContinuousClock.Instant, atOnce: Bool = false) {
    guard atOnce || now >= nextObservation else { return }
    nextObservation = now + .milliseconds(200)
    let waiting = (0..<flow.lanes.count).first { !flow.lanes[$0].isIdle }
    let progress = waiting.map { flow.lanes[$0].counts.delivered }
    observer.observe(
      events: flow.eventCount, malformed: flow.malformedCount, isOverBudget: flow.isOverBudget,
      isIdle: waiting == nil, progress: UInt64(progress ?? 0), now: now)
    for index in plan.sinks.indices {
      observer.observe(
        sink: index, flow.lanes[index].counts, inFlightBytes: flow.lanes[index].inFlightBytes)
      if flow.lanes[index].isOpen { observer.observe(flow.lanes[index].sink, index) }
    }
  }
}
