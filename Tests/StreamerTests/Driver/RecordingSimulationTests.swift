import Support
import Testing

@testable import Streamer

/// The driver with a recording for a source, under random schedules.
@Suite struct RecordingSimulationTests {
  @Test func allOfARecordingArrives() throws {
    let base = SeededRandom("recording simulation").seed
    var (failures, stops, repeats) = (0, 0, 0)
    for seed in base..<base + 300 {
      do {
        let simulation = try RecordingSimulation(seed: seed, directory: TemporaryDirectory())
        try simulation.run()
        failures += simulation.failures
        stops += simulation.wasStopped ? 1 : 0
        repeats += simulation.repeats
      } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
    }
    #expect(failures > 100 && stops > 20 && repeats > 100)
  }

  /// A stop was not heard while the recording's last events waited for a sink that hung.
  @Test func aSeedThatFoundSomething() throws {
    try RecordingSimulation(seed: 4_766_587_001_965_046_235, directory: TemporaryDirectory()).run()
  }
}
