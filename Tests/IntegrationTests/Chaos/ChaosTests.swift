import Glibc
import Support
import Testing

extension Integration.FirstHalf {
  /// Concurrent writers while everything that can break breaks.
  ///
  /// `CHAOS_SECONDS` sets how long each load lasts, 15 if it is not set.
  @Suite(.needsKafka) struct Chaos {
    private static let seconds = TestEnvironment["CHAOS_SECONDS"].flatMap { Int($0) } ?? 15
    private static let rate = 250

    /// The counters' own rows are there before the slot is, and no part of the stream.
    private func scenario(
      _ title: String, sink: [String] = [], through network: ChaosNetwork? = nil,
      postgres: PostgresServer? = nil
    ) throws -> Scenario {
      try Scenario(
        title, postgres: postgres ?? PostgresServer(), through: network,
        // A broker that crashes with a transaction open takes its time to abort it.
        lines: Scenario.Lines(top: [#"startTimeout = "60s""#], sink: sink),
        tables: ChaosLoad.tables)
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

    /// What may happen to the three processes.
    private enum Blow: CaseIterable {
      case streamerKilled
      case streamerFrozen
      case streamerStopped
      case brokerKilled
      case brokerFrozen
      case postgresRestarted
      case walsenderTerminated
    }

    @Test func `Crashes of everything: nothing missing, order exact after removing repetitions`()
      throws
    {
      let scenario = try scenario("chaos")
      let verdict = try crashEverything(scenario)
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    @Test func `Crashes of everything, exactly once: nothing missing, nothing twice`() throws {
      let scenario = try scenario(
        "exactly", sink: [#"delivery = "exactly-once""#, #"transactionalID = "{name}""#])
      let verdict = try crashEverything(scenario)
      #expect(verdict.repetitions == 0)
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    private func crashEverything(_ scenario: Scenario) throws -> ChaosVerdict {
      var random = SeededRandom("chaos")
      var streamer = try scenario.start()
      let load = try ChaosLoad(
        scenario, seconds: Self.seconds, transactionsPerSecond: Self.rate)
      var blows: [Blow] = []
      // At least one round of all, also when the load ends earlier on a slow machine.
      while load.process.isRunning || blows.count < Blow.allCases.count {
        for blow in Blow.allCases.shuffled(using: &random) {
          pause(.milliseconds(Int.random(in: 300...1_500, using: &random)))
          blows.append(blow)
          let moment = Duration.milliseconds(Int.random(in: 0...800, using: &random))
          switch blow {
          case .streamerKilled:
            streamer.send(SIGKILL)
            try streamer.wait()
            streamer = try scenario.launch()
          case .streamerStopped:
            #expect(try scenario.stop(streamer) == .exited(0))
            streamer = try scenario.launch()
          case .streamerFrozen:
            streamer.send(SIGSTOP)
            pause(moment)
            streamer.send(SIGCONT)
          case .brokerKilled:
            try scenario.broker.kill()
            defer { try? scenario.broker.start() }
            pause(moment)
          case .brokerFrozen:
            try scenario.broker.freeze()
            defer { try? scenario.broker.thaw() }
            pause(moment)
          case .postgresRestarted: try scenario.postgres.restart(.immediate)
          case .walsenderTerminated: try terminateWalsender(scenario)
          }
          try Scenario.requireAlive(streamer)
        }
      }
      try load.finish()
      // The last blow may have started it a moment ago, when it hears no signal yet.
      try eventually(within: .seconds(60), "a streamer that is ready") {
        try Scenario.requireAlive(streamer)
        return (try? scenario.get("/ready").status) == 200
      }
      try scenario.waitUntilConfirmed(streamer, within: .seconds(180))
      #expect(try scenario.stop(streamer) == .exited(0))
      let verdict = try self.verdict(scenario)
      let kinds = Blow.allCases.map { kind in "\(blows.count { $0 == kind }) \(kind)" }
      printToStandardError(
        "chaos, \(scenario.name): \(kinds.joined(separator: ", ")): \(verdict.summary)")
      return verdict
    }

    /// What may happen to the networks between the three processes.
    private enum Trouble: CaseIterable {
      case postgresCut
      case postgresHalfClosed
      case postgresStalled
      case postgresSlow
      case brokerCut
      case brokerHalfClosed
      case brokerStalled
      case brokerSlow
      case producedLate
      case partitionsAddedLate
      case endedLate

      /// The order to the proxy, and whether it stands in front of Kafka.
      func order(_ random: inout SeededRandom) -> (String, isKafka: Bool) {
        // Beyond a second requests are repeated while the first one is still on its way.
        let long = Double(Int.random(in: 5...25, using: &random)) / 10
        return switch self {
        case .postgresCut: ("cut", false)
        case .postgresHalfClosed: ("half", false)
        case .postgresStalled: ("stall \(long)", false)
        case .postgresSlow: ("delay 0.02", false)
        case .brokerCut: ("cut", true)
        case .brokerHalfClosed: ("half", true)
        case .brokerStalled: ("stall \(long)", true)
        case .brokerSlow: ("delay 0.02", true)
        case .producedLate: ("late 0 \(long)", true)
        case .partitionsAddedLate: ("late 24 \(long)", true)
        case .endedLate: ("late 26 \(long)", true)
        }
      }
    }

    @Test(arguments: ["at-least-once", "exactly-once"])
    func `Bad networks: nothing missing, nothing out of order`(delivery: String) throws {
      var random = SeededRandom("networks")
      let server = try PostgresServer()
      let network = try ChaosNetwork(postgres: server)
      let isExact = delivery == "exactly-once"
      let scenario = try scenario(
        "networks", sink: ["delivery = \"\(delivery)\""], through: network, postgres: server)
      let streamer = try scenario.start()
      let load = try ChaosLoad(
        scenario, seconds: Self.seconds, transactionsPerSecond: Self.rate)
      var troubles: [Trouble] = []
      while load.process.isRunning || troubles.count < Trouble.allCases.count {
        for trouble in Trouble.allCases.shuffled(using: &random) {
          pause(.milliseconds(Int.random(in: 200...1_000, using: &random)))
          troubles.append(trouble)
          let (order, isKafka) = trouble.order(&random)
          let link = isKafka ? network.kafka : network.postgres
          try link.order(order)
          if order.hasPrefix("delay") {
            pause(.milliseconds(500))
            try link.order("delay 0")
          }
          try Scenario.requireAlive(streamer)
        }
      }
      try load.finish()
      try scenario.waitUntilConfirmed(streamer, within: .seconds(180))
      #expect(try scenario.stop(streamer) == .exited(0))
      let verdict = try self.verdict(scenario)
      let kinds = Trouble.allCases.map { kind in "\(troubles.count { $0 == kind }) \(kind)" }
      let late = try network.kafka.order("count")
      printToStandardError(
        "chaos, networks, \(delivery): \(kinds.joined(separator: ", ")), \(late) requests late: "
          + verdict.summary)
      // Those of transactions have nothing to be late where there are none.
      #expect((Int(late) ?? 0) > (isExact ? 1 : 0))
      if isExact { #expect(verdict.repetitions == 0) }
      #expect(verdict.problems == [], "\(scenario.warnings)")
    }

    private func verdict(_ scenario: Scenario) throws -> ChaosVerdict {
      ChaosVerdict(events: try scenario.events(), truth: try ChaosTruth(scenario))
    }

    private func terminateWalsender(_ scenario: Scenario) throws {
      try scenario.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    }
  }
}
