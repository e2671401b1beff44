import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// Topics that do not fit: names, limits, replicas.
  ///
  /// Whoever runs the program must see what and where, and everything else goes on.
  @Suite(.needsKafka) struct Topics {
    private static let tables = """
      CREATE TABLE plain (id int PRIMARY KEY, v text);
      CREATE TABLE "order lines" (id int PRIMARY KEY);
      CREATE TABLE "a/b" (id int PRIMARY KEY)
      """

    private func template(_ more: [String]) throws -> Scenario {
      try Scenario(
        "topics",
        lines: Scenario.Lines(sink: ["topicTemplate = \"{database}.{schema}.{table}\""] + more),
        tables: Self.tables)
    }

    /// What a start that is refused says.
    private func refusal(of scenario: Scenario) throws -> (Subprocess.Termination, String) {
      let streamer = try scenario.launch()
      let end = try streamer.wait(within: .seconds(60))
      return (end, streamer.standardError)
    }

    private func events(_ scenario: Scenario, _ topic: String) throws -> [Event] {
      try scenario.broker.records("\(scenario.name).public.\(topic)").map { try Event($0) }
    }

    /// Fault B3: the start names the table, the name it would get, and what may be written.
    @Test func `A table whose topic has no legal name stops the start`() throws {
      let scenario = try template([])
      let (end, text) = try refusal(of: scenario)
      #expect(end == .exited(3))
      #expect(text.contains("\(scenario.name).public.a/b"))
      #expect(text.contains("tableTopicMapping = { \"public.a/b\" = \"TOPIC\" }"))
      let check = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--config", scenario.directory.file("psql-streamer.toml")])
      #expect(check.termination == .exited(3) || check.termination == .exited(1))
      #expect(check.standardOutput.contains("2 tables whose topic has a name"))
      // What was refused before anything was read leaves no slot that holds back WAL.
      #expect(
        try scenario.psql(
          "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '\(scenario.slot)'") == "0")
    }

    /// Faults B3 and B17: what the policy leaves out, or what appears later, stops nothing and is
    /// counted, listed and told; `exclude` is silent; `replace` finds a name.
    @Test(arguments: ["onTableError = \"exclude\"", "exclude = [\"public.a/b\", \"order *\"]"])
    func `One table's trouble stays with it`(line: String) throws {
      let scenario = try template([line])
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO "order lines" VALUES (1); INSERT INTO plain VALUES (1, 'one');
        CREATE SCHEMA repack; CREATE TABLE repack."table 1" AS SELECT 1 AS a;
        DROP TABLE repack."table 1"; INSERT INTO "a/b" VALUES (1); INSERT INTO plain VALUES (2, 'two')
        """)
      try scenario.waitUntilConfirmed(streamer)
      #expect(try events(scenario, "plain").count == 2)
      let reason = line.hasPrefix("exclude") ? "exclude" : "topic_name"
      let metrics = try scenario.get("/metrics").body
      #expect(
        metrics.contains(
          "psql_streamer_excluded_events_total{sinkName=\"out\",schema=\"public\","
            + "table=\"order lines\",reason=\"\(reason)\"} 1"))
      let status = try scenario.get("/status").body
      #expect(status.contains("{\"table\":\"repack.table 1\",\"reason\":\"topic_name\"}"))
      #expect(scenario.warnings.contains("table=\"repack.table 1\""))
      #expect(scenario.warnings.contains("table=\"public.order lines\"") != (reason == "exclude"))
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    @Test func `Names that Kafka does not take are replaced`() throws {
      let scenario = try template(["topicNames = \"replace\""])
      try scenario.psql(#"CREATE TABLE "order/lines" (id int PRIMARY KEY)"#)
      let streamer = try scenario.start()
      try scenario.psql(#"INSERT INTO "order lines" VALUES (7); INSERT INTO "a/b" VALUES (8)"#)
      try scenario.waitUntilConfirmed(streamer)
      #expect(try events(scenario, "order_lines").count == 1)
      #expect(try events(scenario, "a_b").count == 1)
      #expect(try scenario.stop(streamer) == .exited(0))
      // Two tables that come into one topic are told, here and by check.
      #expect(scenario.warnings.contains(#"tables="public.order lines, public.order/lines""#))
      let check = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--config", scenario.directory.file("psql-streamer.toml")])
      let shared = "public.order lines and public.order/lines have one topic"
      #expect(check.standardOutput.contains(shared), "\(check.standardOutput)")
    }

    /// Faults B5 and B6: batches fit the topic; nothing passes a record that does not, and once the
    /// limit is raised every version is there in order.
    @Test func `A topic that takes little gets little, and in order`() throws {
      let scenario = try Scenario(
        "limits", lines: Scenario.Lines(sink: ["librdkafka = { \"compression.type\" = \"none\" }"]),
        tables: "CREATE TABLE t (id int PRIMARY KEY, v text)")
      let limit = ["--config", "max.message.bytes=100000"]
      try scenario.broker.tool(
        "topics", ["--create", "--topic", scenario.name, "--partitions", "2"] + limit)
      var streamer = try scenario.start()
      try scenario.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i")
      try scenario.waitUntilConfirmed(streamer)
      try scenario.psql(
        """
        BEGIN; INSERT INTO t VALUES (0, 'v1'); UPDATE t SET v = 'v2' || repeat('x', 150000) WHERE id = 0;
        UPDATE t SET v = 'v3' WHERE id = 0; COMMIT
        """)
      let end = try streamer.wait(within: .seconds(60))
      #expect(end == .exited(1) || end == .exited(3))
      #expect(
        streamer.standardError.contains("raise max.message.bytes of topic \(scenario.name)"))
      #expect(
        streamer.standardError.contains(
          /a record of public\.t at LSN [0-9A-F\/]+, transaction [0-9A-F\/]+, takes \d+ bytes \(key \{\\"id\\":0\}\)/
        ), "\(streamer.standardError)")
      // What was delivered before it comes again, so that its place is known.
      #expect(try versions(scenario) == ["v1", "v1"])
      try scenario.broker.tool(
        "configs",
        ["--alter", "--topic", scenario.name, "--add-config", "max.message.bytes=1000000"])
      streamer = try scenario.start()
      try scenario.waitUntilConfirmed(streamer)
      #expect(try versions(scenario) == ["v1", "v1", "v1", "v2", "v3"])
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// What the topic, the client or maxRowSize does not take goes to the dead letter topic, in its
    /// place; everything else arrives.
    @Test(arguments: ["at-least-once", "exactly-once"])
    func `What is too large goes to the dead letter topic`(delivery: String) throws {
      let dead = "dead_letters_\(delivery)"
      let scenario = try Scenario(
        "dead",
        lines: Scenario.Lines(
          source: [#"maxRowSize = "2MiB""#],
          sink: [
            #"oversized = "dead-letter""#, "deadLetterTopic = \"\(dead)\"",
            "delivery = \"\(delivery)\"",
            "librdkafka = { \"compression.type\" = \"none\" }",
          ]), tables: "CREATE TABLE t (id int PRIMARY KEY, v text)")
      try scenario.broker.tool(
        "topics",
        [
          "--create", "--topic", scenario.name, "--partitions", "1", "--config",
          "max.message.bytes=100000",
        ])
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO t VALUES (1, 'v1');
        BEGIN; INSERT INTO t VALUES (2, repeat('b', 150000)); INSERT INTO t VALUES (3, 'v3'); COMMIT;
        INSERT INTO t VALUES (4, repeat('c', 1500000)); INSERT INTO t VALUES (5, repeat('d', 3000000));
        INSERT INTO t VALUES (6, 'v6')
        """)
      try scenario.waitUntilConfirmed(streamer)
      let letters = try scenario.broker.records(dead).map { try JSON($0.value ?? "") }
      let keys = letters.map { $0["Key"]?.string ?? "" }
      // What was refused by the broker may have come twice, as everything of its producer.
      if delivery == "exactly-once" { #expect(keys.count == 3, "\(keys)") }
      #expect(Set(keys) == [#"{"id":2}"#, #"{"id":4}"#, #"{"id":"5"}"#], "\(keys)")
      let causes = letters.map { $0["Cause"]?.string ?? "" }
      #expect(Set(causes) == ["oversized", "row_size"])
      for letter in letters {
        #expect(letter["Table"]?.string == "public.t" && letter["SHA256"]?.string?.utf8.count == 64)
        #expect(
          letter["LSN"]?.string?.contains("/") == true && letter["Topic"]?.string == scenario.name)
        #expect((letter["Size"]?.int ?? 0) > 150_000)
        let isKept = letter["Payload"]?.string?.contains("bbbbbbbb") == true
        #expect(isKept == (letter["Key"]?.string == #"{"id":2}"#))
      }
      let ids = try scenario.events().compactMap { $0["id"]?.int }
      #expect(Set(ids) == [1, 3, 6] && ids.last == 6, "\(ids)")
      if delivery == "exactly-once" { #expect(ids.count == 3, "\(ids)") }
      let metrics = try scenario.get("/metrics").body
      for cause in ["oversized", "row_size"] {
        let series = "psql_streamer_dead_letters_total{sinkName=\"out\",cause=\"\(cause)\"} "
        #expect(metrics.contains(series) && !metrics.contains(series + "0\n"), "\(cause)")
      }
      #expect(try !scenario.get("/status").body.contains("\"deadLetters\":0"))
      #expect(scenario.warnings.contains("a change went to the dead letter topic"))
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// The versions of the row 0, in their order.
    private func versions(_ scenario: Scenario) throws -> [String] {
      try scenario.events().compactMap { event in
        guard event["id"]?.int == 0, let value = event["v"]?.string else { return nil }
        return String(value.prefix(2))
      }
    }

    /// Fault U4: more replicas than brokers is said by `check` and by the start.
    @Test func `More replicas than brokers stop the start`() throws {
      let scenario = try Scenario(
        "replicas", tables: "CREATE TABLE t (id int PRIMARY KEY)", replication: 3)
      let (end, text) = try refusal(of: scenario)
      #expect(end == .exited(3))
      #expect(text.contains("INVALID_REPLICATION_FACTOR") && text.contains("lower it"))
      let check = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--config", scenario.directory.file("psql-streamer.toml")])
      #expect(check.standardOutput.contains("INVALID_REPLICATION_FACTOR"))
    }
  }
}
