import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Tables that somebody keeps locked against everybody while the program starts.
  @Suite struct LockedTables {
    private static func tables(_ major: Int) -> String {
      """
      CREATE TABLE free (id int PRIMARY KEY);
      CREATE TABLE held (id int PRIMARY KEY);
      INSERT INTO held SELECT i FROM generate_series(1, 200) i;
      CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
      CREATE TABLE north PARTITION OF parts FOR VALUES IN ('n');
      ALTER TABLE north REPLICA IDENTITY FULL;
      ALTER TABLE parts REPLICA IDENTITY FULL;
      CREATE TABLE south PARTITION OF parts FOR VALUES IN ('s');
      CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
      DROP PUBLICATION everything;
      CREATE PUBLICATION everything FOR TABLE free, signals, parts, held
        \(major >= 15 ? "WHERE (id > 100)" : "") WITH (publish_via_partition_root = true);
      """
    }

    private static var majors: [Int] {
      let all = PostgresPrograms.installed.keys.sorted()
      return all.filter { $0 == all.first || $0 == 15 || $0 == all.last }
    }

    @Test(arguments: majors)
    func `The stream starts beside a locked table, whose rows come when it is free`(
      major: Int
    ) throws {
      let server = try major == 15 ? Integration.postgres : PostgresServer(version: major)
      let run = try LocalRun(
        "locked", postgres: server,
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#],
          source: [#"signalTable = "public.signals""#, "snapshotNewTables = true"]),
        tables: Self.tables(major))
      // A new slot waits for whoever has locked a table: that is how the server makes it.
      let first = try run.start()
      try run.waitUntilConfirmed(first)
      #expect(try run.stop(first) == .exited(0))
      run.change { $0.source.append(#"snapshot = "always""#) }
      // Connected to the server until its rows are asked for.
      let holder = try Subprocess(
        "psql",
        [
          "-qXAt", "-d", server.dsn(database: run.name), "-c", "BEGIN",
          "-c", "LOCK TABLE held, south IN ACCESS EXCLUSIVE MODE", "-c", "SELECT 'held'",
          "-c", "SELECT pg_sleep(600)",
        ])
      try eventually("the lock") {
        try run.psql(
          """
          SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'
            AND relation IN ('held'::regclass, 'south'::regclass)
          """) == "2"
      }
      let streamer = try run.start()
      try run.psql("INSERT INTO free VALUES (7); INSERT INTO parts VALUES (1, 'n')")
      let changes = try run.events(2, from: streamer)
      #expect(changes.map { $0["Table"]?.string } == ["free", "parts"])
      // A copy that is asked for is written down at once.
      let asked = try Subprocess(
        Binary.psqlStreamer,
        [
          "snapshot", "--config", run.directory.file("psql-streamer.toml"), "--table",
          "public.held",
          "--where", "id <= 150",
        ])
      let code = try asked.wait(within: .seconds(30))
      #expect(code == .exited(0), "\(asked.standardError)")
      #expect(!streamer.standardError.contains("existing rows are copied"))
      try run.psql(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%'
          AND pid <> pg_backend_pid()
        """)
      try holder.wait()
      try eventually(within: .seconds(60), "both copies") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.split(separator: "\n").count {
          $0.contains("existing rows are copied")
        } == 2
      }
      let reads = try run.events().filter {
        $0["Action"]?.string == "read" && $0["Table"]?.string == "held"
      }
      let ids = reads.compactMap { $0["Columns"]?["id"]?.int }.sorted()
      let lowest = major >= 15 ? 101 : 1
      #expect(ids == (Array(lowest...200) + Array(lowest...150)).sorted())
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
