import CLinux
import Glibc
import PGWire

/// One PostgreSQL source with all sinks that list it, run by one thread.
///
/// The thread sleeps in one epoll_wait on {server socket, sinks' descriptors, control, I/O worker}
/// and does everything between the server's bytes and the sinks itself. What may block runs on the
/// I/O worker. Recovery is the ordinary start: whatever fails, the connection is dropped and
/// reading begins again at the confirmed positions.
// SAFETY: everything but `loop` belongs to the pipeline's own thread.
final class PostgresPipeline: LoopedPipeline, @unchecked Sendable {
  /// What the pipeline is doing.
  enum Phase {
    /// The worker opens sinks and connects.
    case establishing
    /// Changes flow.
    case streaming
    /// The next attempt is due then.
    case waiting(until: ContinuousClock.Instant)
    /// It has ended; with an error unless it was stopped.
    case ended(StreamerError?)
  }

  /// What the I/O worker answers.
  enum Answer: Sendable {
    case established(Result<EstablishedSession, StreamerError>)
    case relation(Result<TableAnswer, StreamerError>)
    case saved(StreamerError?)
    case durable(lane: Int, StreamerError?)
    case slot(ReplicationSlot?)
    case done
  }

  let plan: PipelinePlan
  let log: Log
  let session: PostgresSession
  let loop: PipelineLoop<Answer>
  let observer: PipelineObserver

  var phase = Phase.establishing
  var pipeline: Pipeline?
  var stream: ReplicationStream?
  var feedback: Feedback?
  var identity: PositionIdentity?
  /// Sinks that are to be opened by the next attempt, in the lanes' order.
  var sinks: [any Sink]
  var backoff: Backoff
  var random = SystemRandomNumberGenerator()
  var interest: Poller.Interest = []
  /// The server's socket was reported readable and has not been read since.
  var isReadable = false
  /// Open transactions come in chunks on this connection.
  var isStreaming = false
  /// The next connection does without streaming.
  var avoidsStreaming = false
  /// Connections ask for text, although the configuration wants binary values.
  var avoidsBinary = false
  /// A table's look-up is under way.
  var isAskingForRelation = false
  /// What failed last, until it streams again.
  var lastFailure: StreamerError?
  /// The worker is about to answer an attempt to start a stream.
  var isEstablishing = false
  /// The sinks that this attempt opens.
  var opened: [any Sink] = []
  /// Sinks that replace failed ones and are not open yet.
  var unopened: [any Sink] = []
  /// Until when a first connection is tried; nil once it has streamed, or for ever.
  var startDeadline: ContinuousClock.Instant?
  var stopDeadline: ContinuousClock.Instant?
  var nextObservation = ContinuousClock.now
  var isObservationStale = false
  var nextSlotCheck = ContinuousClock.now
  /// Since when the server has been asking in vain for a position.
  var pingedSince: ContinuousClock.Instant?

  /// Makes a pipeline that has not started.
  ///
  /// Throws when the system has no descriptor left.
  init(_ plan: PipelinePlan, store: any SourceStore, observer: PipelineObserver, log: Log)
    throws(StreamerError)
  {
    self.plan = plan
    self.log = log
    self.observer = observer
    session = PostgresSession(plan, store: store, log: log)
    loop = try PipelineLoop(name: plan.name)
    sinks = []
    for sink in plan.sinks { sinks.append(try sink.make(log)) }
    backoff = Backoff(longest: plan.source.startRetryInterval)
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
    for index in 0..<loop.poller.count {
      let event = loop.poller[index]
      if event.tag == PipelineTag.source { isReadable = isReadable || event.isReadable }
    }
    for answer in loop.worker.takeAnswers() { try take(answer, now: now) }
    pollSinks(now: now)
    if case .waiting(let until) = phase, now >= until { establish() }
    if case .streaming = phase { try streamOn(now: now) }
    try save(now: now)
    if loop.isStopRequested { stopOn(now: now) }
    observe(now: now)
  }

  private func take(_ answer: Answer, now: ContinuousClock.Instant) throws(StreamerError) {
    switch answer {
    case .established(let result):
      isEstablishing = false
      try established(try result.get(), now: now)
    case .relation(.success(let relation)):
      isAskingForRelation = false
      pipeline?.answer(relation)
    case .relation(.failure(let error)): throw error
    case .saved(let error):
      feedback?.saveEnded(error == nil)
      if let error {
        observer.saveFailed()
        throw error
      }
      // Only progress shortens the pauses again: a stream that starts and breaks at once is none.
      backoff.reset()
    case .durable(let index, let error): pipeline?.lanes[index].sink.durabilityJobEnded(error)
    case .slot(let slot): if let slot { observer.slot(slot) }
    case .done: break
    }
  }

  /// How long the thread may sleep.
  func timeout(now: ContinuousClock.Instant) -> Duration {
    var next = now + .seconds(1)
    switch phase {
    case .waiting(let until): next = min(next, until)
    case .streaming:
      // Without a stream there is nobody to send a status to: that deadline would never move on.
      if let status = feedback?.statusDeadline { next = min(next, status) }
      let isFree = pipeline?.isBlocked == false
      if isFree, stream?.hasPending == true || pipeline?.isReplaying == true { return .zero }
      if isFree, let readBy = stream?.pace.readBy { next = min(next, readBy) }
    case .establishing, .ended: break
    }
    if let save = feedback?.saveDeadline(confirmed) { next = min(next, save) }
    if isObservationStale { next = min(next, nextObservation) }
    if let stopDeadline { next = min(next, stopDeadline) }
    return max(next - now, .zero)
  }

  // MARK: - Delivery and positions

  /// What each lane has confirmed.
  var confirmed: [LSN] { pipeline?.lanes.map(\.confirmed) ?? [] }

  private func pollSinks(now: ContinuousClock.Instant) {
    guard let lanes = pipeline?.lanes else { return }
    for (index, lane) in lanes.enumerated() {
      do { try lane.poll() } catch {
        fail(lane: index, error, now: now)
        return
      }
      feedback?.delivered(bytes: lane.takeDeliveredBytes())
      if lane.isOpen, let job = lane.sink.durabilityJob() {
        submit { .durable(lane: index, job()) }
      }
    }
  }

  private func save(now: ContinuousClock.Instant) throws(StreamerError) {
    guard let identity, let positions = confirmed.isEmpty ? nil : confirmed else { return }
    let atOnce = stopDeadline != nil
    guard let due = feedback?.positionsToSave(positions, atOnce: atOnce, now: now) else { return }
    let rows = zip(plan.sinks, due).map { identity.position(sink: $0.name, lsn: $1) }
    submit { [session] in .saved(session.save(rows)) }
  }

  /// Takes the numbers over to status and metrics, a few times a second at most.
  private func observe(now: ContinuousClock.Instant) {
    guard pipeline != nil else { return }
    isObservationStale = now < nextObservation
    guard !isObservationStale else { return }
    nextObservation = now + Limits.observation
    pipeline?.report(saved: feedback?.saved.min() ?? .zero, now: now)
    if case .streaming = phase, now >= nextSlotCheck {
      nextSlotCheck = now + Limits.slotCheck
      submit { [session] in .slot(session.slot()) }
    }
  }
}
