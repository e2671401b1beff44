import PGWire
import Support
import Synchronization
import Testing

extension Integration.LastThird {
  /// Every version that is installed is asked for everything, what it lacks included.
  ///
  /// `PSQL_STREAMER_COMPATIBILITY=1` writes docs/COMPATIBILITY.md; otherwise the page is compared.
  @Suite(.serialized) struct Matrix {
    private static let results = Mutex<[Int: MatrixResult]>([:])
    private static let available = CompatibilityPage.versions.filter {
      PostgresPrograms.installed[$0] != nil || CompatibilityPage.imitated.contains($0)
    }

    @Test(arguments: CompatibilityPage.versions)
    func `A server has what its version is said to have, and nothing else`(major: Int) throws {
      guard
        Requirement.present(
          Self.available.contains(major), else: "no PostgreSQL \(major): run make servers")
      else { return }
      let result = try Self.result(major)
      for check in MatrixCheck.all where !result.isImitated || check.isImitable {
        let seen = try #require(result.seen[check.title])
        #expect(
          seen.isExpected(of: major >= check.since), "\(major): \(check.title): \(seen.text)")
      }
    }

    @Test func `The page says what was seen`() throws {
      var all: [Int: MatrixResult] = [:]
      for major in Self.available { all[major] = try Self.result(major) }
      let page = CompatibilityPage(seen: all).text
      if TestEnvironment["PSQL_STREAMER_COMPATIBILITY"] != nil {
        try FileBytes.write(page, to: CompatibilityPage.path)
      }
      let kept = CompatibilityPage.cells(of: try FileBytes.text(of: CompatibilityPage.path))
      let now = CompatibilityPage.cells(of: page)
      #expect(Set(kept.keys) == Set(now.keys), "run make compatibility")
      for (title, cells) in now {
        for (major, cell) in cells where all[major] != nil {
          #expect(kept[title]?[major] == cell, "\(major): \(title): run make compatibility")
        }
      }
    }

    /// A version is asked once in a test run.
    private static func result(_ major: Int) throws -> MatrixResult {
      if let known = results.withLock({ $0[major] }) { return known }
      let isImitated = CompatibilityPage.imitated.contains(major)
      let server = try isImitated ? MatrixServer(imitating: major) : MatrixServer(major: major)
      var seen: [String: Seen] = [:]
      for check in MatrixCheck.all where !isImitated || check.isImitable {
        do { seen[check.title] = try check.probe(server) } catch {
          Issue.record("\(server.version): \(check.title): \(error)")
          seen[check.title] = .absent("failed")
        }
      }
      let result = MatrixResult(version: server.version, isImitated: isImitated, seen: seen)
      results.withLock { $0[major] = result }
      return result
    }
  }
}
