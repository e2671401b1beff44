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
    let runs = TestEnvironment["PSQL_STREAMER_DRIVER_SIMULATIONS"].flatMap { UInt64($0) } ?? 2_000
    var sum = DriverSimulation.Summary()
    for offset in 0..<runs {
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
    for kind in Self.kinds {
      for fate in ["given", "together with others", "late", "lost"] {
        #expect(sum.fates[kind, fate] > 0, "no answer: \(kind), \(fate)")
      }
    }
    #expect(directory.names.isEmpty)
  }

  /// What the worker answers: each kind has to come alone, with others, late, and never.
  private static let kinds = [
    "attempted", "attempted failed", "durable", "durable failed", "found", "found failed",
    "saved", "saved failed", "slot", "released",
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

  /// A store whose disk is full for a while holds back nothing but the saving: the stream goes on,
  /// no connection is given up, and what was delivered meanwhile is saved when there is room.
  @Test func aFullStoreHoldsBackNothingButTheSaving() throws {
    let directory = try TemporaryDirectory()
    var delivered = 0
    for seed in 1...20 as ClosedRange<UInt64> {
      let simulation = try DriverSimulation(seed: seed, directory: directory.path)
      let ordinary: [DriverSimulation.Step] = [.feed, .work, .answer, .deliver, .wait]
      for _ in 0..<30 { try simulation.step(of: ordinary) }
      let connections = simulation.session.connections
      let before = simulation.driver.source.confirmed
      simulation.session.faults.isStoreFull = true
      let stored = simulation.standing
      for _ in 0..<60 { try simulation.step(of: ordinary) }
      guard connections == 1 else { continue }
      #expect(simulation.session.connections == connections, "seed \(seed)")
      #expect(simulation.standing.stored == stored.stored, "seed \(seed)")
      if simulation.driver.source.confirmed != before { delivered += 1 }
      simulation.mend()
      try simulation.settle()
    }
    #expect(delivered > 5)
  }

  /// Seeds that have found something, and what.
  @Test(arguments: [UInt64]()) func seedsThatFoundSomething(seed: UInt64) throws {
    let directory = try TemporaryDirectory()
    try DriverSimulation(seed: seed, directory: directory.path).run(steps: 300)
  }
}
