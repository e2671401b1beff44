import Support
import Testing

@testable import Streamer

/// Random schedules of everything that can happen to a driver.
///
/// `PSQL_STREAMER_SEED=N` plays run N first; `PSQL_STREAMER_DRIVER_SIMULATIONS=N` runs that many.
@Suite struct DriverSimulationTests {
  @Test func nothingIsLostAndEverythingRecovers() throws {
    let directory = try TemporaryDirectory()
    let base = SeededRandom("driver simulation").seed
    let runs = TestEnvironment["PSQL_STREAMER_DRIVER_SIMULATIONS"].flatMap { UInt64($0) } ?? 600
    var sum = DriverSimulation.Summary()
    // What is rare takes more of them, but not for ever.
    for offset in 0..<runs * 4 where offset < runs || !Self.missing(in: sum.fates).isEmpty {
      let seed = base &+ offset
      do {
        let simulation = try DriverSimulation(seed: seed, directory: directory.path)
        try simulation.run(steps: 300)
        sum += simulation.summary
      } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
    }
    printToStandardError("driver simulation: \(sum)")
    // Runs in which nothing goes wrong would prove nothing.
    #expect(sum.connections > sum.runs && sum.repeats > sum.runs, "\(sum)")
    #expect(sum.stops > 0 && sum.crashes > 0 && sum.gaps > 0 && sum.standbys > 0, "\(sum)")
    #expect(sum.reloads > 0 && sum.lostHeartbeats > 0 && sum.waits > sum.runs, "\(sum)")
    #expect(Self.missing(in: sum.fates).isEmpty)
    #expect(directory.names.isEmpty)
  }

  /// What has not happened, without which the runs prove nothing of it: every kind of answer has to
  /// come, with others, late, beside a failure, and never, and every kind of trouble in every state.
  private static func missing(in fates: AnswerFates) -> [String] {
    var missing: [String] = []
    for kind in kinds {
      for fate in ["given", "together with others", "late", "lost"] where fates[kind, fate] == 0 {
        missing.append("no answer: \(kind), \(fate)")
      }
      if !kind.hasSuffix(" failed"), fates[kind, "after a failure"] == 0 {
        missing.append("no \(kind) after a failure")
      }
    }
    for step in DriverSimulation.Step.allCases where !step.isOrdinary {
      for state in ["establishing", "streaming", "waiting", "standby", "draining", "closing"]
      where fates["\(step)", "in \(state)"] == 0 {
        missing.append("no \(step) while \(state)")
      }
    }
    return missing
  }

  /// The worker's answers; "closed" is the last one and has no fellows.
  private static let kinds = [
    "attempted", "attempted failed", "durable", "durable failed", "found", "found failed",
    "saved", "saved failed", "slot", "heartbeat", "released", "reload", "reload failed", "seen",
    "seen failed",
  ]

  /// Two sources write through the same sinks' configuration into one store: whatever happens to one
  /// changes nothing of what the other has stored, nor of what is said of it.
  @Test func severalSourcesOnTheSameSinks() throws {
    let directory = try TemporaryDirectory()
    let base = SeededRandom("shared driver simulation").seed
    var sum = DriverSimulation.Summary()
    for seed in base..<base + 150 {
      do {
        let shared = DriverSimulation.Shared()
        let both = try ["s", "t"].enumerated().map { (number, name) in
          try DriverSimulation(
            seed: seed &* 2 &+ UInt64(number), directory: directory.path, source: name,
            shared: shared)
        }
        try Self.run(both, steps: 200)
        for simulation in both { sum += simulation.summary }
      } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
    }
    #expect(sum.crashes > 0 && sum.stops > 0 && sum.repeats > 0, "\(sum)")
  }

  /// Lets two drivers take their steps by turns.
  private static func run(_ both: [DriverSimulation], steps: Int) throws {
    let schedules = both.map { $0.schedule() }
    for step in 0..<steps * 2 {
      let (one, other) = (both[step % 2], both[1 - step % 2])
      if one.isOver { continue }
      let before = other.standing
      try one.step(of: schedules[step % 2])
      guard other.standing == before else {
        throw DriverSimulation.Violation(
          "\(one.session.source) has changed \(before) to \(other.standing)")
      }
    }
    for simulation in both {
      simulation.mend()
      try simulation.settle()
    }
  }

  /// S2: one answer of a batch tells of a failure, the others count all the same, so that saving and
  /// acknowledging go on.
  @Test func aFailureInABatchLosesNoOtherAnswer() throws {
    let directory = try TemporaryDirectory()
    var fates = AnswerFates()
    for seed in 1...40 as ClosedRange<UInt64> {
      let simulation = try DriverSimulation(seed: seed, directory: directory.path)
      let steps: [DriverSimulation.Step] = [
        .feed, .feed, .deliver, .deliver, .failJob, .failLookUps, .unreachable, .mend,
      ]
      for _ in 0..<40 where !simulation.isOver {
        for _ in 0..<5 { try simulation.step(of: steps) }
        // All that waits is done at once, and all of it is answered in one batch.
        simulation.queue.run(100)
        simulation.queue.answer(100)
        try simulation.advance(.milliseconds(1))
      }
      simulation.mend()
      try simulation.settle()
      fates += simulation.summary.fates
    }
    for kind in ["saved", "found"] {
      #expect(fates[kind, "after a failure"] > 0, "\(kind): \(fates)")
    }
  }

  /// S16: a store whose disk is full for 20 s and more holds back nothing but the saving: the stream goes on,
  /// no connection is given up, and what was delivered meanwhile is saved when there is room.
  @Test func aFullStoreHoldsBackNothingButTheSaving() throws {
    let directory = try TemporaryDirectory()
    var delivered = 0
    for seed in 1...20 as ClosedRange<UInt64> {
      let simulation = try DriverSimulation(seed: seed, directory: directory.path)
      // A full spool is another matter: that one costs a connection.
      guard (simulation.choices.spool.limit ?? .max) > 1 << 20 else { continue }
      let ordinary: [DriverSimulation.Step] = [.feed, .work, .answer, .deliver, .wait]
      for _ in 0..<30 { try simulation.step(of: ordinary) }
      let connections = simulation.session.connections
      let before = simulation.driver.source.confirmed
      simulation.session.faults.isStoreFull = true
      let stored = simulation.standing
      let full = simulation.now
      while simulation.now < full + .seconds(20) { try simulation.step(of: ordinary) }
      guard connections == 1 else { continue }
      #expect(simulation.session.connections == connections, "seed \(seed)")
      #expect(simulation.standing.stored == stored.stored, "seed \(seed)")
      if simulation.driver.source.confirmed != before { delivered += 1 }
      simulation.mend()
      try simulation.settle()
    }
    #expect(delivered > 5)
  }

  /// Seeds that have found something: all three a transaction that a lost connection had cut and that
  /// did not come again, behind which nothing was confirmed any more.
  @Test(
    arguments: [
      8_425_087_869_605_136_635, 14_601_246_352_070_038_778, 1_466_817_306_728_334_688,
    ] as [UInt64]) func seedsThatFoundSomething(seed: UInt64) throws
  {
    let directory = try TemporaryDirectory()
    try DriverSimulation(seed: seed, directory: directory.path).run(steps: 300)
  }
}
