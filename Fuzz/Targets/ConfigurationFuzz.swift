import Support

@testable import Streamer

/// Configuration files: read, or refused with lines; migrated to what can be read, or refused.
enum ConfigurationFuzz: FuzzTarget {
  static let name = "configuration"
  private static let variables = ["PGPASS": "geheim-env", "TEN": "10", "YES": "true"]
  private static let files = [
    "/run/secrets/token": Array("geheim-file\n".utf8), "/run/secrets/binary": [0xFF, 0xFE],
  ]

  static let words = [
    "[source.", "[sink.", "type = \"postgres\"\n", "type = \"kafka\"\n", "${PGPASS}", "${TEN}",
    "${file:/run/secrets/token}", "\"\"\"", "'''", "dsn = ", "hosts = [", "\\u0000", "2026-01-01",
    "batchSize = ", "boltdb = ", "0x", "inf", "$${",
  ]

  static var seeds: [[UInt8]] {
    get throws {
      let example = try FileBytes.text(of: "\(Binary.project)/psql-streamer.toml")
      return ([example] + pieces).map { Array($0.utf8) }
    }
  }

  private static let pieces = [
    """
    store = "/p.db"
    [source.db1]
    type = "postgres"
    dsn = "dbname=test password=${PGPASS}"
    publication = "pub1"
    replicationSlot = "slot1"
    [sink.out]
    type = "stub_discard"
    sources = ["db1"]
    """,
    """
    http = ":12080"
    boltdb = "/tmp/b"
    httpToken = "${file:/run/secrets/token}"
    [source.kafka1]
    type = "kafka"
    hosts = [ "kafka1:9092" ]
    topics = [ "topic1" ]
    groupID = "bar"
    batchSize = ${TEN}
    [sink.k]
    type = "kafka"
    sources = ["kafka1"]
    hosts = ["k:9092"]
    tableTopicMapping = { table1 = "topic1" }
    topicFallback = "rest"
    """,
    "a.b.c = [1, 2.5, true, 2026-11-24]\n\"q\\\"\" = '''x\ny'''\n[[t]]\n[[t]]\nz = {}",
  ]

  static func run(_ input: [UInt8]) throws(Violation) {
    guard let text = String(validating: input, as: UTF8.self) else { return }
    if let errors = errors(text) {
      try require(!errors.errors.isEmpty, "a file is refused without a reason")
      for error in errors.errors {
        try check(error, lines: text.utf8.count { $0 == 10 } + 1)
        try require(
          text.contains("geheim") || !"\(error)".contains("geheim"), "an error shows a secret")
      }
    }
    try migrate(text)
  }

  private static func errors(_ text: String) -> ConfigurationErrors? {
    do throws(ConfigurationErrors) {
      _ = try Configuration.parse(
        text: text, file: "c.toml", environment: { variables[$0] }, readFile: read)
      return nil
    } catch { return error }
  }

  private static func check(_ error: ConfigurationError, lines: Int) throws(Violation) {
    // What is missing stands on no line.
    let isPlaced = (1...lines).contains(error.line) || error.line == 0 && error.found == "nothing"
    try require(isPlaced, "an error names no line of the file: \(error)")
    try require("\(error)".isOneLine, "an error is not one line: \(error)")
  }

  /// What is migrated has no new errors.
  private static func migrate(_ text: String) throws(Violation) {
    let migrated: String
    do throws(ConfigurationErrors) {
      migrated = try ConfigurationMigration.migrate(text: text, file: "c.toml")
    } catch {
      for error in error.errors { try check(error, lines: text.utf8.count { $0 == 10 } + 1) }
      return
    }
    guard errors(text) == nil else { return }
    let after = errors(migrated)
    try require(after == nil, "a file that was fine is not after its migration: \(migrated)")
  }

  private static func read(_ path: String, _ limit: Int) throws(FileReadError) -> [UInt8] {
    guard let bytes = files[path] else { throw FileReadError(reason: "No such file") }
    return Array(bytes.prefix(limit))
  }
}
