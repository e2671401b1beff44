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
    #expect(directory.names.isEmpty)
  }
}
