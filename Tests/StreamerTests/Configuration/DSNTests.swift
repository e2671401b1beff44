import PGWire
import Testing

@testable import Streamer

/// Connection strings of the file: their references, and their mistakes (U3, U7).
@Suite struct DSNTests {
  private func text(_ dsn: String) -> String {
    ConfigurationFixture.minimal.replacing(
      "dsn = \"dbname=test\"", with: "dsn = '''\(dsn)'''")
  }

  private func lines(_ dsn: String, _ variables: [String: String] = [:]) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try Configuration.parse(
        text: text(dsn), file: "c.toml", environment: { variables[$0] },
        readFile: ConfigurationFixture.read)
      return []
    } catch { return error.errors.map(\.description) }
  }

  private func string(_ dsn: String, _ variables: [String: String]) throws -> ConnectionString {
    let configuration = try Configuration.parse(
      text: text(dsn), file: "c.toml", environment: { variables[$0] },
      readFile: ConfigurationFixture.read)
    guard case .postgres(let source) = configuration.sources[0].kind else {
      return ConnectionString()
    }
    return source.dsn.string
  }

  @Test(arguments: ["secret sslmode=disable host=evil", "p4ss word'x", "a@evil/b?c", "%41"])
  func aReferenceIsOneValue(_ secret: String) throws {
    let keywords = try string("host=db1 password=${S} sslmode=require", ["S": secret])
    #expect(keywords.values == [.host: "db1", .password: secret, .sslmode: "require"])
    let uri = try string("postgres://u:${S}@db1/d", ["S": secret])
    #expect(uri.values == [.host: "db1", .user: "u", .password: secret, .dbname: "d"])
  }

  @Test func oneReferenceAloneIsTheWholeString() throws {
    #expect(try string("${S}", ["S": "host=a dbname=b"]).values == [.host: "a", .dbname: "b"])
    #expect(try string(" ${S} ", ["S": "postgres://u@a/b"]).values[.user] == "u")
  }

  static let mistakes: [(dsn: String, hint: String)] = [
    ("hots=x", "Keyword \"hots\" is unknown. Did you mean \"host\"?"),
    ("host=x port=abc", "The port is no number from 1 to 65535"),
    ("host=x port=${PORT}", "The port is no number from 1 to 65535"),
    ("host=x sslmode=${PORT}", "Sslmode=${PORT} is unknown"),
    ("host=x ${PORT}", "A reference stands where a keyword belongs"),
    ("${PORT}", "What its references stand for is wrong there, and is not shown."),
    ("postgres://h/d?sslmode=perhaps", "Sslmode=perhaps is unknown"),
    ("password='x", "The quoted value of \"password\" does not end"),
  ]

  @Test(arguments: mistakes)
  func mistakesAreFoundAtLoad(_ dsn: String, _ hint: String) {
    let found = lines(dsn, ["PORT": "geheim"])
    let start =
      "c.toml:4: source.db1.dsn: found a connection string with a mistake, expected one as libpq "
      + "reads it. \(hint)"
    #expect(found.count == 1 && found[0].hasPrefix(start), "\(found)")
    #expect(!found.joined().contains("geheim"))
  }

  @Test func mistakesAreFoundWithAllOthers() {
    let text =
      ConfigurationFixture.minimal.replacing("dbname=test", with: "dbnme=test") + "x = 1\n"
    #expect(ConfigurationFixture.errors(text).count == 2)
  }

  @Test func aCommandThatConnectsToNothingNeedsNoVariables() throws {
    let text = ConfigurationFixture.minimal.replacing("dbname=test", with: "port=${NOPE}")
    #expect(ConfigurationFixture.errors(text).count == 1)
    _ = try Configuration.parse(
      text: text, file: "c.toml", environment: { "${\($0)}" },
      readFile: ConfigurationFixture.read, connects: false)
    let migrated = try ConfigurationMigration.migrate(text: text, file: "c.toml")
    #expect(migrated.contains("port=${NOPE}"))
  }
}
