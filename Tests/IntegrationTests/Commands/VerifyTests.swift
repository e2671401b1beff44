import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// The verifier, between real servers.
  @Suite(.needsKafka) struct Verify {
    private static let tables = """
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL, note text, big text);
      ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
      INSERT INTO orders SELECT i, i, 'n' || i, CASE WHEN i <= 50 THEN repeat('x', 9000) END
        FROM generate_series(1, 3000) i;
      CREATE TABLE plain (x int);
      """

    private func verify(
      _ run: Scenario, _ arguments: String...
    ) throws -> (code: Subprocess.Termination, found: JSON) {
      let process = try Subprocess(
        Binary.psqlStreamer,
        ["verify", "--config", run.directory.file("psql-streamer.toml"), "--json"] + arguments)
      let code = try process.wait(within: .seconds(60))
      guard let found = try? JSON(process.standardOutput) else {
        throw SupportError("verify ended (\(code)): \(process.standardError)")
      }
      return (code, found)
    }

    /// Rows are put aside by a session whose changes nobody decodes.
    private func plant(_ run: Scenario, _ changes: String) throws {
      try run.psql(
        """
        ALTER PUBLICATION everything SET (publish = '');
        \(changes);
        ALTER PUBLICATION everything SET (publish = 'insert, update, delete, truncate');
        """)
    }

    /// What the topic lacks is copied again; what it has beyond the table is told as deleted, but for
    /// what has come back meanwhile.
    private func mend(_ run: Scenario, _ streamer: Subprocess) throws {
      #expect(try verify(run, "--repair").code == .exited(5))
      try eventually(within: .seconds(30), "the repair") {
        try Scenario.requireAlive(streamer)
        let left = try self.verify(run).found["tables"]?.elements.first
        return left?["missing"]?.int == 0 && left?["different"]?.int == 0
          && left?["extra"]?.int == 0
      }
      // A key that has a row is not deleted by whoever believes that it has none.
      let body = #"{"tables": ["public.orders"], "gone": [{"id": 100}, {"id": 102}]}"#
      let answer = try Subprocess.check(
        "curl",
        [
          "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer secret",
          "-d", body, "http://127.0.0.1:\(run.httpPort)/snapshot",
        ])
      #expect(answer == "202")
      try eventually(within: .seconds(30), "the end of it") {
        try Scenario.requireAlive(streamer)
        let list = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)
        let copies = list["copies"]?.elements.filter { $0["gone"]?.bool == true }
        return copies?.count == 2 && copies?.allSatisfy { $0["state"]?.string == "done" } == true
      }
      try run.waitUntilConfirmed(streamer)
      #expect(try verify(run).code == .exited(0))
    }

    private static let formats: [[String]] = [
      [], [#"format = "debezium""#], [#"format = "flat""#], registered("avro"),
      registered("protobuf") + [#"schemaStyle = "plain""#],
    ]

    private static func registered(_ format: String) -> [String] {
      ["format = \"\(format)\"", "registry = { urls = [\"REGISTRY\"] }"]
    }

    @Test(arguments: formats)
    func `Differences are found, and nothing else while changes stream`(
      format: [String]
    ) throws {
      let registry = try format.count > 1 ? ScriptedRegistry() : nil
      let format = format.map { $0.replacing("REGISTRY", with: registry?.url ?? "") }
      let run = try Scenario(
        "verify",
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#], source: [#"snapshot = "initial""#],
          sink: format + [#"exclude = ["public.plain"]"#]),
        tables: Self.tables)
      let streamer = try run.start()
      try eventually(within: .seconds(30), "the copy of the start") {
        streamer.standardError.contains("existing rows are copied")
      }
      // Values that are not sent again keep what they were.
      try run.psql("UPDATE orders SET v = v + 1 WHERE id <= 60; DELETE FROM orders WHERE id = 61")
      try run.waitUntilConfirmed(streamer)
      let first = try verify(run)
      #expect(first.code == .exited(0), "\(first.found)")
      #expect(first.found["tables"]?.elements.first?["rows"]?.int == 2_999)

      try plant(
        run,
        """
        UPDATE orders SET v = -1 WHERE id = 100; UPDATE orders SET note = NULL WHERE id = 101;
        DELETE FROM orders WHERE id = 102; INSERT INTO orders VALUES (9001, 1, 'a', NULL)
        """)
      let writer = try Subprocess(
        "bash",
        [
          "-c",
          """
          for i in $(seq 1 400); do echo "UPDATE orders SET v = v + 1 WHERE id BETWEEN 500 AND 700;
          INSERT INTO orders VALUES (10000 + $i, $i, 'w', NULL); DELETE FROM orders WHERE id = 9990 + $i;
          SELECT pg_sleep(0.01);"; done | psql -qAt -d '\(run.postgres.dsn(database: run.name))' > /dev/null
          """,
        ])
      let found = try verify(run)
      writer.send(SIGTERM)
      try writer.wait()
      #expect(found.code == .exited(5), "\(found.found)")
      let examples = found.found["tables"]?.elements.first?["examples"]?.elements.compactMap {
        "\($0["is"]?.string ?? "") \($0["key"]?.string ?? "")"
      }
      #expect(
        examples.map(Set.init) == [
          #"different {"id":100}"#, #"different {"id":101}"#, #"extra {"id":102}"#,
          #"missing {"id":9001}"#,
        ], "\(found.found)")

      try mend(run, streamer)
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
