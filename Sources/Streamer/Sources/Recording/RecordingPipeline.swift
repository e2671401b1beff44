import CLinux
import PGWire
import Recording

/// What a ``RecordingPipeline`` is to do, taken from the configuration.
struct RecordingPlan {
  /// The source's name in the configuration.
  let name: String
  /// The source.
  let source: RecordingSourceConfiguration
  /// The sinks in the configuration's order.
  let sinks: [PipelinePlan.Sink]
  /// How open transactions are kept that come in chunks.
  let spool: Spool.Settings
  /// Bytes that may be read and not yet delivered, over all sinks.
  let inFlight: Int
  /// How long a sink may be unreachable at the start; 0 for ever.
  let startTimeout: Duration
  /// How long a stop may wait for deliveries.
  let shutdownTimeout: Duration
  /// Whether it tries again after a failure, or ends with the first one.
  let reconnects: Bool
}

/// A recording with all sinks that list it, run by one thread: the same events as those of the
/// server whose stream it holds.
///
/// It is read whole, from its beginning, at every start, and the pipeline ends when all of it is
/// delivered: nothing is stored. A sink that fails is replaced and the recording is read again; the
/// other sinks pass over what they were given.
// SAFETY: everything but `loop` belongs to the pipeline's own thread.
final class RecordingPipeline: LoopedPipeline, @unchecked Sendable {
  /// What the pipeline is doing.
  enum Phase {
    /// The worker opens sinks.
    case opening
    /// Changes flow.
    case streaming
    /// All is read, or nothing more is to be: deliveries are waited for, until then at most when it
    /// was told to stop.
    case finishing(StreamerError?, deadline: ContinuousClock.Instant?)
    /// The next attempt is due then.
    case waiting(until: ContinuousClock.Instant)
    /// It has ended.
    case ended(StreamerError?)
  }

  /// What the I/O worker answers.
  enum Answer: Sendable {
    case opened(Result<[TopicID?], StreamerError>)
    case topics([(TableRequest, Result<[TopicID?], StreamerError>)])
    case durable(lane: Int, generation: Int, StreamerError?)
    case done
  }

  /// Bytes that are read before sinks are asked again.
  private static let slice = 1 << 20

  let plan: RecordingPlan
  let log: Log
  let loop: PipelineLoop<Answer>
  let observer: PipelineObserver

  var phase = Phase.opening
  var pipeline: Pipeline?
  var feed: RecordingFeed?
  /// Sinks that are not open yet, by their lanes.
  var unopened: [(lane: Int, sink: any Sink)] = []
  var isAskingForTopics = false
  var backoff = Backoff(longest: .seconds(5))
  var random = SystemRandomNumberGenerator()
  var startDeadline: ContinuousClock.Instant?
  /// When reading began, for the recorded pace.
  var start = ContinuousClock.now
  var nextObservation = ContinuousClock.now

  /// Makes a pipeline that has not started; throws when the system has no descriptor left.
  init(_ plan: RecordingPlan, observer: PipelineObserver, log: Log) throws(StreamerError) {
    self.plan = plan
    self.log = log
    self.observer = observer
    loop = try PipelineLoop(name: plan.name)
    for (index, sink) in plan.sinks.enumerated() { unopened.append((index, try sink.make(log))) }
  }

  func begin() {
    if plan.startTimeout > .zero { startDeadline = .now + plan.startTimeout }
    open(now: .now)
  }

  var outcome: PipelineOutcome {
    if case .ended(let error) = phase { .ended(error) } else { .running }
  }

  func turn(now: ContinuousClock.Instant) throws(StreamerError) {
    for answer in loop.worker.takeAnswers() { try take(answer, now: now) }
    try pollSinks(now: now)
    if case .waiting(let until) = phase, now >= until { open(now: now) }
    if loop.isStopRequested { stop(now: now) }
    if case .streaming = phase { try readOn(now: now) }
    if case .finishing(let error, let deadline) = phase {
      let isLate = deadline.map { now >= $0 } ?? false
      if isLate { log.warning("the time to stop is over; not all was delivered") }
      if isLate || pipeline?.inFlightBytes ?? 0 == 0 { phase = .ended(error) }
    }
    guard now >= nextObservation else { return }
    nextObservation = now + Limits.observation
    pipeline?.report(saved: .zero, now: now)
  }

  private func take(_ answer: Answer, now: ContinuousClock.Instant) throws(StreamerError) {
    switch answer {
    case .opened(let result): try opened(messageTopics: try result.get(), now: now)
    case .topics(let answers):
      isAskingForTopics = false
      for (request, topics) in answers {
        guard let answer = try feed?.answer(to: request, topics: topics.get()) else { continue }
        pipeline?.answer(request, answer)
      }
    case .durable(let index, let generation, let error):
      if let lane = pipeline?.lanes[index].generation, lane == generation {
        pipeline?.lanes[index].sink.durabilityJobEnded(error)
      }
    case .done: break
    }
  }

  private func pollSinks(now: ContinuousClock.Instant) throws(StreamerError) {
    for index in plan.sinks.indices {
      do { try pipeline?.lanes[index].poll() } catch {
        return fail(lane: index, error, now: now)
      }
      guard pipeline?.lanes[index].isOpen == true,
        let job = pipeline?.lanes[index].sink.durabilityJob(),
        let generation = pipeline?.lanes[index].generation
      else { continue }
      submit { .durable(lane: index, generation: generation, job()) }
    }
  }

  func timeout(now: ContinuousClock.Instant) -> Duration {
    var next = now + .seconds(1)
    switch phase {
    case .waiting(let until): next = min(next, until)
    case .finishing(_, let deadline): if let deadline { next = min(next, deadline) }
    case .streaming:
      let pause = pipeline?.pause
      if pause == .replaying { return .zero }
      if pause == .needsBytes {
        guard let due = due(feed?.nextTime), due > now else { return .zero }
        next = min(next, due)
      }
    case .opening, .ended: break
    }
    return max(next - now, .zero)
  }

  /// When an entry is to be read; nil at once.
  private func due(_ time: Duration?) -> ContinuousClock.Instant? {
    plan.source.pace == .recorded ? time.map { start + $0 } : nil
  }

  // MARK: - Reading

  /// Reads a slice of the recording, as far as budget and pace let it.
  private func readOn(now: ContinuousClock.Instant) throws(StreamerError) {
    guard var feed = feed.take() else { return }
    do throws(StreamerError) { try read(&feed, now: now) } catch {
      self.feed = consume feed
      throw error
    }
    self.feed = consume feed
  }

  private func read(
    _ feed: inout RecordingFeed, now: ContinuousClock.Instant
  ) throws(StreamerError) {
    var read = 0
    while read < Self.slice {
      do throws(StreamFault) {
        let count = try pipeline?.consume(feed.window).count ?? 0
        feed.consume(count)
        read += count
      } catch { try ended(error, &feed) }
      askForTopics()
      guard pipeline?.pause == .needsBytes else { return }
      if let due = due(feed.nextTime), due > now { return }
      switch try feed.step() {
      case .connected(let start): pipeline?.connected(at: start)
      case .received, .noted: break
      case .ended:
        report(feed.ending)
        phase = .finishing(nil, deadline: nil)
        return
      }
    }
  }

  /// What ended the recorded connection is in the recording, and so is the next connection.
  private func ended(
    _ fault: StreamFault, _ feed: inout RecordingFeed
  ) throws(StreamerError) {
    if let error = StreamerError(fault, recording: feed.path) { throw error }
    if case .server(let error) = fault {
      log.warning("the server ended the stream", ["error": "\(error)"])
    }
    feed.endConnection()
  }

  private func askForTopics() {
    guard !isAskingForTopics, let requests = pipeline?.takeRequests(), !requests.isEmpty
    else { return }
    isAskingForTopics = true
    let sinks = SinkList(pipeline?.lanes.sinks ?? [])
    submit { .topics(requests.map { ($0, Self.prepare($0.topics, sinks)) }) }
  }

  /// The number of each sink's topic; nil where there is none.
  static func prepare(
    _ topics: [String?], _ sinks: SinkList
  ) -> Result<[TopicID?], StreamerError> {
    do throws(StreamerError) {
      var numbers: [TopicID?] = []
      for (sink, topic) in zip(sinks.sinks, topics) {
        if let topic { numbers.append(try sink.prepare(topic: topic)) } else { numbers.append(nil) }
      }
      return .success(numbers)
    } catch { return .failure(error) }
  }

  /// Says when the recording was not ended properly, or ends inside a transaction.
  private func report(_ ending: RecordingReader.Ending?) {
    if case .cut(let offset) = ending {
      log.warning("the recording is cut off; its whole blocks were read", ["offset": offset])
    }
    if let transaction = pipeline?.transaction {
      log.warning(
        "the recording ends inside a transaction, whose first events were delivered",
        ["commit": transaction.commitLSN])
    }
  }
}
