import PGWire
import Recording
import Support

@testable import Streamer

/// A whole driver that reads a recording, with sinks that fail and a worker that answers when it
/// likes: everything in the recording arrives, in order, and then the driver ends by itself.
final class RecordingSimulation {
  typealias SimulatedDriver = Driver<RecordingSource>
  typealias Violation = DriverSimulation.Violation

  /// Holds the recording until the simulation is over.
  private let directory: TemporaryDirectory
  private let history: SimulatedHistory
  /// Whether the recorded server sent open transactions in chunks.
  private let isStreamed: Bool
  private let sinks: SimulatedSinks
  private let queue: SimulatedWorkQueue<SimulatedDriver.Answer>
  private let driver: SimulatedDriver
  private let clock = SimulatedClock()
  private var random: SeededRandom
  private var wakeAt: ContinuousClock.Instant
  private var stopping: ContinuousClock.Instant?
  /// How often a sink was replaced.
  private(set) var failures = 0
  /// Whether it was asked to stop before its end.
  private(set) var wasStopped = false

  /// How many events came more than once, as they may when a sink was replaced.
  var repeats: Int { sinks.topics.reduce(0) { $0 + $1.repeats } }

  /// `directory` is for the recording and for files of open transactions.
  init(seed: UInt64, directory: TemporaryDirectory) throws {
    self.directory = directory
    random = SeededRandom(seed: seed)
    history = SimulatedWriters.history(
      seed: random.next(), steps: Int.random(in: 20...150, using: &random))
    sinks = SimulatedSinks(history)
    let path = "\(directory.path)/\(seed).rec"
    isStreamed = seed % 2 == 0
    try Self.record(history, to: path, streams: isStreamed, seed: random.next())
    let plan = DriverPlan(
      name: "s", sinks: sinks.plans, inFlight: Int.random(in: 1...20_000, using: &random),
      spool: Spool.Settings(
        directory: directory.path, memory: [0, 1_000].randomElement(using: &random) ?? 0,
        limit: 1 << 30),
      rules: PipelineMachine.Rules(shutdownTimeout: DriverSimulation.shutdownTimeout))
    let observer = PipelineObserver(
      source: SourceStatus(name: "s", type: "recording"),
      sinks: SimulatedSinks.names.map { SinkStatus(name: $0, type: "kafka") }, metrics: Metrics())
    let log = Log(level: .error, descriptor: -1)
    sinks.start(at: [.zero, .zero], repeating: true)
    let clock = clock
    queue = try SimulatedWorkQueue(now: { clock.now }, describe: { _ in "" })
    let source = try RecordingSource(
      plan, RecordingSourceConfiguration(path: path, pace: .full), observer: observer, log: log)
    driver = try Driver(
      source, plan, observer: observer, log: log, worker: queue,
      random: SeededRandom(seed: random.next()))
    wakeAt = clock.now
    driver.start(now: clock.now)
  }

  /// Writes what a server sends of a history, on one connection.
  private static func record(
    _ history: SimulatedHistory, to path: String, streams: Bool, seed: UInt64
  ) throws {
    let now = ContinuousClock.now
    var writer = try RecordingWriter(
      creating: path,
      RecordingHeader(
        program: "test", startTime: 1, systemIdentifier: "\(SimulatedHistory.systemIdentifier)",
        database: SimulatedHistory.database, slot: "slot", publications: ["p"]),
      compression: .none, now: now)
    try writer.connected(
      RecordedConnection(
        serverVersion: "15", timeline: 1, host: SimulatedHistory.host, startLSN: .zero,
        command: "", parameters: []), now: now)
    var walsender = SimulatedWalsender(history, start: .zero, streams: streams, seed: seed)
    walsender.run()
    var window = walsender.bytes.bytes
    var tap = StreamTap()
    tap.connected(at: .zero)
    while true {
      switch try tap.step(unsafe window.span.bytes) {
      case .record(0):
        return try writer.end(messages: tap.messages, transactions: tap.transactions, now: now)
      case .record(let count):
        try writer.received(unsafe window.span.bytes.extracting(0..<count), now: now)
        window.removeFirst(count)
      case .describe(let relation):
        let key = relation.columns[0].name == "id" ? ["id"] : []
        try writer.relation(
          RecordedRelation(relation: relation, catalogKey: key, types: []), now: now)
        tap.described()
      }
    }
  }

  /// Lets it run to its end, with trouble on the way.
  func run() throws {
    let isTroubled = Bool.random(using: &random)
    let stopsAt =
      Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 0..<100, using: &random) : nil
    for step in 0..<20_000 where !driver.hasEnded {
      let isTroubled = isTroubled && step < 200
      if step == stopsAt { try stop() }
      try take(Int.random(in: 0..<(isTroubled ? 40 : 20), using: &random))
      try advance(.milliseconds(Int.random(in: 0...50, using: &random)))
    }
    try judge()
  }

  private func stop() throws {
    stopping = clock.now
    wasStopped = true
    driver.requestStop()
    // It wakes at once, before any time passes.
    try turns()
  }

  private func take(_ step: Int) throws {
    let lane = Int.random(in: 0..<2, using: &random)
    switch step {
    case 0..<7: queue.run(Int.random(in: 1...3, using: &random))
    case 7..<14: queue.answer(Int.random(in: 1...3, using: &random))
    case 14..<20:
      for sink in sinks.current { sink.deliver(using: &random) }
      sinks.refusesToOpen = [false, false]
    case 20:
      sinks.current[lane].fail(using: &random)
      failures += 1
    case 21:
      sinks.current[1].faults.failsNextJob = true
      sinks.current[1].faults.writesAllTheSame = Bool.random(using: &random)
      failures += 1
    case 22: sinks.refusesToOpen[lane] = true
    case 23: try advance(.seconds(10))
    default: break
    }
  }

  private func advance(_ duration: Duration) throws {
    let end = clock.now + duration
    repeat {
      clock.now = max(clock.now, min(end, wakeAt))
      try turns()
    } while clock.now < end && !driver.hasEnded
  }

  private func turns() throws {
    for _ in 0..<3_000 {
      sinks.note(driver.source.lanes.confirmed)
      let isReady = try driver.poll() > 0
      guard isReady || clock.now >= wakeAt else { return }
      driver.turn(now: clock.now)
      wakeAt = clock.now + driver.timeout(now: clock.now)
      if let complaint = sinks.complaint ?? sinks.topics.lazy.compactMap(\.complaint).first {
        throw Violation(complaint)
      }
      let deadline = stopping.map { $0 + DriverSimulation.shutdownTimeout + .seconds(1) }
      if let deadline, clock.now > deadline {
        throw Violation("a stop took too long: \(driver.state), \(stopping as Any), \(clock.now)")
      }
      if driver.hasEnded { return }
    }
    throw Violation("it spins: \(driver.state), sleeps \(driver.timeout(now: clock.now))")
  }

  private func judge() throws {
    guard case .ended(let error) = driver.state else {
      throw Violation("it did not end: \(driver.state), \(sinks.current.map(\.summary))")
    }
    _ = driver.finish()
    if let error {
      // Chunks do not always tell what was rolled back: such a recording is refused.
      guard isStreamed, error.why.contains("logical messages") else {
        throw Violation("it ended with \(error)")
      }
      return
    }
    guard !wasStopped else { return }
    for topic in sinks.topics {
      guard topic.deliveredPrefix() == LSN(.max) else {
        throw Violation("it ended although not everything is delivered")
      }
      if let complaint = topic.finalComplaint() { throw Violation(complaint) }
    }
  }
}
