import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// The program is killed before, during and after each call of the cycle of a commit.
  ///
  /// `CRASH_POINTS=all` takes every point there is; else some of them.
  @Suite(.needsKafka) struct CrashPoints {
    private static let takesAll = TestEnvironment["CRASH_POINTS"] == "all"

    @Test func `Killed around a commit: nothing missing, and exactly once nothing twice`() throws {
      let library = try TemporaryDirectory("crash")
      let preloaded = library.file("crash.so")
      try Subprocess.check(
        "cc",
        ["-shared", "-fPIC", "-o", preloaded, "\(Binary.project)/Tests/Chaos/crash.c", "-ldl"])
      let network = try ChaosNetwork(postgres: Integration.postgres, hasTraps: true)
      for isExact in [true, false] {
        let all = isExact ? CrashPoint.exactlyOnce : CrashPoint.atLeastOnce
        let points = Self.takesAll ? all : CrashPoint.few(all)
        var run = try CrashRun(network, isExact: isExact, preloaded: preloaded)
        for (number, point) in points.enumerated() { try run.crash(at: point, number: number) }
        try run.finish()
        let outcome = try run.outcome()
        printToStandardError(
          "crash points, \(isExact ? "exactly" : "at least") once: \(points.count), "
            + outcome.verdict.summary)
        for (call, ofCall) in outcome.byCall(points) {
          printToStandardError("  \(call): \(ofCall.points), \(ofCall.repeated) repeated")
        }
        #expect(run.missed == [])
        #expect(outcome.verdict.problems == [], "\(run.scenario.warnings)")
        #expect(!run.scenario.warnings.contains("torn"))
        if isExact { #expect(outcome.verdict.repetitions == 0) }
      }
    }
  }

  /// A broker that crashes when it has answered a commit may forget to tell the partitions.
  ///
  /// `CRASH_POINTS` is how often, if it is a number; five times if it is not set.
  @Suite(.needsKafka) struct CrashingBroker {
    private static let crashes = TestEnvironment["CRASH_POINTS"].flatMap { Int($0) } ?? 5

    @Test func `A broker that dies as it commits costs no row, and repeats none`() throws {
      let network = try ChaosNetwork(postgres: Integration.postgres, hasTraps: true)
      var run = try CrashRun(network, isExact: true, preloaded: "")
      let moments = ["answered", "passed", "later"]
      for number in 0..<Self.crashes {
        try run.crashBroker(
          at: CrashPoint(
            watcher: .kafka, call: "EndTxn", kind: "26", moment: moments[number % moments.count],
            number: 1 + number % 4), number: number)
      }
      try run.finish()
      let outcome = try run.outcome()
      let ends = run.scenario.warnings.split(separator: "has forgotten to end").count - 1
      printToStandardError(
        "\(Self.crashes) crashes of a broker as it commits, \(ends) transactions forgotten: "
          + outcome.verdict.summary)
      #expect(run.missed == [])
      #expect(outcome.verdict.problems == [], "\(run.scenario.warnings)")
      #expect(outcome.verdict.repetitions == 0)
      #expect(!run.scenario.warnings.contains("may be missing"))
    }
  }
}

/// One kind of delivery under a writer that never rests, killed at one point after the other.
///
/// Each row says at which point the program was about to be killed when it was written.
private struct CrashRun {
  let scenario: Scenario
  private let network: ChaosNetwork
  private let isExact: Bool
  private let environment: [String: String]
  private let orders: String
  private let writer: Subprocess
  private var streamer: Subprocess
  /// Points that were not reached.
  private(set) var missed: [String] = []

  private static let tables = """
    CREATE TABLE counter (key int PRIMARY KEY, seq int NOT NULL, point int);
    INSERT INTO counter SELECT key, 0 FROM generate_series(1, 8) key;
    CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, point int);
    CREATE UNLOGGED TABLE stage (point int);
    INSERT INTO stage VALUES (-1);
    CREATE PROCEDURE work() LANGUAGE plpgsql AS $$
      DECLARE now_at int; BEGIN LOOP
        SELECT point INTO now_at FROM stage;
        EXIT WHEN now_at IS NULL;
        INSERT INTO journal (point) SELECT now_at FROM generate_series(1, 3);
        UPDATE counter SET seq = seq + 1, point = now_at WHERE key = 1 + floor(random() * 8);
        COMMIT;
        PERFORM pg_sleep(0.01);
      END LOOP; END $$;
    """

  init(_ network: ChaosNetwork, isExact: Bool, preloaded: String) throws {
    self.network = network
    self.isExact = isExact
    let exact = [#"delivery = "exactly-once""#, #"transactionInterval = "20ms""#]
    let scenario = try Scenario(
      "crash", postgres: Integration.postgres, through: network,
      lines: Scenario.Lines(
        top: [#"startTimeout = "60s""#], source: [#"flushInterval = "20ms""#],
        sink: isExact ? exact + [#"transactionalID = "{name}""#] : []), tables: Self.tables)
    self.scenario = scenario
    orders = scenario.directory.file("order")
    environment = preloaded.isEmpty ? [:] : ["LD_PRELOAD": preloaded, "CRASH_ORDER": orders]
    streamer = try scenario.launch(environment: environment)
    let server = scenario.postgres
    try eventually("the slot") { try server.readSlots("slot_name = '\(scenario.slot)'") == 1 }
    writer = try Subprocess(
      server.program("psql"),
      [
        "-X", "-q", "-h", server.socketDirectory, "-p", "\(server.port)", "-U", "postgres",
        "-d", scenario.name, "-c", "CALL work()",
      ])
  }

  /// Has the program killed there, and starts it again.
  mutating func crash(at point: CrashPoint, number: Int) throws {
    try catchUp()
    try scenario.psql("UPDATE stage SET point = \(number)")
    if point.isOfStart {
      // One that leaves a transaction open has more to be mended, but at least once it repeats.
      streamer.send(isExact ? SIGKILL : SIGTERM)
      try streamer.wait(within: .seconds(60))
    }
    try set(point)
    if point.isOfStart { streamer = try scenario.launch(environment: environment) }
    let victim = streamer
    try link(point)?.order("victim \(victim.processID)")
    do {
      try eventually(within: .seconds(30), every: .milliseconds(10), "\(point)") {
        victim.poll() != nil
      }
    } catch {
      missed.append("\(point)")
      victim.send(SIGKILL)
    }
    let end = try victim.wait(within: .seconds(60))
    if end != .signalled(SIGKILL) { missed.append("\(point): \(end): \(victim.standardError)") }
    unsafe unlink(orders)
    streamer = try scenario.launch(environment: environment)
  }

  /// Has the broker killed there, and starts it again; the program goes on by itself.
  mutating func crashBroker(at point: CrashPoint, number: Int) throws {
    try catchUp()
    try scenario.psql("UPDATE stage SET point = \(number)")
    let victim = try network.broker.process()
    try set(point)
    try network.kafka.order("victim \(victim)")
    do {
      try eventually(within: .seconds(30), every: .milliseconds(10), "\(point)") {
        try Subprocess.run("kill", ["-0", victim]).termination != .exited(0)
      }
    } catch { missed.append("\(point)") }
    try network.broker.start()
  }

  private func set(_ point: CrashPoint) throws {
    if let link = link(point) {
      try link.order(point.order)
    } else {
      try FileBytes.write(point.order, to: orders)
    }
  }

  private func link(_ point: CrashPoint) -> ChaosNetwork.Link? {
    switch point.watcher {
    case .kafka: network.kafka
    case .postgres: network.postgres
    case .store: nil
    }
  }

  /// Waits until everything that is written by now is confirmed: what comes again later has to do with
  /// what follows.
  private func catchUp() throws {
    try scenario.waitUntilConfirmed(streamer)
  }

  /// Ends the writer, and has the rest delivered.
  mutating func finish() throws {
    try catchUp()
    try scenario.psql("DELETE FROM stage")
    #expect(try writer.wait(within: .seconds(30)) == .exited(0))
    try scenario.waitUntilConfirmed(streamer)
    #expect(try scenario.stop(streamer) == .exited(0))
  }

  func outcome() throws -> CrashOutcome {
    CrashOutcome(
      verdict: ChaosVerdict(
        events: try scenario.events(), truth: try ChaosTruth(scenario, growing: ["journal"])))
  }
}

/// What came of all points of a run.
private struct CrashOutcome {
  let verdict: ChaosVerdict

  /// How many points each call had, and how many events of theirs came again.
  func byCall(_ points: [CrashPoint]) -> [(String, (points: Int, repeated: Int))] {
    var repeated: [Int: Int] = [:]
    var seen: Set<String> = []
    for event in verdict.events where !seen.insert(event.uuid).inserted {
      repeated[event["point"]?.int ?? -1, default: 0] += 1
    }
    var found: [(String, (points: Int, repeated: Int))] = []
    for (number, point) in points.enumerated() {
      if found.last?.0 != point.call { found.append((point.call, (0, 0))) }
      found[found.count - 1].1.points += 1
      found[found.count - 1].1.repeated += repeated[number, default: 0]
    }
    return found
  }
}
