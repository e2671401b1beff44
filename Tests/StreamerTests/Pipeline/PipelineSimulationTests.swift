import Support
import Testing

@testable import Streamer

/// Random schedules of reading, delivery, saving, lost connections, failing sinks and crashes.
///
/// `PSQL_STREAMER_SEED=N` plays run N first; `PSQL_STREAMER_SIMULATIONS=N` runs that many.
@Suite struct PipelineSimulationTests {
  @Test func nothingIsLostRepeatedOrAcknowledgedEarly() throws {
    let directory = try TemporaryDirectory()
    let base = SeededRandom("pipeline simulation").seed
    let runs = TestEnvironment["PSQL_STREAMER_SIMULATIONS"].flatMap { UInt64($0) } ?? 200
    var sum = PipelineSimulation.Summary()
    for offset in 0..<runs {
      let seed = base &+ offset
      let simulation = PipelineSimulation(seed: seed, directory: directory.path)
      do { try simulation.run(steps: 300) } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
      sum += simulation.summary
    }
    // Runs in which nothing goes wrong, or nothing is streamed, would prove nothing.
    #expect(sum.troubles > runs && sum.repeats > runs, "\(sum)")
    #expect(sum.streamed > runs && sum.spooled > runs / 2 && sum.faults > runs / 20, "\(sum)")
    #expect(directory.names.isEmpty)
  }
}
