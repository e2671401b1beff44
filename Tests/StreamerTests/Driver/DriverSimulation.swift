import Support

@testable import PGWire
@testable import Streamer

/// One run of a whole driver between a simulated server, store, worker and sinks, with everything
/// that can go wrong at random steps, and the rules that must hold after each.
final class DriverSimulation {
  typealias Instant = ContinuousClock.Instant
  typealias SimulatedDriver = Driver<PostgresSource>

  /// A rule was broken.
  struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  /// What is chosen once for a run.
  struct Choices {
    var inFlight: Int
    var spool: Spool.Settings
    var slice: Int
    var streams: Bool
    var walRetain: Int
    var startTimeout: Duration
    var waitsForReaders: Bool
  }

  /// What runs have seen.
  struct Summary {
    var runs = 0
    var connections = 0
    var repeats = 0
    var stops = 0
    var lateStops = 0
    var crashes = 0
    var gaps = 0
    var standbys = 0
    var silences = 0
    var lateStarts = 0
    var reloads = 0
    var lostHeartbeats = 0
    /// Turns after which a transaction waited to be visible.
    var waits = 0
    var turns = 0
    var fates = AnswerFates()

    static func += (sum: inout Summary, run: Summary) {
      sum.runs += 1
      sum.connections += run.connections
      sum.repeats += run.repeats
      sum.stops += run.stops
      sum.lateStops += run.lateStops
      sum.crashes += run.crashes
      sum.gaps += run.gaps
      sum.standbys += run.standbys
      sum.silences += run.silences
      sum.lateStarts += run.lateStarts
      sum.reloads += run.reloads
      sum.lostHeartbeats += run.lostHeartbeats
      sum.waits += run.waits
      sum.turns += run.turns
      sum.fates += run.fates
    }
  }

  static let shutdownTimeout = Duration.seconds(5)
  /// How many turns without anything new count as a spin.
  private static let spin = 3_000

  let history: SimulatedHistory
  let sinks: SimulatedSinks
  let session: SimulatedSession
  let choices: Choices
  var random: SeededRandom
  var queue: SimulatedWorkQueue<SimulatedDriver.Answer>
  var driver: SimulatedDriver
  var summary = Summary()
  /// Until when the worker does nothing, whatever waits.
  var hangsUntil: Instant?
  /// The server sends and answers nothing, although the connection stands.
  var isSilent = false
  private let isTraced = TestEnvironment["PSQL_STREAMER_TRACE"] != nil
  let shared: Shared
  let clock = SimulatedClock()
  private(set) var now: Instant {
    get { clock.now }
    set { clock.now = newValue }
  }
  private var wakeAt: Instant
  private var started: Instant
  /// The route that this process began with.
  private var firstRoute = 0
  /// Whether this process has been a standby, or has streamed.
  private var hasBeenLetIn = false
  private var stopping: Instant?
  /// Since when this process has been on its way to its end.
  private var endingSince: Instant?
  /// How many streams had been started when the slot was another's; nil unless it was when it was
  /// seen last.
  private var standbySince: Int?
  /// Since when the driver waits in vain for the server's bytes.
  private var unheardSince: Instant?
  /// The connection whose heartbeat is known to be lost, and since when.
  var lostHeartbeat: (connection: Int, since: Instant)?
  /// The run is over before its end: a gap was found, as it should be.
  private(set) var isOver = false

  /// What several sources of one process have in common: the store, and the sinks' status.
  struct Shared {
    let store = MemoryPositionStore()
    let statuses = SimulatedSinks.names.map { SinkStatus(name: $0, type: "kafka") }
    let metrics = Metrics()
  }

  /// `directory` is for files of open transactions; `source` is its name, its own among those that
  /// share something.
  init(seed: UInt64, directory: String, source: String = "s", shared: Shared = Shared()) throws {
    self.shared = shared
    random = SeededRandom(seed: seed)
    let steps = Int.random(in: 20...200, using: &random)
    history = SimulatedWriters.history(seed: random.next(), steps: steps)
    sinks = SimulatedSinks(history)
    choices = Choices(
      inFlight: Int.random(in: 1...20_000, using: &random),
      spool: Spool.Settings(
        directory: directory, memory: [0, 300, 1_000, 1 << 20].randomElement(using: &random) ?? 0,
        limit: Int.random(in: 0..<4, using: &random) == 0 ? 500 : 1 << 30),
      slice: Int.random(in: 1...2_000, using: &random),
      streams: Int.random(in: 0..<4, using: &random) > 0,
      walRetain: Bool.random(using: &random) ? 0 : 100,
      startTimeout: Bool.random(using: &random) ? .zero : .seconds(20),
      waitsForReaders: Bool.random(using: &random))
    session = SimulatedSession(
      SimulatedServer(history, seed: random.next()), source: source, streams: choices.streams,
      sinks: SimulatedSinks.names, store: shared.store)
    if choices.waitsForReaders {
      session.visibility = SimulatedVisibility(history, using: &random)
      for topic in sinks.topics {
        topic.isVisible = { [session] in session.visibility?.sees($0) == true }
      }
    }
    wakeAt = clock.now
    started = clock.now
    queue = try Self.queue(clock)
    driver = try Self.driver(choices, session, sinks, queue, shared, &random)
    driver.start(now: now)
  }

  private static func queue(
    _ clock: SimulatedClock
  ) throws -> SimulatedWorkQueue<SimulatedDriver.Answer> {
    try SimulatedWorkQueue(now: { clock.now }, describe: { $0.kind })
  }

  private static func driver(
    _ choices: Choices, _ session: SimulatedSession, _ sinks: SimulatedSinks,
    _ queue: SimulatedWorkQueue<SimulatedDriver.Answer>, _ shared: Shared,
    _ random: inout SeededRandom, repeating: Bool = true
  ) throws -> SimulatedDriver {
    let stored = SimulatedSinks.names.map { session.stored($0) ?? .zero }
    sinks.start(at: stored, repeating: repeating)
    let plan = DriverPlan(
      name: session.source, sinks: sinks.plans, inFlight: choices.inFlight, spool: choices.spool,
      rules: PipelineMachine.Rules(
        startTimeout: choices.startTimeout, shutdownTimeout: shutdownTimeout))
    let configuration = try Configuration.own(
      """
      store = "unused"
      [source.s]
      type = "postgres"
      dsn = "host=nowhere"
      publication = "p"
      replicationSlot = "slot"
      walRetain = \(choices.walRetain)
      visibility = "\(choices.waitsForReaders ? "primary" : "none")"
      [sink.out]
      type = "stub_discard"
      sources = ["s"]
      """)
    guard case .postgres(let postgres)? = configuration.sources.first?.kind else {
      throw Violation("no source")
    }
    let observer = PipelineObserver(
      source: session.status, sinks: shared.statuses, metrics: shared.metrics)
    let log = Log(level: .error, descriptor: -1)
    let source = try PostgresSource(
      plan, postgres, server: session, observer: observer, log: log)
    source.pipeline.replaySliceBytes = choices.slice
    return try Driver(
      source, plan, observer: observer, log: log, worker: queue,
      random: SeededRandom(seed: random.next()))
  }

  /// Says what happens, when `PSQL_STREAMER_TRACE` is set.
  func trace(_ text: @autoclosure () -> String) {
    guard isTraced else { return }
    let stored = SimulatedSinks.names.map { session.stored($0)?.description ?? "-" }
    printToStandardError(
      "\(started.duration(to: now)) \(text()): \(driver.state) stored \(stored) confirmed "
        + "\(driver.source.confirmed) \(driver.source.pipeline.pause) \(driver.source.rest)")
  }

  // MARK: - Processes

  /// The process is killed, or has ended; the next one begins at what is stored.
  func restart(repeating: Bool) throws {
    trace("restart, repeating \(repeating)")
    session.cut()
    if sinks.refusedRoutes.contains(sinks.route) { sinks.restore(route: route) }
    sinks.refusesTopics = nil
    summary.reloads += route > firstRoute ? 1 : 0
    summary.fates += queue.fates
    queue = try Self.queue(clock)
    driver = try Self.driver(
      choices, session, sinks, queue, shared, &random, repeating: repeating)
    stopping = nil
    endingSince = nil
    standbySince = nil
    unheardSince = nil
    hasBeenLetIn = false
    hangsUntil = nil
    firstRoute = route
    started = now
    wakeAt = now
    driver.start(now: now)
  }

  func crash() throws {
    summary.crashes += 1
    for sink in sinks.current { sink.fail(using: &random) }
    // A save or a write under way may happen or not.
    if Bool.random(using: &random) { queue.run(1) }
    try restart(repeating: true)
  }

  func requestStop() {
    guard stopping == nil else { return }
    stopping = now
    driver.requestStop()
  }

  /// The configuration is read anew, and routes every event elsewhere.
  func reload() { driver.requestReload(sinks.reroute()) }

  /// The route that events take now.
  var route: Int {
    let fallback = driver.source.pipeline.encodings[0].setup.routing.fallback ?? ""
    return SimulatedSinks.route(of: fallback)
  }

  /// The driver has ended; there must be a reason.
  private func ended() throws {
    guard case .ended(let error) = driver.state else { return }
    trace("ended")
    let source = driver.source
    let rest = source.rest
    let isClean =
      !rest.isUndelivered && !rest.isUnsaved && source.pipeline.isBetweenTransactions
    let isLate = now >= (endingSince ?? now) + Self.shutdownTimeout
    if rest.isUnsaved, !isLate { throw Violation("it ended without saving what was delivered") }
    if session.refusedGap != nil {
      summary.gaps += 1
      guard error != nil || stopping != nil else { throw Violation("a gap ended it in silence") }
      guard shared.store.gaps(source: session.source).last?.kind == .slotMoved else {
        throw Violation("a gap is not in the ledger")
      }
      isOver = true
      return
    }
    if let stopping {
      summary.stops += 1
      if !isClean { summary.lateStops += 1 }
      if !isClean, now < stopping + Self.shutdownTimeout, source.pipeline.isBetweenTransactions {
        throw Violation("it stopped before its time although something was left: \(rest)")
      }
      return try restart(repeating: !isClean)
    }
    guard error != nil, choices.startTimeout > .zero, now >= started + choices.startTimeout,
      !hasBeenLetIn
    else { throw Violation("it ended by itself: \(error.map { "\($0)" } ?? "no error")") }
    summary.lateStarts += 1
    try restart(repeating: true)
  }

  /// What the driver is doing, in a word.
  var stateName: String {
    switch driver.state {
    case .idle: "idle"
    case .establishing: "establishing"
    case .streaming: "streaming"
    case .waiting: "waiting"
    case .standby: "standby"
    case .draining: "draining"
    case .closing: "closing"
    case .ended: "ended"
    }
  }

  /// What others see of a source: its positions, and the states of its lanes.
  struct Standing: Equatable {
    let stored: [LSN?]
    let states: [PipelineState]
  }

  /// What others see of this source.
  var standing: Standing {
    Standing(
      stored: SimulatedSinks.names.map(session.stored),
      states: shared.statuses.map { $0.lane(of: session.source).state.state })
  }

  // MARK: - Time

  /// Lets time pass; the driver wakes when it wanted to.
  func advance(_ duration: Duration) throws {
    let end = now + duration
    repeat {
      now = max(now, min(end, wakeAt))
      if let hangsUntil, now >= hangsUntil { self.hangsUntil = nil }
      try turns()
    } while now < end && !isOver
  }

  /// The driver's turns at this moment: as long as something is ready, or it wants no sleep.
  func turns() throws {
    for count in 0..<Self.spin {
      sinks.note(driver.source.confirmed)
      let isReady = try driver.poll() > 0
      guard isReady || now >= wakeAt else { return }
      driver.turn(now: now)
      summary.turns += 1
      if driver.source.pipeline.pause == .visibility { summary.waits += 1 }
      // What the client says last is answered: the end of the stream is what it waits for.
      if case .closing = driver.state { session.shutDown() }
      wakeAt = now + driver.timeout(now: now)
      try check()
      if driver.hasEnded {
        _ = driver.finish()
        try ended()
        return
      }
      // A server that is there sends what there is while the driver reads on.
      if count % 50 == 49, !isSilent { session.pump(0) }
    }
    throw Violation(
      "it spins: \(driver.state), pause \(driver.source.pipeline.pause), ready "
        + "\(driver.readyTags), sleeps \(driver.timeout(now: now))")
  }

  // MARK: - Rules

  func check() throws {
    if let complaint = session.complaint ?? sinks.complaint { throw Violation(complaint) }
    for topic in sinks.topics {
      if let complaint = topic.complaint { throw Violation(complaint) }
    }
    let source = driver.source
    for (index, name) in SimulatedSinks.names.enumerated() {
      let prefix = sinks.topics[index].deliveredPrefix()
      let confirmed = source.confirmed[index]
      guard confirmed <= prefix else {
        throw Violation("\(name) confirms \(confirmed), delivered is \(prefix)")
      }
      guard session.stored(name) ?? .zero <= prefix else {
        throw Violation("of \(name) more is saved than is delivered, \(prefix)")
      }
    }
    try checkStates(source)
  }

  private func checkStates(_ source: PostgresSource) throws {
    let message = max(sinks.largest, 600) * SimulatedTable.all.count * 2
    let inFlight = source.pipeline.lanes.inFlightBytes
    guard inFlight < choices.inFlight + message else {
      throw Violation("\(inFlight) bytes are in flight, \(choices.inFlight) may be")
    }
    try checkMemory(source)
    try checkWords()
    try checkHeartbeat()
    let isUnheard: Bool
    if case .streaming = driver.state {
      isUnheard = isSilent && source.pipeline.pause == .needsBytes && source.stream != nil
    } else {
      isUnheard = false
    }
    if !isUnheard { unheardSince = nil } else if unheardSince == nil { unheardSince = now }
    if let unheardSince, now > unheardSince + .seconds(60) {
      throw Violation("a server that says nothing for \(now - unheardSince) is believed alive")
    }
    if let stopping, now > stopping + Self.shutdownTimeout + .seconds(1) {
      throw Violation("a stop took \(now - stopping)")
    }
  }

  /// What waits does not grow: jobs, bytes that were received, look-ups.
  private func checkMemory(_ source: PostgresSource) throws {
    let jobs = queue.waiting + queue.done
    // One of each kind; two saves when reading began elsewhere meanwhile.
    guard jobs <= SimulatedSinks.names.count + 9 else { throw Violation("\(jobs) jobs wait") }
    let window = source.stream?.received.byteCount ?? 0
    guard window <= 2 * ConnectionLimits.replicationWindow else {
      throw Violation("\(window) bytes were received and not read")
    }
    let lookUps = source.pipeline.requests.count
    guard lookUps <= Limits.lookUpsAhead else { throw Violation("\(lookUps) look-ups wait") }
  }

  /// What is said of the source is what it is doing; a standby stays one until it is let in.
  private func checkWords() throws {
    let said = session.status.state.state
    switch driver.state {
    case .standby:
      if !hasBeenLetIn { summary.standbys += 1 }
      hasBeenLetIn = true
      standbySince = session.connections
      guard said == .standby else { throw Violation("a standby is said to be \(said)") }
    case .streaming:
      hasBeenLetIn = true
      standbySince = nil
      guard said == .streaming || said == .backpressured else {
        throw Violation("a stream is said to be \(said)")
      }
    case .establishing, .waiting:
      // It may have been let in and have lost the stream, both in this turn.
      let isStandby = standbySince == session.connections
      guard said != .streaming, !isStandby || said == .standby else {
        throw Violation("\(driver.state), a standby \(isStandby), is said to be \(said)")
      }
    case .draining, .closing, .ended: endingSince = endingSince ?? now
    case .idle: break
    }
  }

  /// Nothing goes wrong any more: everything must be delivered, saved and acknowledged.
  func settle() throws {
    let end = history.end
    session.visibility?.showAll()
    var left = 3_000
    while left > 0, !isOver {
      left -= 1
      for _ in 0..<4 { session.pump(2_000) }
      for sink in sinks.current { sink.deliver(using: &random) }
      if hangsUntil == nil { queue.run(8) }
      queue.answer(8)
      try advance(.milliseconds(100))
      let stored = SimulatedSinks.names.map { session.stored($0) ?? .zero }
      let isDone =
        session.server.isExhausted && driver.source.pipeline.isAtRest && !driver.wantsReload
      let isAcknowledged =
        session.server.confirmedFlush.value + UInt64(choices.walRetain) >= end.value
      if isDone, stored == [end, end], isAcknowledged { return try judge() }
    }
    if isOver { return }
    let stored = SimulatedSinks.names.map { session.stored($0) ?? .zero }
    throw Violation(
      "it did not come to rest: \(driver.state), stored \(stored) of \(end), "
        + "sent \(session.server.sent), all \(session.server.isExhausted), "
        + "heard \(driver.source.pipeline.sent), at rest \(driver.source.pipeline.isAtRest), "
        + "reload \(driver.wantsReload), acknowledged \(session.server.confirmedFlush), "
        + "between \(driver.source.pipeline.isBetweenTransactions), "
        + "transaction \(driver.source.pipeline.transaction.map { "\($0)" } ?? "none"), "
        + "pause \(driver.source.pipeline.pause), worker \(queue.waiting) and \(queue.done), "
        + "waiting \(driver.source.pipeline.visible.map { "\($0)" } ?? "for nothing"), "
        + "in flight \(driver.source.pipeline.lanes.inFlightBytes), \(sinks.current.map(\.summary))"
    )
  }

  private func judge() throws {
    let lanes = driver.source.pipeline.lanes.indices
    let kept = lanes.reduce(0) { $0 + driver.source.pipeline.lanes[$1].trackerBytes }
    guard kept <= 32 << 10 else { throw Violation("at rest \(kept) bytes are kept for tickets") }
    guard route == sinks.route || sinks.refusedRoutes.contains(sinks.route) else {
      throw Violation("route \(sinks.route) was asked for, events go by \(route)")
    }
    summary.reloads += route > firstRoute ? 1 : 0
    guard sinks.topics.allSatisfy({ $0.deliveredPrefix() == LSN(.max) }) else {
      throw Violation("at rest although not everything is delivered")
    }
    for topic in sinks.topics {
      if let complaint = topic.finalComplaint() { throw Violation(complaint) }
      summary.repeats += topic.repeats
    }
    summary.connections = session.connections
    summary.fates += queue.fates
  }
}
