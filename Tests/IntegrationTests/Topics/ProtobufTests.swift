import Support
import Testing

extension Integration.FirstThird {
  /// Rows as Protobuf in Kafka, read back by Confluent's deserialiser and by Google's library with the
  /// schemas that protoc compiles.
  @Suite(
    .needsKafka,
    .enabled("the Python packages confluent-kafka, protobuf and grpcio-tools are needed") {
      Requirement.present(
        AvroReader.readsTopics && ProtobufReader.isThere,
        else: "no Python packages confluent-kafka, protobuf and grpcio-tools: make readers")
    })
  struct ProtobufTests {
    /// The records of a topic; none while it is not there.
    private static func records(
      _ topic: String, _ scenario: Scenario, _ registry: ScriptedRegistry
    ) throws -> [JSON] {
      let output = try Subprocess.run(
        "python3",
        [
          "\(Binary.project)/Tests/Registry/read-topic", scenario.broker.bootstrap, topic,
          registry.url,
        ])
      guard output.termination == .exited(0) else { throw SupportError(output.standardError) }
      return try output.standardOutput.split(separator: "\n").map { try JSON(String($0)) }
    }

    private static func sink(
      _ name: String, _ format: String, _ style: String, _ registry: ScriptedRegistry
    ) throws -> [String] {
      [
        "[sink.\(name)]", #"type = "kafka""#, #"sources = ["pg"]"#,
        "hosts = [\"\(try Integration.kafka.bootstrap)\"]",
        #"topicTemplate = "{database}.\#(name)""#, #"createTopics = "create""#,
        "format = \"\(format)\"", "schemaStyle = \"\(style)\"",
        #"oversized = "dead-letter""#, "deadLetterTopic = \"alltypes.dead.\(name)\"",
        "registry = { urls = [\"\(registry.url)\"], subjects = \"record\" }",
      ]
    }

    @Test func `Columns that come and go leave the others their numbers`() throws {
      let registry = try ScriptedRegistry()
      var lines = Scenario.Lines()
      lines.sink = [
        #"topicTemplate = "{database}.{schema}.{table}""#, #"format = "protobuf""#,
        "registry = { urls = [\"\(registry.url)\"] }",
        #"debezium = { skippedOperations = "none" }"#,
      ]
      lines.source = [#"snapshot = "initial""#]
      let scenario = try Scenario(
        "protobuf", lines: lines,
        tables: """
          CREATE TABLE t (id int PRIMARY KEY, a text, b numeric(10,2), big text);
          ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
          INSERT INTO t VALUES (1, 'old', 1.50, repeat('x', 20000))
          """)
      let streamer = try scenario.start()
      let topic = "\(scenario.name).public.t"
      try eventually(within: .seconds(60), every: .milliseconds(300), "the row that existed") {
        (try? Self.records(topic, scenario, registry))?.count == 1
      }
      try scenario.psql("INSERT INTO t VALUES (2, 'é', -0.05, NULL)")
      try scenario.psql("UPDATE t SET a = 'new' WHERE id = 1")
      try scenario.psql("ALTER TABLE t DROP a; INSERT INTO t VALUES (3, 3)")
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let again = try scenario.start()
      try scenario.psql("ALTER TABLE t ADD a int; INSERT INTO t VALUES (4, 4, NULL, 44)")
      try scenario.psql("DELETE FROM t WHERE id = 2; TRUNCATE t")
      try scenario.waitUntilConfirmed(again)
      #expect(try scenario.stop(again) == .exited(0))
      let records = try Self.records(topic, scenario, registry)
      let shown = records.map { record in
        let after = record["value"]?["after"]
        let columns = ["id", "a", "b"].map { name in
          after?[name]?.string ?? after?[name]?.int.map { "\($0)" } ?? "-"
        }
        return "\(record["value"]?["op"]?.string ?? "tombstone") \(columns.joined(separator: " "))"
      }
      #expect(
        shown.sorted()
          == [
            "c 2 é -0.05", "c 3 - 3.00", "c 4 44 4.00", "d - - -", "r 1 old 1.50", "t - - -",
            "tombstone - - -", "u 1 new 1.50",
          ])
      let update = records.first { $0["value"]?["op"]?.string == "u" }
      #expect(update?["value"]?["after"]?["big"]?.string == "__debezium_unavailable_value")
      #expect(records.filter { $0["key"]?["id"]?.int == 2 }.count == 3)
      let last = try Subprocess.check(
        "curl",
        [
          "-sS", "--noproxy", "*",
          "\(registry.url)/subjects/\(topic)-value/versions/latest",
        ])
      let text = try #require(try JSON(last)["schema"]?.string)
      for line in [
        "reserved 2;", "int32 id = 1;", "confluent.type.Decimal b = 3", "optional string big = 4;",
        "optional int32 a = 5;",
      ] {
        #expect(text.contains(line), "\(line) in \(text)")
      }
    }

    /// The columns "v" of a sink's records, by table and row.
    private static func rows(
      _ sink: String, _ scenario: Scenario, _ registry: ScriptedRegistry
    ) throws -> [String: JSON] {
      var rows: [String: JSON] = [:]
      for record in try records("\(scenario.name).\(sink)", scenario, registry) {
        guard let value = record["value"] else { continue }
        let row = value["after"] ?? value
        if let table = (value["source"]?["table"] ?? row["__table"])?.string,
          let id = row["id"]?.int
        {
          rows["\(table) \(id)"] = row["v"]
        }
      }
      return rows
    }

    /// The types that the server has, and what makes those of the samples' own.
    private static func types() throws -> (made: String, types: [String]) {
      let postgres = try Integration.postgres
      var types = TypeSamples.builtin
      var made = TypeSamples.types
      for (name, own) in TypeSamples.extensions.sorted(by: { $0.key < $1.key }) {
        let isThere = try postgres.psql(
          "SELECT count(*) FROM pg_available_extensions WHERE name = '\(name)'")
        guard isThere == "1" else { continue }
        made += "\nCREATE EXTENSION \(name) SCHEMA public;"
        types += own
      }
      if (try? postgres.psql("SELECT '<a/>'::xml")) == nil { types.removeAll { $0 == "xml" } }
      return (made, types)
    }

    /// What Avro says of a value, Protobuf says too; lists come out of their messages.
    @Test func `Values of all types are those that Avro has`() throws {
      let registry = try ScriptedRegistry()
      var lines = Scenario.Lines()
      lines.sink = [#"exclude = ["*"]"#]
      for (name, format, style) in [
        ("avro", "avro", "debezium"), ("proto", "protobuf", "debezium"),
        ("plain", "protobuf", "plain"),
      ] {
        lines.more += try Self.sink(name, format, style, registry)
        if style == "plain" { lines.more.append(#"flat = { fields = ["table"] }"#) }
      }
      let (made, types) = try Self.types()
      let tables = types.enumerated().map { index, type in
        "CREATE TABLE t\(index) (id int PRIMARY KEY, v \(type)); "
          + "CREATE TABLE a\(index) (id int PRIMARY KEY, v \(type)[]);"
      }
      let scenario = try Scenario(
        "alltypes", lines: lines, tables: made + tables.joined(separator: "\n"))
      let streamer = try scenario.start()
      var samples = TypeSamples(seed: 7)
      var script = ""
      for (index, type) in types.enumerated() {
        let values = samples.values(of: type, 10)
        let arrays = samples.arrays(of: type, values.count)
        for (id, value) in values.enumerated() {
          script += "INSERT INTO t\(index) VALUES (\(id), \(value));\n"
          script += "INSERT INTO a\(index) VALUES (\(id), \(arrays[id]));\n"
        }
      }
      try scenario.psql("SET search_path = pg_catalog, public; BEGIN; \(script) COMMIT")
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let avro = try Self.rows("avro", scenario, registry)
      let proto = try Self.rows("proto", scenario, registry)
      let plain = try Self.rows("plain", scenario, registry)
      var compared = (same: 0, listed: 0)
      for (place, expected) in avro {
        let type = types[Int(place.dropFirst().prefix { $0 != " " }) ?? 0]
        // Lists of lists are lists of texts.
        if place.hasPrefix("a"), type.hasSuffix("vector") { continue }
        let hasNull = expected.elements.contains(.null)
        // What the schema cannot say is a dead letter.
        #expect((proto[place] == nil) == hasNull, "\(type) \(place)")
        if let value = proto[place] {
          #expect(value == expected, "\(type) \(place)")
          compared.same += 1
        }
        guard case .array = expected, !["numeric", "money", "timestamptz"].contains(type),
          !type.hasSuffix("vector")
        else { continue }
        let elements = try #require(plain[place]?["elements"], "\(type) \(place)").elements
        #expect(elements.map { $0["value"] } == expected.elements, "\(type) \(place)")
        compared.listed += 1
      }
      #expect(Set(avro.keys).isSuperset(of: proto.keys) && plain.count >= avro.count)
      print("\(compared) values are those of Avro; \(plain.count) plain rows were read")
      #expect(compared.same > types.count * 10 && compared.listed > 200)
    }
  }
}
