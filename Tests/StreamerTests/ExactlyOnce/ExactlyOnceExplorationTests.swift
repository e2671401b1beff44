import Support
import Testing

@testable import Streamer

/// All faults of exactly-once in every place, up to a number of them.
///
/// `PSQL_STREAMER_EXACTLY_ONCE_FAULTS=N` sets that number.
@Suite struct ExactlyOnceExplorationTests {
  private static let faults =
    TestEnvironment["PSQL_STREAMER_EXACTLY_ONCE_FAULTS"].flatMap { Int($0) } ?? 3

  @Test func everyRowIsThereOnceWhateverTheFaults() throws {
    var exploration = ExactlyOnceExploration()
    try exploration.run(faults: Self.faults)
    printToStandardError("exactly-once exploration: \(exploration.summary)")
    #expect(exploration.summary.late > 0 && exploration.summary.cuts > 0)
  }

  @Test(arguments: [
    ExactlyOnceWorld.Mutation.goesOnAfterDoubt, ExactlyOnceWorld.Mutation.keepsItsClaim,
  ])
  func eachRuleIsNeeded(mutation: ExactlyOnceWorld.Mutation) throws {
    var exploration = ExactlyOnceExploration(mutation: mutation)
    let failure = #expect(throws: ExactlyOnceExploration.Failure.self) {
      try exploration.run(faults: 3)
    }
    printToStandardError("without \(mutation): \(failure.map { "\($0)" } ?? "")")
  }
}
