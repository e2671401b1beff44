import Testing

@testable import PGWire

/// Sessions with a real server: every method, every mode, the usual mistakes.
@Suite(.enabled(if: LiveServer.isAvailable, "needs a PostgreSQL server"), .serialized)
struct LiveConnectionTests {
  let server: LiveServer

  init() throws { server = try #require(LiveServer.shared) }

  private func user(_ keywords: String) throws -> [QueryResult] {
    var connection = try Connection.open(server.parameters(keywords))
    let results = try connection.query(
      "SELECT current_user AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    connection.close()
    return results
  }

  private func error(_ keywords: String) throws -> PGError {
    do throws(PGError) {
      let connection = try Connection.open(try parameters(keywords))
      connection.close()
    } catch {
      return error
    }
    Issue.record("the connection was expected to be refused")
    return .timeout("")
  }

  private func parameters(_ keywords: String) throws(PGError) -> ConnectionParameters {
    do { return try server.parameters(keywords) } catch { throw .connectionString("\(error)") }
  }

  @Test(arguments: [
    "user=trust_user", "user=clear_user password='clear secret'",
    "user=md5_user password='md5 secret'", "user=scram_user password='scram secret'",
  ])
  func authenticates(keywords: String) throws {
    let name = try #require(keywords.split { $0 == "=" || $0 == " " }.dropFirst().first)
    for mode in ["disable", "allow", "prefer", "require"] {
      let results = try user("\(keywords) sslmode=\(mode)")
      #expect(results.first?[first: "name"] == String(name))
      let isEncrypted = mode == "prefer" || mode == "require"
      #expect(results.first?[first: "ssl"] == (isEncrypted ? "t" : "f"))
      #expect(results.first?.commandTag == "SELECT 1")
    }
  }
}
