import Testing

@testable import Streamer

/// The documentation and the example say what the program reads.
@Suite struct ConfigurationDocumentationTests {
  /// Where a file of the project lies.
  private static func path(_ name: String) -> String {
    let parts = #filePath.split(separator: "/").dropLast(4).map(String.init)
    return "/" + (parts + [name]).joined(separator: "/")
  }

  /// The text of a file of the project.
  private static func text(_ name: String) throws -> String {
    String(decoding: try FileReading.read(path(name), limit: 1 << 20), as: UTF8.self)
  }

  /// The keys of each section's table.
  static func documentedKeys() throws -> [String: [String]] {
    var keys: [String: [String]] = [:]
    var section = ""
    for line in try text("docs/CONFIGURATION.md").split(separator: "\n") {
      if line.hasPrefix("## ") || line.hasPrefix("### ") {
        section = String(line.drop { $0 == "#" || $0 == " " })
      } else if line.hasPrefix("| `") {
        keys[section, default: []].append(String(line.dropFirst(3).prefix { $0 != "`" }))
      }
    }
    return keys
  }

  /// The keys that the program asks for, by what they belong to.
  private static func knownKeys() throws -> [String: Set<String>] {
    var reader = try Configuration.topReader(
      text: """
        [source]
        p = { type = "postgres", spool = {}, walBudget = {} }
        k.type = "kafka"
        r.type = "recording"
        [sink]
        k = { type = "kafka", topics = {}, debezium = {}, flat = {}, outbox = {}, table = { orders = {} } }
        f.type = "file"
        o.type = "stdout"
        l.type = "stub_log"
        d.type = "stub_discard"
        """, file: "c.toml",
      secrets: SecretExpansion(environment: { _ in nil }, readFile: ConfigurationFixture.read))
    _ = Configuration(in: &reader)
    var known = reader.keysBySubject.mapValues { Set($0) }
    known["the top of the file"] = Set(reader.keys)
    return known
  }

  @Test func everyKeyIsDocumentedInItsSection() throws {
    let documented = try Self.documentedKeys()
    let known = try Self.knownKeys()
    let common = documented["Every sink"] ?? []
    let sections: [(subject: String, keys: [String])] = [
      ("the top of the file", documented["Top of the file"] ?? []),
      ("a postgres source", documented["Source postgres"] ?? []),
      ("the WAL budget", documented["WAL budget"] ?? []),
      ("the spool", documented["Spool"] ?? []),
      ("a kafka source", documented["Source kafka"] ?? []),
      ("a recording source", documented["Source recording"] ?? []),
      ("a kafka sink", common + (documented["Sink kafka"] ?? [])),
      ("the topics to create", documented["Topics"] ?? []),
      ("Debezium's formats", documented["Debezium"] ?? []),
      ("the flat format", documented["Rows alone"] ?? []),
      ("a rule of a table", documented["Rules of tables"] ?? []),
      ("an outbox", documented["Outbox"] ?? []),
      ("a file sink", common + (documented["Sink file"] ?? [])),
      ("a stdout sink", common),
      ("a stub_log sink", common),
      ("a stub_discard sink", common),
    ]
    for (subject, keys) in sections {
      let expected = try #require(known[subject], "no key is asked for in \(subject)")
      #expect(Set(keys) == expected, "docs/CONFIGURATION.md and \(subject)")
      #expect(keys.count == Set(keys).count, "a key of \(subject) is documented twice")
    }
  }

  @Test func exampleOfTheDocumentationLoads() throws {
    let text = try Self.text("docs/CONFIGURATION.md")
    let block = text.split(separator: "```toml\n", maxSplits: 1)
    let example = try #require(block.last?.split(separator: "```", maxSplits: 1).first)
    let configuration = try Self.parse(String(example))
    #expect(configuration.sources.count == 1)
  }

  @Test func exampleFileLoadsWithoutNotes() throws {
    let configuration = try Self.parse(try Self.text("psql-streamer.toml"))
    #expect(configuration.notes.isEmpty)
    #expect(configuration.sinks.map(\.name) == ["kafka1"])
  }

  /// The process' own environment and files are used: here they lack the secrets.
  @Test func exampleFileLoadsFromDisk() {
    let error = #expect(throws: ConfigurationErrors.self) {
      try Configuration.load(path: Self.path("psql-streamer.toml"))
    }
    #expect(error?.errors.last?.path == "sink.kafka1.librdkafka.\"sasl.password\"")
    #expect(error?.errors.last?.found == "${KAFKA_PASSWORD}, which is not set")
  }

  /// What the example shows as a comment is right too.
  @Test func exampleFileLoadsWithItsCommentsTaken() throws {
    let lines = try Self.text("psql-streamer.toml").split(
      separator: "\n", omittingEmptySubsequences: false
    ).map { line -> String in
      let bare = line.drop { $0 == "#" || $0 == " " }
      let isSetting = bare.hasPrefix("[") || bare.prefix { $0 != " " }.allSatisfy(\.isLetter)
      return line.hasPrefix("#") && isSetting && (bare.hasPrefix("[") || bare.contains(" = "))
        ? String(bare) : String(line)
    }
    let configuration = try Self.parse(lines.joined(separator: "\n"))
    #expect(configuration.sinks.map(\.name) == ["kafka1", "out", "files"])
    #expect(configuration.httpToken != nil)
  }

  private static func parse(_ text: String) throws(ConfigurationErrors) -> Configuration {
    try Configuration.parse(
      text: text, file: "psql-streamer.toml",
      environment: { $0.hasPrefix("PG") && $0 != "PGPASSWORD" ? nil : "geheim" },
      readFile: { (path: String, limit: Int) throws(FileReadError) -> [UInt8] in
        guard path.hasPrefix("/run/secrets/") else { throw FileReadError(reason: "not there") }
        return Array("geheim".utf8.prefix(limit))
      })
  }
}
