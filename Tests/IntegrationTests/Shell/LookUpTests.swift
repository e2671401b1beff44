import Support
import Testing

extension Integration.FirstThird {
  /// S15: what many tables need to know is asked for together.
  @Suite struct LookUps {
    private static func make(_ count: Int, _ identity: String) -> String {
      """
      DO $$ BEGIN FOR n IN 1..\(count) LOOP
        EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, m mood)', 'table' || n);
        EXECUTE format('ALTER TABLE %I REPLICA IDENTITY \(identity)', 'table' || n);
      END LOOP; END $$
      """
    }

    private static func fill(_ tables: ClosedRange<Int>) -> String {
      """
      DO $$ BEGIN FOR n IN \(tables.lowerBound)..\(tables.upperBound) LOOP
        EXECUTE format('INSERT INTO %I SELECT i, ''ok'' FROM generate_series(1, 5) i', 'table' || n);
      END LOOP; END $$
      """
    }

    /// Each of these tables needs a query for its key and one for its type.
    ///
    /// The server's log has them all.
    @Test(arguments: ["false", "true"])
    func `Three hundred tables take a few queries`(streaming: String) throws {
      let postgres = try PostgresServer(settings: ["logical_decoding_work_mem": "64kB"])
      var lines = Scenario.Lines()
      lines.source = ["streaming = \(streaming)", "debug = true"]
      let run = try LocalRun(
        "queries", postgres: postgres, lines: lines,
        tables: "CREATE TYPE mood AS ENUM ('ok'); \(Self.make(300, "FULL"))")
      try postgres.psql("ALTER DATABASE \(run.name) SET log_statement = 'all'")
      let streamer = try run.start()
      try run.psql(Self.fill(1...300))
      let events = try run.events(1500, from: streamer)
      #expect(events.allSatisfy { $0["Key"]?.names == ["id"] })
      let queries = { (text: String) in
        postgres.log.split(separator: "\n").count {
          $0.contains("statement:") && $0.contains(text)
        }
      }
      // One for each window of the socket at most, which holds dozens of tables.
      #expect((1...20).contains(queries("FROM pg_catalog.pg_index i ")), "queries for keys")
      #expect((1...20).contains(queries("WITH RECURSIVE o(oid)")), "queries for types")
      #expect(
        streamer.standardError.contains("a streamed transaction has been read")
          == (streaming == "true"))
      #expect(try run.stop(streamer) == .exited(0))
    }

    /// librdkafka's own log has each request.
    @Test(.needsKafka) func `Two hundred new topics take a few requests`() throws {
      let broker = try Integration.kafka
      var lines = Scenario.Lines()
      lines.top = [#"logLevel = "debug""#]
      lines.more = [
        """
        [sink.out]
        type = "kafka"
        sources = ["pg"]
        hosts = ["\(broker.bootstrap)"]
        topicTemplate = "look_ups_{table}"
        createTopics = "create"
        topics = { partitions = 1, replication = 1 }
        librdkafka = { debug = "protocol" }
        """
      ]
      let run = try LocalRun(
        "requests", lines: lines,
        tables: "CREATE TYPE mood AS ENUM ('ok'); \(Self.make(200, "DEFAULT"))")
      let streamer = try run.start()
      try run.psql(Self.fill(1...200))
      try run.waitUntilConfirmed(streamer)
      let log = streamer.standardError.split(separator: "\n")
      let requests = { (name: String) in log.count { $0.contains("Sent \(name)Request") } }
      // One for each window of the socket at most; librdkafka itself asks for each new topic once,
      // and nobody waits for that.
      #expect((1...20).contains(requests("CreateTopics")), "requests to make topics")
      #expect((1..<300).contains(requests("Metadata")), "requests for metadata")
      #expect(try run.stop(streamer) == .exited(0))
      let list = try broker.tool("topics", ["--list"]).split(separator: "\n")
      #expect(list.count { $0.hasPrefix("look_ups_table") } == 200)
    }
  }
}
