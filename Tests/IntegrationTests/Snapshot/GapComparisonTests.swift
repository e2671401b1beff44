import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// A gap that is gone over with a copy: rows that were deleted in it are told too.
  @Suite(.needsKafka) struct ComparedGaps {
    private static let tables = """
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL);
      INSERT INTO orders SELECT i, i FROM generate_series(1, 5000) i;
      CREATE TABLE pairs (a text, b uuid, v int, PRIMARY KEY (a, b));
      INSERT INTO pairs SELECT 'p' || i, md5(i::text)::uuid, i FROM generate_series(1, 500) i;
      CREATE TABLE whole (id int PRIMARY KEY, v int);
      ALTER TABLE whole REPLICA IDENTITY FULL;
      INSERT INTO whole VALUES (1, 1), (2, 2);
      """
    private static let changes = """
      DELETE FROM orders WHERE id % 5 = 0; UPDATE orders SET v = -v WHERE id % 7 = 0;
      INSERT INTO orders SELECT i, i FROM generate_series(6001, 6100) i;
      UPDATE orders SET id = id + 10000 WHERE id % 11 = 0;
      DELETE FROM pairs WHERE v % 3 = 0; DELETE FROM whole WHERE id = 1;
      """

    /// What whoever reads the topics has in the end.
    private func fold(_ run: Scenario, _ table: String) throws -> Set<String> {
      var rows: [String: String] = [:]
      // One partition keeps each key's records in their order.
      for record in try run.broker.records("\(run.name).\(table)") {
        let event = try Event(record)
        let key = record.key ?? ""
        rows[key] = event.action == "delete" ? nil : "\(key) \(event["v"]?.int ?? 0)"
      }
      return Set(rows.values)
    }

    private func table(_ run: Scenario, _ name: String) throws -> Set<String> {
      let key =
        name == "pairs" ? #"'{"a":"' || a || '","b":"' || b || '"}'"# : #"'{"id":' || id || '}'"#
      return Set(
        try run.psql("SELECT \(key) || ' ' || v FROM \(name)").split(separator: "\n").map(
          String.init))
    }

    private func expectAgreement(_ run: Scenario) throws {
      for name in ["orders", "pairs"] {
        let (found, wanted) = (try fold(run, name), try table(run, name))
        #expect(found == wanted, "\(found.symmetricDifference(wanted).sorted().prefix(10))")
      }
    }

    private func begin(_ title: String) throws -> Scenario {
      let run = try Scenario(
        title,
        lines: Scenario.Lines(
          source: [#"snapshot = "initial""#, #"onGap = "snapshot""#],
          sink: [#"topicTemplate = "{name}.{table}""#]),
        tables: Self.tables)
      let streamer = try run.start()
      try eventually(within: .seconds(60), "the copy of the start") {
        streamer.standardError.contains("existing rows are copied")
      }
      try run.waitUntilConfirmed(streamer)
      #expect(try run.stop(streamer) == .exited(0))
      try run.psql(Self.changes)
      return run
    }

    private func waitForComparison(_ run: Scenario, _ streamer: Subprocess) throws {
      try eventually(within: .seconds(120), "the comparison") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("what the gap has deleted is told")
      }
      try eventually(within: .seconds(60), "the deletes") {
        let copies = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]
        return copies?.elements.allSatisfy { $0["state"]?.string == "done" } == true
      }
      try run.waitUntilConfirmed(streamer)
    }

    @Test func `The topics have what the tables have behind a slot that was moved`() throws {
      let run = try begin("gapped")
      try run.psql("SELECT pg_replication_slot_advance('\(run.slot)', pg_current_wal_lsn())")
      let streamer = try run.start()
      try waitForComparison(run, streamer)
      try expectAgreement(run)
      let said = streamer.standardError
      #expect(said.contains("table=public.orders") && said.contains("deleted="))
      let left = said.split(separator: "\n").filter {
        $0.contains("rows of a table that were deleted in the gap are not told")
      }
      #expect(left.count == 1 && left.first?.contains("public.whole") == true, "\(left)")
      // Nothing is owed any more.
      #expect(try run.stop(streamer) == .exited(0))
      let again = try run.start()
      try run.waitUntilConfirmed(again)
      sleep(4)
      #expect(!again.standardError.contains("comparing the keys"))
      #expect(try run.stop(again) == .exited(0))
    }

    @Test func `Whenever it is killed, the comparison is made`() throws {
      let run = try begin("gapkilled")
      try run.psql("SELECT pg_drop_replication_slot('\(run.slot)')")
      var during = 0
      for round in 0..<6 {
        let streamer = try run.launch()
        if round < 3 {
          usleep(UInt32.random(in: 200_000...4_000_000))
        } else {
          try? eventually(within: .seconds(20), every: .milliseconds(5), "a comparison") {
            streamer.standardError.contains("comparing the keys")
          }
          usleep(UInt32.random(in: 0...300_000))
        }
        if streamer.standardError.contains("comparing the keys"),
          !streamer.standardError.contains("what the gap has deleted is told")
        {
          during += 1
        }
        streamer.send(SIGKILL)
        try streamer.wait()
      }
      printToStandardError("killed \(during) times while keys were compared")
      let last = try run.start()
      let store = run.directory.file("positions.sqlite")
      try eventually(within: .seconds(120), "what is owed") {
        try Scenario.requireAlive(last)
        let owed = try Subprocess.check(
          "python3",
          [
            "-c",
            "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM owed_comparison').fetchone()[0])",
            store,
          ])
        return owed.hasPrefix("0")
      }
      try eventually(within: .seconds(60), "the deletes") {
        let copies = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]
        return copies?.elements.allSatisfy { $0["state"]?.string == "done" } == true
      }
      try run.waitUntilConfirmed(last)
      try expectAgreement(run)
      #expect(try run.stop(last) == .exited(0))
    }
  }
}
