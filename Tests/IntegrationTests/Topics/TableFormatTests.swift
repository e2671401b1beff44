import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// One sink whose tables are written in formats of their own, in topics that its own name is part of.
  @Suite(
    .needsKafka,
    .enabled("the Python packages fastavro and confluent-kafka are needed") {
      Requirement.present(
        AvroReader.readsTopics,
        else: "no Python packages fastavro and confluent-kafka: make readers")
    })
  struct TableFormatTests {
    private static func lines(_ registry: ScriptedRegistry) -> Scenario.Lines {
      var lines = Scenario.Lines()
      lines.sink = [
        #"topicTemplate = "{source}.{sink}.{database}.{table}""#,
        "registry = { urls = [\"\(registry.url)\"] }",
      ]
      lines.more = [
        "[sink.out.table.flat]", #"format = "flat""#,
        "[sink.out.table.coded]", #"format = "avro""#, #"topic = "coded.{database}.{sink}""#,
        "[sink.out.table.enveloped]", #"format = "debezium""#,
      ]
      return lines
    }

    private static func verify(_ scenario: Scenario) throws -> (Subprocess.Termination, String) {
      let output = try Subprocess.run(
        Binary.psqlStreamer,
        ["verify", "--config", scenario.directory.file("psql-streamer.toml")],
        within: .seconds(120))
      return (output.termination, output.standardOutput + output.standardError)
    }

    @Test func `Tables of one sink have formats of their own`() throws {
      let registry = try ScriptedRegistry()
      let tables = ["native", "flat", "coded", "enveloped"]
      let scenario = try Scenario(
        "formats", lines: Self.lines(registry),
        tables: tables.map { "CREATE TABLE \($0) (id int PRIMARY KEY, note text)" }.joined(
          separator: ";"))
      let streamer = try scenario.start()
      // Every transaction has rows of all of them by turns.
      for round in 0..<3 {
        let rows = (0..<10).flatMap { row in
          tables.map { "INSERT INTO \($0) VALUES (\(round * 10 + row), 'é\(row)')" }
        }
        let gone = tables.map { "DELETE FROM \($0) WHERE id = \(round * 10)" }
        try scenario.psql("BEGIN;\((rows + gone).joined(separator: ";"));COMMIT")
      }
      try scenario.waitUntilConfirmed(streamer)

      func records(_ table: String) throws -> [KafkaRecord] {
        try scenario.broker.records("pg.out.\(scenario.name).\(table)")
      }
      func values(_ table: String) throws -> [JSON] {
        try records(table).compactMap(\.value).map { try JSON($0) }
      }
      let native = try values("native")
      #expect(native.count == 33 && native.allSatisfy { $0["UUID"] != nil })
      let flat = try values("flat")
      #expect(flat.count == 30 && flat.allSatisfy { $0.names == ["id", "note"] })
      #expect(try records("flat").count == 33)
      let enveloped = try values("enveloped")
      #expect(enveloped.count == 33)
      let transactions = Set(native.map { $0["XID"]?.int })
      #expect(Set(enveloped.map { $0["source"]?["txId"]?.int }) == transactions)
      #expect(transactions.count == 3)
      let coded = try Subprocess.check(
        "python3",
        [
          "\(Binary.project)/Tests/Registry/read-topic", scenario.broker.bootstrap,
          "coded.\(scenario.name).out", registry.url,
        ]
      ).split(separator: "\n").map { try JSON(String($0)) }
      let inserts = coded.filter { $0["value"]?["op"]?.string == "c" }
      #expect(coded.count == 36 && inserts.count == 30)
      #expect(Set(inserts.map { $0["value"]?["source"]?["txId"]?.int }) == transactions)
      #expect(Set(inserts.map { $0["key"]?["id"]?.int }) == Set(0..<30))

      let (code, report) = try Self.verify(scenario)
      #expect(code == .exited(0), "\(report)")
      for table in ["flat", "enveloped", "coded"] {
        #expect(report.contains("public.\(table)"), "\(report)")
      }
      #expect(!report.contains("is not read by verify"), "\(report)")
      try checkReload(scenario, streamer, records)
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// A table gets another format while the program runs.
    private func checkReload(
      _ scenario: Scenario, _ streamer: Subprocess,
      _ records: (String) throws -> [KafkaRecord]
    ) throws {
      let file = scenario.directory.file("psql-streamer.toml")
      try FileBytes.write(
        scenario.configuration + "\n[sink.out.table.native]\nformat = \"flat\"\n", to: file)
      streamer.send(SIGHUP)
      try eventually(within: .seconds(60), "the reload") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("the configuration is reloaded")
      }
      var id = 1_000
      try eventually(within: .seconds(60), every: .milliseconds(300), "a row in the new format") {
        try Scenario.requireAlive(streamer)
        id += 1
        try scenario.psql("INSERT INTO native VALUES (\(id), 'new')")
        try scenario.waitUntilConfirmed(streamer)
        return try records("native").contains { $0.value == #"{"id":\#(id),"note":"new"}"# }
      }
    }
  }
}
