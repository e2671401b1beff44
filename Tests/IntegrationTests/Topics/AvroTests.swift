import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// Rows as Avro and as JSON with schemas in Kafka, read back by others' readers, through a registry that has its
  /// troubles.
  @Suite(
    .needsKafka,
    .enabled("the Python packages fastavro and confluent-kafka are needed") {
      Requirement.present(
        AvroReader.readsTopics,
        else: "no Python packages fastavro and confluent-kafka: make readers")
    })
  struct AvroTests {
    /// The rows of a table's topic, as fastavro reads them; none while the topic is not there.
    private static func rows(
      _ table: String, in schema: String = "public", _ scenario: Scenario,
      _ registry: ScriptedRegistry
    ) -> [JSON] {
      let output = try? Subprocess.run(
        "python3",
        [
          "\(Binary.project)/Tests/Registry/read-topic", scenario.broker.bootstrap,
          "\(scenario.name).\(schema).\(table)", registry.url,
        ])
      guard let output, output.termination == .exited(0) else { return [] }
      return output.standardOutput.split(separator: "\n").compactMap { try? JSON(String($0)) }
    }

    private static func wait(
      _ count: Int, in table: String, _ scenario: Scenario, _ registry: ScriptedRegistry
    ) throws -> [JSON] {
      var found: [JSON] = []
      try eventually(
        within: .seconds(60), every: .milliseconds(300), "\(count) rows of \(table)"
      ) {
        found = rows(table, scenario, registry)
        return found.count >= count
      }
      return found
    }

    @Test func `A registry's troubles hold back what needs it, and lose nothing`() throws {
      let registry = try ScriptedRegistry()
      var lines = Scenario.Lines()
      lines.sink = [
        #"topicTemplate = "{database}.{schema}.{table}""#, #"format = "avro""#,
        #"onSchemaError = "exclude""#, #"onTableError = "exclude""#,
      ]
      lines.more = [
        "[sink.out.registry]", "urls = [\"\(registry.url)\"]", "[sink.json]",
        #"type = "kafka""#, #"sources = ["pg"]"#,
        "hosts = [\"\(try Integration.kafka.bootstrap)\"]",
        #"topicTemplate = "{database}.json.{table}""#, #"createTopics = "create""#,
        #"exclude = ["late", "bad", "new"]"#, #"format = "json-schema""#,
        "registry = { urls = [\"\(registry.url)\"] }",
      ]
      let scenario = try Scenario(
        "avro", lines: lines,
        tables: """
          CREATE TABLE known (id int PRIMARY KEY, note text, price numeric(10,2), at timestamptz);
          CREATE TABLE late (id int PRIMARY KEY);
          CREATE TABLE bad (id int PRIMARY KEY)
          """)
      try registry.answer(
        #"{"path":"public.late","status":503,"times":3}"#,
        #"{"path":"public.bad","status":409,"message":"incompatible"}"#)
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO known VALUES (1, 'é', 1.50, '2024-02-29 12:00:00+00');
        INSERT INTO late VALUES (1);
        INSERT INTO bad VALUES (1);
        UPDATE known SET note = NULL WHERE id = 1
        """)
      let known = try Self.wait(2, in: "known", scenario, registry)
      #expect(known.map { $0["value"]?["op"]?.string } == ["c", "u"])
      let after = known[0]["value"]?["after"]
      #expect(after?["note"]?.string == "é" && after?["price"]?.string == "1.50")
      #expect(after?["at"]?.string == "2024-02-29T12:00:00.000000Z")
      #expect(known[0]["key"]?["id"]?.int == 1)
      let json = Self.rows("known", in: "json", scenario, registry)
      #expect(json.first?["value"]?["after"]?["note"]?.string == "é")
      #expect(json.first?["key"]?["id"]?.int == 1)
      #expect(known[0]["value"]?["source"]?["table"]?.string == "known")
      #expect(try Self.wait(1, in: "late", scenario, registry).count == 1)
      #expect(Self.rows("bad", scenario, registry).isEmpty)

      // What has a number goes on without the registry; what has none waits for it.
      try registry.stop()
      try scenario.psql("INSERT INTO known VALUES (2)")
      try scenario.waitUntilConfirmed(streamer)
      try scenario.psql("CREATE TABLE new (id int PRIMARY KEY); INSERT INTO new VALUES (1)")
      try eventually(within: .seconds(30), "a line about the registry") {
        streamer.standardError.contains("no schema registry answers")
      }
      let again = try ScriptedRegistry(port: registry.port)
      #expect(try Self.wait(1, in: "new", scenario, again).count == 1)
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      #expect(streamer.standardError.contains("a table is left out"))
    }

    /// A table whose schema is refused holds up no other, and misses nothing in the end, over a change of the
    /// table, a crash and a start at which it is refused still.
    @Test func `What a registry refuses is held until it takes it`() throws {
      let registry = try ScriptedRegistry()
      var lines = Scenario.Lines()
      lines.sink = [
        #"topicTemplate = "{database}.{schema}.{table}""#, #"format = "avro""#,
        #"onSchemaError = "quarantine""#, #"oversized = "quarantine""#,
      ]
      lines.more = ["[sink.out.registry]", "urls = [\"\(registry.url)\"]"]
      let scenario = try Scenario(
        "refused", lines: lines,
        tables: """
          CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE bad (id int PRIMARY KEY, note text)
          """)
      try registry.answer(#"{"path":"public.bad","status":409,"message":"incompatible"}"#)
      var streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO bad VALUES (1, 'a'); INSERT INTO good VALUES (1); INSERT INTO bad VALUES (2, 'b');
        ALTER TABLE bad ADD COLUMN more int; INSERT INTO bad VALUES (3, 'c', 3); INSERT INTO good VALUES (2)
        """)
      #expect(try Self.wait(2, in: "good", scenario, registry).count == 2)
      try scenario.waitUntilConfirmed(streamer)
      let status = try scenario.get("/status").body
      #expect(status.contains("\"table\":\"public.bad\"") && status.contains("incompatible"))
      streamer.send(SIGKILL)
      try streamer.wait()

      streamer = try scenario.start()
      try scenario.psql("UPDATE bad SET note = 'd' WHERE id = 1; DELETE FROM bad WHERE id = 2")
      try scenario.waitUntilConfirmed(streamer)
      #expect(Self.rows("bad", scenario, registry).isEmpty)
      #expect(try scenario.stop(streamer) == .exited(0))

      try registry.answer()
      streamer = try scenario.start()
      try scenario.psql("INSERT INTO bad VALUES (4, 'e', 4)")
      let rows = try Self.wait(7, in: "bad", scenario, registry)
      let told = rows.map { row in
        let after = row["value"]?["after"]
        return "\(row["key"]?["id"]?.int ?? 0)\(row["value"]?["op"]?.string ?? "-")"
          + "\(after?["note"]?.string ?? "")\(after?["more"]?.int ?? 0)"
      }
      #expect(
        Set(told) == ["1ca0", "2cb0", "3cc3", "1ud0", "2d0", "2-0", "4ce4"], "\(told)")
      #expect(told.filter { $0.hasPrefix("2") }.first == "2cb0")
      try scenario.waitUntilConfirmed(streamer)
      #expect(try !scenario.get("/status").body.contains("\"table\":\"public.bad\",\"place"))
      #expect(try scenario.stop(streamer) == .exited(0))
    }
  }
}
