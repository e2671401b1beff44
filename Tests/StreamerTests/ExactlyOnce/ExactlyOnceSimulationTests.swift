import Support
import Testing

@testable import Streamer

/// Crashes, take-overs, lost answers and late requests at every step of exactly-once.
///
/// `PSQL_STREAMER_SEED=N` plays run N first; `PSQL_STREAMER_EXACTLY_ONCE_SIMULATIONS=N` runs that many.
@Suite struct ExactlyOnceSimulationTests {
  @Test func everyRowIsThereOnce() throws {
    let base = SeededRandom("exactly-once simulation").seed
    let count = TestEnvironment["PSQL_STREAMER_EXACTLY_ONCE_SIMULATIONS"].flatMap { UInt64($0) }
    var sum = ExactlyOnceSimulation.Summary()
    for offset in 0..<(count ?? 500) {
      let seed = base &+ offset
      let simulation = ExactlyOnceSimulation(seed: seed)
      do { try simulation.run(steps: 600) } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
      sum.runs += 1
      sum.claims += simulation.summary.claims
      sum.crashes += simulation.summary.crashes
      sum.late += simulation.summary.late
      sum.cuts += simulation.summary.cuts
      sum.rows += simulation.summary.rows
    }
    printToStandardError("exactly-once simulation: \(sum)")
    #expect(sum.claims > sum.runs && sum.crashes > sum.runs && sum.cuts > 0, "\(sum)")
  }

  /// Without a fresh producer after a doubtful commit a late request ends the next transaction; and
  /// a claim that outlives its connection says nothing of who has written meanwhile.
  @Test(arguments: [
    ExactlyOnceWorld.Mutation.goesOnAfterDoubt, ExactlyOnceWorld.Mutation.keepsItsClaim,
  ])
  func eachRuleIsNeeded(mutation: ExactlyOnceWorld.Mutation) {
    for seed in UInt64(1)...3_000 {
      let simulation = ExactlyOnceSimulation(seed: seed, mutation: mutation)
      do { try simulation.run(steps: 600) } catch {
        return printToStandardError("without \(mutation), seed \(seed): \(error)")
      }
    }
    Issue.record("the rule seems to be of no use")
  }
}
