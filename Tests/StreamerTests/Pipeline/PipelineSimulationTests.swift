import Support
import Testing

@testable import Streamer

/// Random schedules of reading, delivery, saving, lost connections, failing sinks and crashes.
///
/// `PSQL_STREAMER_SEED=N` plays run N first; `PSQL_STREAMER_SIMULATIONS=N` runs that many.
@Suite struct PipelineSimulationTests {
  @Test func nothingIsLostRepeatedOrAcknowledgedEarly() {
    let base = SeededRandom("pipeline simulation").seed
    let runs = TestEnvironment["PSQL_STREAMER_SIMULATIONS"].flatMap { UInt64($0) } ?? 200
    var (troubles, repeats) = (0, 0)
    for offset in 0..<runs {
      let seed = base &+ offset
      let simulation = PipelineSimulation(seed: seed)
      do { try simulation.run(steps: 300) } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
      troubles += simulation.summary.troubles
      repeats += simulation.summary.repeats
    }
    // Runs in which nothing goes wrong would prove nothing.
    #expect(troubles > runs && repeats > runs)
  }
}
