import PGWire
import Support

@testable import Streamer

/// One run of pipeline, lanes and feedback between a simulated server and simulated sinks, with
/// everything that can go wrong at random steps, and the rules that must hold after each.
final class PipelineSimulation {
  /// A rule was broken.
  struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  /// What can happen at a step; the seed decides how often each does.
  private enum Step: CaseIterable {
    case feed, answer, deliver, poll, save, endSave, status, disconnect, failSink, crash, stop
  }

  private let history: SimulatedHistory
  private let topics: [SimulatedTopic]
  private let observer: PipelineObserver
  private let inFlightLimit: Int
  private let capacity: Int
  private let walRetain: UInt64
  private let spool: Spool.Settings
  /// Bytes of a kept transaction that are read at once.
  private let slice: Int
  /// Whether the server may send open transactions in chunks.
  private let streams: Bool
  /// The next connection does without streaming.
  private var avoidsStreaming = false
  private let schedule: [Step]
  private var random: SeededRandom
  private var server: SimulatedServer
  private var sinks: [SimulatedSink] = []
  /// The durable position store.
  private var stored: [LSN] = [.zero, .zero]
  private var saving: [LSN]?
  private var pipeline: Pipeline
  private var feedback: Feedback
  private var received: [UInt8] = []
  /// Look-ups that are not answered.
  private var asked: [TableRequest] = []
  /// Look-ups that are answered once more.
  private var late: [TableRequest] = []
  private var now = ContinuousClock.now
  private var largest = 0
  private var trouble = 0
  private var streamed = 0
  private var spooled = 0
  private var faults = 0

  /// What a run has seen.
  struct Summary {
    /// How often something went wrong.
    var troubles = 0
    /// How many events were given again because of it.
    var repeats = 0
    /// Transactions that came in chunks.
    var streamed = 0
    /// Those of them that needed a file.
    var spooled = 0
    /// How often open transactions could not be kept.
    var faults = 0

    static func += (sum: inout Summary, run: Summary) {
      sum.troubles += run.troubles
      sum.repeats += run.repeats
      sum.streamed += run.streamed
      sum.spooled += run.spooled
      sum.faults += run.faults
    }
  }

  var summary: Summary {
    Summary(
      troubles: trouble, repeats: topics.map(\.repeats).reduce(0, +), streamed: streamed,
      spooled: spooled, faults: faults)
  }

  /// `directory` is for files of open transactions.
  init(seed: UInt64, directory: String) {
    random = SeededRandom(seed: seed)
    let history = SimulatedWriters.history(
      seed: random.next(), steps: Int.random(in: 20...300, using: &random))
    self.history = history
    topics = (0..<2).map { SimulatedTopic(lane: $0, history) }
    server = SimulatedServer(history, seed: random.next())
    inFlightLimit = Int.random(in: 1...20_000, using: &random)
    capacity = Int.random(in: 1...12, using: &random)
    walRetain = Bool.random(using: &random) ? 0 : 100
    schedule = Self.schedule(using: &random)
    observer = PipelineObserver(
      source: SourceStatus(name: "s", type: "postgres"),
      sinks: [SinkStatus(name: "a", type: "kafka"), SinkStatus(name: "b", type: "kafka")],
      metrics: Metrics())
    streams = Int.random(in: 0..<4, using: &random) > 0
    spool = Spool.Settings(
      directory: directory, memory: [0, 300, 1_000, 1 << 20].randomElement(using: &random) ?? 0,
      limit: Int.random(in: 0..<4, using: &random) == 0 ? 500 : 1 << 30)
    slice = Int.random(in: 1...2_000, using: &random)
    pipeline = Pipeline(
      lanes: LaneSet(count: 0) { _ in Lane(name: "", sink: StubSink(log: nil)) }, setups: [],
      settings: Pipeline.Settings(inFlightLimit: 0, spool: spool), observer: observer)
    feedback = Self.feedback(stored, walRetain, now)
    start(repeating: true)
  }

  /// Runs `steps` random steps, then lets everything come to rest; throws the first broken rule.
  func run(steps: Int) throws {
    for _ in 0..<steps {
      now += .milliseconds(200)
      if let step = schedule.randomElement(using: &random) { try take(step) }
      try check()
    }
    try settle()
    guard topics.allSatisfy({ $0.deliveredPrefix() == LSN(.max) }) else {
      throw Violation("at rest although not everything is delivered")
    }
    for topic in topics {
      if let complaint = topic.finalComplaint() { throw Violation(complaint) }
    }
  }

  /// Some kinds of steps are rare or missing in one run and frequent in another.
  private static func schedule(using random: inout SeededRandom) -> [Step] {
    var schedule: [Step] = []
    for step in Step.allCases {
      let isTrouble =
        switch step {
        case .disconnect, .failSink, .crash, .stop: true
        default: false
        }
      let weight = isTrouble ? [0, 0, 1, 1, 2] : [2, 5, 10, 20, 30]
      schedule += Array(repeating: step, count: weight.randomElement(using: &random) ?? 1)
    }
    return schedule
  }

  private static func feedback(
    _ saved: [LSN], _ walRetain: UInt64, _ now: ContinuousClock.Instant
  ) -> Feedback {
    Feedback(
      saved: saved, saveInterval: .seconds(1), statusInterval: .seconds(10), walRetain: walRetain,
      now: now)
  }

  // MARK: - Steps

  private func take(_ step: Step) throws {
    switch step {
    case .feed: try feed()
    case .answer: answer()
    case .deliver: for sink in sinks { sink.deliver(using: &random) }
    case .poll: try poll()
    case .save: try save(atOnce: Bool.random(using: &random))
    case .endSave: endSave(durable: Int.random(in: 0..<4, using: &random) > 0)
    case .status: try status()
    case .disconnect: connect()
    case .failSink: failSink(Int.random(in: 0..<2, using: &random))
    case .crash: crash()
    case .stop: try stop()
    }
  }

  /// A process starts: lanes and feedback from the stored positions.
  private func start(repeating: Bool) {
    sinks = topics.map(SimulatedSink.init)
    var second = TopicRouting()
    second.mappings = ["accounts", "audit", "journal"].compactMap(TablePattern.init).map {
      TopicRouting.Mapping(tables: $0, topic: "t")
    }
    let lanes = LaneSet(count: 2) { [sinks, stored, capacity] index in
      Lane(
        name: "sink\(index)", sink: sinks[index], position: stored[index], capacity: capacity)
    }
    pipeline = Pipeline(
      lanes: lanes,
      setups: [LaneSetup(routing: TopicRouting(fallback: "t")), LaneSetup(routing: second)],
      settings: Pipeline.Settings(inFlightLimit: inFlightLimit, spool: spool),
      observer: observer)
    feedback = Self.feedback(stored, walRetain, now)
    saving = nil
    if repeating {
      for (topic, position) in zip(topics, stored) { topic.mayRepeat(from: position) }
    }
    connect()
  }

  /// A connection, maybe after another one was lost.
  private func connect() {
    trouble += 1
    received = []
    server.connect(at: pipeline.startLSN, streams: streams && !avoidsStreaming)
    avoidsStreaming = false
    pipeline.disconnected()
    for index in 0..<2 { pipeline.lanes[index].opened() }
    let origin = StreamOrigin(
      systemIdentifier: SimulatedHistory.systemIdentifier, host: SimulatedHistory.host,
      database: SimulatedHistory.database)
    pipeline.connected(at: pipeline.startLSN, origin, messageTopics: [0, nil])
    asked = []
    pipeline.replaySliceBytes = slice
    feedback.connected(statusInterval: .seconds(10), now: now)
  }

  private func feed() throws {
    if received.count < 4_096 {
      let sizes = [1, 7, 50, 300, 2_000]
      let limit = sizes.randomElement(using: &random) ?? 1
      received += server.read(Int.random(in: 1...limit, using: &random))
    }
    try consume(untilCommit: false)
  }

  private func consume(untilCommit: Bool) throws {
    let window = received
    do {
      let consumed = try pipeline.consume(unsafe window.span.bytes, untilCommit: untilCommit)
      received.removeFirst(consumed.count)
      try judge(consumed, untilCommit: untilCommit)
      asked += pipeline.takeRequests()
      for end in pipeline.takeStreamEnds() {
        streamed += 1
        if end.spooledBytes > 0 { spooled += 1 }
      }
    } catch StreamFault.spool {
      faults += 1
      avoidsStreaming = true
      return connect()
    } catch { throw Violation("the server's bytes were refused: \(error)") }
    if pipeline.replyRequested {
      pipeline.replyRequested = false
      feedback.statusRequested()
      guard try status() else { throw Violation("the server asked and got no answer") }
    }
  }

  /// What consume says of itself agrees with what stands.
  private func judge(_ consumed: Pipeline.Consumed, untilCommit: Bool) throws {
    let now = pipeline.pause
    let isRight =
      switch consumed.pause {
      case .betweenTransactions: untilCommit && pipeline.isBetweenTransactions
      case .committing: false
      default: now == consumed.pause
      }
    guard isRight else { throw Violation("it stopped for \(consumed.pause), and stands at \(now)") }
  }

  /// Answers a look-up, whichever; some answers come when another connection has begun.
  private func answer() {
    asked += pipeline.takeRequests()
    guard let index = asked.indices.randomElement(using: &random) else { return }
    let request = asked.remove(at: index)
    if Int.random(in: 0..<10, using: &random) == 0 { late.append(request) }
    answer(request)
    if let request = late.first, request.connection != asked.first?.connection {
      late.removeFirst()
      answer(request)
    }
  }

  private func answer(_ request: TableRequest) {
    pipeline.answer(
      request,
      TableAnswer(
        catalogKey: request.relation.columns[0].name == "id" ? ["id"] : [], types: TypeCatalog(),
        topics: request.topics.map { $0 == nil ? nil : 1 }))
  }

  private func poll() throws {
    for index in 0..<2 {
      do { try pipeline.lanes[index].poll() } catch {
        throw Violation("a sink failed by itself: \(error)")
      }
      feedback.delivered(bytes: pipeline.lanes[index].takeDeliveredBytes())
    }
  }

  private func save(atOnce: Bool) throws {
    let confirmed = pipeline.lanes.confirmed
    guard let due = feedback.positionsToSave(confirmed, atOnce: atOnce, now: now) else { return }
    guard saving == nil else { throw Violation("two saves at once") }
    saving = due
  }

  /// The store answers; where it refuses, the connection is dropped as well.
  private func endSave(durable: Bool) {
    guard let positions = saving else { return }
    saving = nil
    if durable { stored = positions }
    feedback.saveEnded(positions, durable)
    if !durable { connect() }
  }

  @discardableResult private func status() throws -> Bool {
    guard let status = feedback.status(sent: pipeline.sent, now: now) else { return false }
    guard status.flushed <= (stored.min() ?? .zero) else {
      throw Violation("\(status.flushed) was acknowledged, \(stored) are saved")
    }
    guard status.flushed <= server.sent, status.written <= server.sent else {
      throw Violation("\(status) goes beyond what the server sent, \(server.sent)")
    }
    server.acknowledge(status.flushed)
    return true
  }

  /// One sink fails: its lane begins anew, the other one must not notice.
  private func failSink(_ index: Int) {
    sinks[index].fail(using: &random)
    guard (try? pipeline.lanes[index].poll()) == nil else { return }
    sinks[index] = SimulatedSink(topics[index])
    pipeline.lanes[index].restart(with: sinks[index])
    topics[index].mayRepeat(from: pipeline.lanes[index].confirmed)
    connect()
  }

  /// The process is killed; a save under way may or may not have happened.
  private func crash() {
    for sink in sinks { sink.fail(using: &random) }
    if let saving, Bool.random(using: &random) { stored = saving }
    start(repeating: true)
  }

  /// An orderly stop and start: nothing may come again.
  private func stop() throws {
    for _ in 0..<20_000 {
      now += .milliseconds(100)
      if !pipeline.isBetweenTransactions {
        received += server.read(100)
        try consume(untilCommit: true)
      }
      answer()
      for sink in sinks { sink.deliver(using: &random) }
      try poll()
      try save(atOnce: true)
      endSave(durable: true)
      try status()
      try check()
      guard pipeline.isAtRest, feedback.isSaved(pipeline.lanes.confirmed) else { continue }
      return start(repeating: false)
    }
    throw Violation("a stop did not come to its end")
  }

  // MARK: - Rules

  private func check() throws {
    for topic in topics { if let complaint = topic.complaint { throw Violation(complaint) } }
    for index in 0..<2 {
      let prefix = topics[index].deliveredPrefix()
      let (name, confirmed) = (pipeline.lanes[index].name, pipeline.lanes[index].confirmed)
      guard confirmed <= min(prefix, server.everSent) else {
        throw Violation("\(name) confirms \(confirmed), delivered is \(prefix)")
      }
      guard stored[index] <= prefix, feedback.saved[index] == stored[index] else {
        throw Violation("\(name) has saved \(stored[index]), delivered is \(prefix)")
      }
      let inFlight = pipeline.lanes[index].inFlightBytes
      guard inFlight == sinks[index].inFlightBytes else {
        throw Violation("\(name) counts \(inFlight) bytes in flight")
      }
      largest = max(largest, sinks[index].largest)
    }
    guard server.confirmedFlush <= (stored.min() ?? .zero) else {
      throw Violation("the slot is ahead of the stored positions: a gap")
    }
    // A message is one event but for a changed key (two) and a truncate (one for each table), and
    // each sink gets it.
    let message = largest * SimulatedTable.all.count * sinks.count
    guard pipeline.inFlightBytes < inFlightLimit + message else {
      throw Violation("\(pipeline.inFlightBytes) bytes are in flight, \(inFlightLimit) may be")
    }
  }

  /// Nothing goes wrong any more: everything must be delivered, saved and acknowledged.
  private func settle() throws {
    let end = history.end
    for _ in 0..<20_000 {
      now += .seconds(1)
      if received.count < 4_096 { received += server.read(1_000) }
      try consume(untilCommit: false)
      answer()
      for sink in sinks { sink.deliver(using: &random) }
      try poll()
      try save(atOnce: false)
      endSave(durable: true)
      try status()
      try check()
      let isDone = server.isExhausted && received.isEmpty && pipeline.isAtRest
      if isDone, stored == [end, end], server.confirmedFlush.value + walRetain >= end.value {
        return
      }
    }
    let lanes = (0..<2).map { index in
      "open \(pipeline.lanes[index].hasOpenTransaction), in flight "
        + "\(pipeline.lanes[index].inFlightBytes)"
    }
    let pause = pipeline.pause
    throw Violation(
      "it did not come to rest: \(stored) of \(end); stands at \(pause); \(lanes), "
        + "\(sinks.map(\.summary))")
  }
}
