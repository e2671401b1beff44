import PGWire
import Testing

@testable import Streamer

/// What errors of the server mean is decided by SQLSTATE and names: its words may be in any language
/// (lc_messages).
struct PostgresErrorsTests {
  private let source: PostgresSourceConfiguration

  init() throws {
    let parsed = try Configuration.parse(
      text: """
        store = "s"
        [source.pg]
        type = "postgres"
        dsn = "host=h dbname=d user='Mary Q'"
        publication = "Pub 1"
        replicationSlot = "slot"
        [sink.out]
        type = "stdout"
        sources = ["pg"]
        """, file: "c.toml", environment: { _ in nil }, readFile: ConfigurationFixture.read)
    guard case .postgres(let postgres) = parsed.sources[0].kind else {
      throw StreamerError(what: "the source is of another kind")
    }
    source = postgres
  }

  @Test(arguments: [
    ("42704", "Publikation »Pub 1« existiert nicht", #"CREATE PUBLICATION "Pub 1" FOR ALL"#),
    ("42704", "la publication « Pub 1 » n'existe pas", #"CREATE PUBLICATION "Pub 1" FOR ALL"#),
    (
      "58P01", "das angeforderte WAL-Segment 000000010000000000000001 wurde schon entfernt",
      "The server has removed WAL that slot slot needed"
    ),
    ("42501", "keine Berechtigung, um WAL-Sender zu starten", #"ALTER ROLE "Mary Q" REPLICATION"#),
  ])
  func hintsInAnyLanguage(code: String, message: String, hint: String) {
    var error = ServerError()
    error.code = code
    error.message = message
    let told = StreamerError(PGError.server(error), source: source, name: "pg")
    #expect(told.hint.hasPrefix(hint) || told.hint.contains(hint), "\(told.hint)")
  }
}
