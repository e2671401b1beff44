@testable import Streamer

/// Parses configurations in tests, with an environment and files of their own.
enum ConfigurationFixture {
  /// The variables that references find.
  static let variables = [
    "PGPASS": "geheim-env", "TEN": "10", "YES": "true", "SOURCE": "db1", "RUN": "/run",
    "SECRETS": "secrets",
  ]
  /// The files that references and the store find.
  static let files: [String: [UInt8]] = [
    "/run/secrets/token": Array("geheim-file\n".utf8),
    "/run/secrets/binary": [0xFF, 0xFE],
    "/run/secrets/long": [UInt8](repeating: 0x61, count: 100_000),
    "/old/bolt.db": [UInt8](repeating: 0, count: 16) + [0xED, 0xDA, 0x0C, 0xED] + [0, 0],
  ]

  /// The least that runs: one source and one sink that is only counted.
  static let minimal = """
    store = "/var/lib/p.db"
    [source.db1]
    type = "postgres"
    dsn = "dbname=test"
    publication = "pub1"
    replicationSlot = "slot1"
    [sink.out]
    type = "stub_discard"
    sources = ["db1"]

    """

  /// Parses a text as `c.toml`.
  static func parse(_ text: String) throws(ConfigurationErrors) -> Configuration {
    try Configuration.parse(
      text: text, file: "c.toml", environment: { variables[$0] }, readFile: read)
  }

  /// The lines of the errors of a text, without their common prefix; none when there is no error.
  static func errors(_ text: String) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try parse(text)
      return []
    } catch {
      return error.errors.map(\.description)
    }
  }

  /// Gives the files above.
  static func read(_ path: String, _ limit: Int) throws(FileReadError) -> [UInt8] {
    guard let bytes = files[path] else { throw FileReadError(reason: "No such file or directory") }
    return Array(bytes.prefix(limit))
  }
}

/// Parts of configurations that are right, to be put together with what is wrong.
enum ConfigurationPieces {
  static let source = """
    store = "/p.db"
    [source.db1]
    type = "postgres"
    dsn = "dbname=test"
    publication = "pub1"
    replicationSlot = "slot1"

    """
  static let kafka = """
    [sink.k]
    type = "kafka"
    sources = ["db1"]
    hosts = ["k:9092"]
    topicFallback = "rest"

    """
  static let out = "[sink.out]\ntype = \"stub_discard\"\nsources = [\"db1\"]\n"
}
