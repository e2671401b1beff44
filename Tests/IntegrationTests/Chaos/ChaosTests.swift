import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// Concurrent writers while everything that can break breaks.
  ///
  /// `CHAOS_SECONDS` sets how long each load lasts, 15 if it is not set; `CHAOS_DELIVERY` leaves one of
  /// the two kinds of delivery, `CHAOS_BLOWS` some of what is broken (`brokerKilled,streamerKilled`).
  @Suite(.needsKafka) struct Chaos {
    private static let seconds = TestEnvironment["CHAOS_SECONDS"].flatMap { Int($0) } ?? 15
    private static let rate = 250
    private static let deliveries =
      TestEnvironment["CHAOS_DELIVERY"].map { [$0] } ?? ["at-least-once", "exactly-once"]

    /// The counters' own rows are there before the slot is, and no part of the stream.
    private func scenario(_ title: String) throws -> Scenario {
      try Scenario(
        title, postgres: PostgresServer(),
        lines: Scenario.Lines(top: [#"startTimeout = "60s""#]), tables: ChaosLoad.tables)
    }

    @Test func `Calm: every committed change arrives once and in order`() throws {
      let scenario = try scenario("calm")
      let streamer = try scenario.start()
      let load = try ChaosLoad(
        scenario, seconds: Self.seconds, transactionsPerSecond: Self.rate)
      try load.finish()
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let verdict = try self.verdict(scenario)
      printToStandardError("chaos, calm: \(verdict.summary)")
      #expect(verdict.repetitions == 0)
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    @Test func `SIGTERM and restart under load: no duplicate at all`() throws {
      let scenario = try scenario("terms")
      var streamer = try scenario.start()
      let load = try ChaosLoad(
        scenario, seconds: Self.seconds, transactionsPerSecond: Self.rate)
      var stops = 0
      while load.process.isRunning {
        pause(.milliseconds(1_500))
        #expect(try scenario.stop(streamer) == .exited(0))
        streamer = try scenario.start()
        stops += 1
      }
      try load.finish()
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let verdict = try self.verdict(scenario)
      printToStandardError("chaos, \(stops) times SIGTERM: \(verdict.summary)")
      #expect(stops > 1)
      #expect(verdict.repetitions == 0)
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    @Test func `A lost connection inside one process: no duplicate at all`() throws {
      let scenario = try scenario("cuts")
      let streamer = try scenario.start()
      let load = try ChaosLoad(
        scenario, seconds: Self.seconds, transactionsPerSecond: Self.rate)
      while load.process.isRunning {
        pause(.milliseconds(1_500))
        try terminateWalsender(scenario)
      }
      try load.finish()
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let verdict = try self.verdict(scenario)
      printToStandardError("chaos, walsenders terminated: \(verdict.summary)")
      #expect(verdict.repetitions == 0)
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    @Test(arguments: deliveries)
    func `Crashes of everything: nothing missing, order exact after removing repetitions`(
      delivery: String
    ) throws { try breakEverything(.processes, delivery) }

    /// At least once only in long runs.
    @Test(
      arguments: TestEnvironment["CHAOS_SECONDS"] == nil
        ? ["exactly-once"] : deliveries)
    func `Three brokers: nothing missing, order exact after removing repetitions`(
      delivery: String
    ) throws { try breakEverything(.brokers, delivery) }

    @Test(arguments: deliveries)
    func `Bad networks: nothing missing, nothing out of order`(delivery: String) throws {
      let world = try breakEverything(.networks, delivery)
      // Those of transactions have nothing to be late where there are none.
      #expect(try world.lateRequests() > (delivery == "exactly-once" ? 1 : 0))
    }

    @discardableResult private func breakEverything(_ kind: ChaosWorld.Kind, _ delivery: String)
      throws -> ChaosWorld
    {
      let world = try ChaosWorld(kind, delivery: delivery)
      let verdict = try world.run(seconds: Self.seconds, transactionsPerSecond: Self.rate)
      if delivery == "exactly-once" { #expect(verdict.repetitions == 0) }
      #expect(verdict.problems == [], "\(world.scenario.warnings)")
      // Of the 64 MiB, the optimised build's code and its libraries' take 22.
      #expect(world.peak <= (64 - 22) * 1024, "kB beside the code")
      return world
    }

    private func verdict(_ scenario: Scenario) throws -> ChaosVerdict {
      ChaosVerdict(events: try scenario.events(), truth: try ChaosTruth(scenario))
    }

    private func terminateWalsender(_ scenario: Scenario) throws {
      try scenario.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    }
  }
}
