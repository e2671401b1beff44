import Support
import Testing

/// Every target on its seeds and on the inputs that once crashed it.
@Suite struct FuzzTargetTests {
  /// One target, named in the test's output.
  struct Named: Sendable, CustomStringConvertible {
    let target: any FuzzTarget.Type
    var description: String { target.name }
  }

  static let targets = FuzzTargets.all.map(Named.init)

  @Test(arguments: targets) func seedsHold(_ named: Named) throws {
    let seeds = try named.target.seeds
    #expect(!seeds.isEmpty)
    for seed in seeds { try named.target.run(seed) }
  }

  @Test(arguments: targets) func regressionsHold(_ named: Named) throws {
    let folder = "\(Binary.project)/Fuzz/Regressions/\(named.target.name)"
    for name in Recordings.names(in: folder) {
      let input = try FileBytes.bytes(of: "\(folder)/\(name)")
      #expect(throws: Never.self, "\(named)/\(name)") { try named.target.run(input) }
    }
  }

  /// A folder that no target reads would be regressions that nobody checks.
  @Test func everyRegressionBelongsToATarget() {
    let folders = Recordings.names(in: "\(Binary.project)/Fuzz/Regressions")
    #expect(folders.allSatisfy { FuzzTargets.named($0) != nil })
  }

  @Test func namesAreUnique() {
    #expect(Set(FuzzTargets.all.map { $0.name }).count == FuzzTargets.all.count)
  }
}
