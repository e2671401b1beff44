import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Rows that were there before the program.
  @Suite struct ExistingRows {
    private static let rows = 8_000

    private static func tables(_ major: Int) -> String {
      """
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0, big text);
      ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
      INSERT INTO orders SELECT i, 0, CASE WHEN i % 100 = 0 THEN repeat(md5(i::text), 100) END
        FROM generate_series(1, \(rows)) i;
      CREATE TABLE "Odd ""Name" (a text, b date, v int, PRIMARY KEY (b, a));
      INSERT INTO "Odd ""Name" SELECT 'it''s\\' || i, date '2024-01-01' + i % 7, i
        FROM generate_series(1, 2000) i;
      CREATE TABLE parts (region text, id int, v int, PRIMARY KEY (region, id))
        PARTITION BY LIST (region);
      CREATE TABLE north PARTITION OF parts FOR VALUES IN ('n');
      CREATE TABLE south (v int, id int NOT NULL, region text NOT NULL, PRIMARY KEY (region, id));
      ALTER TABLE parts ATTACH PARTITION south FOR VALUES IN ('s');
      INSERT INTO parts SELECT CASE WHEN i % 2 = 0 THEN 'n' ELSE 's' END, i, i
        FROM generate_series(1, 1000) i;
      CREATE TABLE plain (x int, y text);
      INSERT INTO plain SELECT i, NULLIF(i % 3, 0)::text FROM generate_series(1, 500) i;
      CREATE TABLE few (id int PRIMARY KEY, secret text, v int);
      INSERT INTO few SELECT i, 'secret', i - 100 FROM generate_series(1, 200) i;
      DROP PUBLICATION everything;
      CREATE PUBLICATION everything FOR TABLE orders, "Odd ""Name", parts, plain\
      \(major >= 15 ? ", few (id, v) WHERE (v >= 0)" : "") WITH (publish_via_partition_root = true);
      """
    }

    /// Changes that go on meanwhile: each its own transaction, some with what is rolled back in it.
    private static let writer = """
      DO $$ BEGIN FOR i IN 1..3000 LOOP
        UPDATE orders SET v = v + 1 WHERE id = 1 + (i * 7919) % \(rows);
        IF i % 10 = 0 THEN
          BEGIN
            UPDATE orders SET v = -1 WHERE id = i;
            RAISE EXCEPTION 'undone';
          EXCEPTION WHEN raise_exception THEN NULL;
          END;
          DELETE FROM orders WHERE id = (i * 31) % \(rows) AND id % 100 <> 0;
          INSERT INTO orders VALUES (\(rows) + i);
        END IF;
        COMMIT;
      END LOOP; END $$
      """

    /// The oldest, the newest, and the one whose server is there anyway.
    private static var majors: [Int] {
      let all = PostgresPrograms.installed.keys.sorted()
      return all.filter { $0 == all.first || $0 == 15 || $0 == all.last }
    }

    @Test(arguments: zip(majors, [1, 3, 2]))
    func `Rows that were there arrive, each once and where it belongs`(
      major: Int, readers: Int
    ) throws {
      let server = try major == 15 ? Integration.postgres : PostgresServer(version: major)
      let run = try LocalRun(
        "rows\(readers)", postgres: server,
        lines: Scenario.Lines(source: [
          #"snapshot = "initial""#, #"snapshotPause = "50ms""#, "snapshotParallelism = \(readers)",
        ]),
        tables: Self.tables(major))
      let writer = try Subprocess(
        "psql", ["-qX", "-d", server.dsn(database: run.name), "-c", Self.writer])
      let first = try run.start()
      try eventually("the first rows") { FileBytes.size(of: run.events) > 700_000 }
      first.send(SIGKILL)
      try first.wait()
      let second = try run.start()
      try eventually(within: .seconds(60), "the end of the copy") {
        try Scenario.requireAlive(second)
        return second.standardError.contains("existing rows are copied")
      }
      #expect(try writer.wait(within: .seconds(60)) == .exited(0))
      try run.waitUntilConfirmed(second)
      #expect(try run.stop(second) == .exited(0))

      var fold = Fold()
      for event in try run.events() { fold.take(event) }
      #expect(
        fold.rows(of: "orders") { "\($0["id"]?.int ?? -1) \($0["v"]?.int ?? -1)" }
          == Set(try lines("SELECT id || ' ' || v FROM orders", run)))
      let large = fold.rows(of: "orders") { $0["big"]?.string }.compactMap(\.self)
      #expect(large.count == Self.rows / 100, "each large value, although no update sent it")
      #expect(
        fold.rows(of: #"Odd "Name"#) { "\($0["a"]?.string ?? "") \($0["b"]?.string ?? "")" }
          == Set(try lines(#"SELECT a || ' ' || b FROM "Odd ""Name""#, run)))
      #expect(
        fold.rows(of: "parts") { "\($0["region"]?.string ?? "") \($0["id"]?.int ?? -1)" }
          == Set(try lines("SELECT region || ' ' || id FROM parts", run)))
      #expect(fold.withoutKey.count { $0 == "plain" } >= 500)
      #expect(fold.older == 0 || fold.repeats > 0, "an older row came after a newer one")
      if major >= 15 {
        #expect(
          fold.rows(of: "few") { "\($0["v"]?.int ?? -1) \($0["secret"]?.string ?? "none")" }
            == Set((0...100).map { "\($0) none" }))
      }
      // A restart has nothing to copy.
      let third = try run.start()
      try run.psql("INSERT INTO orders VALUES (-1)")
      try run.waitUntilConfirmed(third)
      #expect(try run.stop(third) == .exited(0))
      #expect(!third.standardError.contains("copying existing rows"))
    }

    @Test func `Several connections read one table at one snapshot`() throws {
      let rows = 70_000
      let run = try LocalRun(
        "readers", postgres: Integration.postgres,
        lines: Scenario.Lines(source: [
          #"snapshot = "initial""#, #"snapshotPause = "30s""#, "snapshotParallelism = 3",
        ]),
        tables: "CREATE TABLE big (id int PRIMARY KEY, v text); "
          + "INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, \(rows)) i")
      let process = try run.launch()
      let readers = """
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND pid <> pg_backend_pid() AND state <> 'idle' AND query LIKE '%FROM ONLY "public"."big"%'
        """
      try eventually("three readers") { try run.psql(readers).hasPrefix("3") }
      try eventually(within: .seconds(60), "the end of the copy") {
        process.standardError.contains("existing rows are copied")
      }
      #expect(try run.stop(process) == .exited(0))
      let read = try run.events().filter { $0["Action"]?.string == "read" }
      #expect(read.count == rows)
      #expect(Set(read.compactMap { $0["Columns"]?["id"]?.int }).count == rows)
      #expect(Set(read.compactMap { $0["WALPosition"]?.int }).count == 1, "all in one round")
    }

    private func lines(_ query: String, _ run: LocalRun) throws -> [String] {
      try run.psql(query).split(separator: "\n").map(String.init)
    }
  }
}
