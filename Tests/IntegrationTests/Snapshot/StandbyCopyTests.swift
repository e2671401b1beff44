import Glibc
import Support
import Testing

/// One of the versions whose standbys decode, which the seed chooses; none where no server is there.
private enum StandbyVersion {
  static let chosen: [Int] = {
    var random = SeededRandom("a standby's version")
    let all = PostgresPrograms.installed.keys.filter { $0 >= 16 }.sorted()
    return all.randomElement(using: &random).map { [$0] } ?? []
  }()
}

extension Integration.LastThird {
  /// Existing rows of a hot standby, while its primary is written to.
  @Suite(
    .enabled(if: !StandbyVersion.chosen.isEmpty, "no PostgreSQL from 16 on: make servers")
  ) struct CopiesFromStandbys {
    private static let rows = 20_000
    /// Rows that are only updated, each time by one.
    private static let counters = 3_000

    private static let tables = """
      CREATE TABLE counters (id int PRIMARY KEY, v int NOT NULL DEFAULT 0);
      INSERT INTO counters SELECT i FROM generate_series(1, \(counters)) i;
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0, big text);
      ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
      INSERT INTO orders SELECT i, 0, CASE WHEN i % 200 = 0 THEN repeat(md5(i::text), 100) END
        FROM generate_series(1, \(rows)) i;
      CREATE TABLE plain (x int);
      INSERT INTO plain SELECT i FROM generate_series(1, 300) i;
      CREATE TABLE stop (x int);
      """

    /// Small transactions, one right after the other.
    private static let counter = """
      DO $$ BEGIN LOOP
        UPDATE counters SET v = v + 1 WHERE id = 1 + random() * \(counters - 1);
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM stop);
      END LOOP; END $$
      """

    /// Those whose commit records take a standby long: files are removed behind what makes them visible, and
    /// in front of the end of their replay.
    private static let dropper = """
      DO $$ BEGIN LOOP
        FOR i IN 1..80 LOOP
          EXECUTE format('CREATE UNLOGGED TABLE d%s (id int PRIMARY KEY)', i);
        END LOOP;
        COMMIT;
        UPDATE counters SET v = v + 1 WHERE id % 10 = 3;
        FOR i IN 1..80 LOOP EXECUTE format('DROP TABLE d%s', i); END LOOP;
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM stop);
      END LOOP; END $$
      """

    /// Larger ones, with keys that change, and what is rolled back to a savepoint.
    private static let writer = """
      DO $$ DECLARE k int; BEGIN LOOP
        k := 1 + random() * \(rows);
        UPDATE orders SET v = v + 1 WHERE id = k;
        IF random() < 0.2 THEN
          UPDATE orders SET id = -id WHERE abs(id) = k + 3;
          BEGIN
            UPDATE orders SET v = -1 WHERE id = k + 5;
            DELETE FROM orders WHERE id % 1000 = 1;
            RAISE EXCEPTION 'undone';
          EXCEPTION WHEN raise_exception THEN NULL;
          END;
          BEGIN
            DELETE FROM orders WHERE id = k + 7;
          EXCEPTION WHEN raise_exception THEN NULL;
          END;
          INSERT INTO orders (id) SELECT max(id) + 1 FROM orders;
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.001);
        EXIT WHEN EXISTS (SELECT FROM stop);
      END LOOP; END $$
      """

    /// Transactions that stay open for a while, some of them prepared.
    private static func slow(_ number: Int) -> String {
      """
      BEGIN; UPDATE orders SET v = v + 1 WHERE id % 1000 = \(500 + number); SELECT pg_sleep(0.4);
      COMMIT;
      BEGIN; UPDATE orders SET v = v + 1 WHERE id % 1000 = \(600 + number);
      PREPARE TRANSACTION 'p\(number)'; SELECT pg_sleep(0.3); COMMIT PREPARED 'p\(number)';
      """
    }

    /// A primary and its standby, whose transactions have numbers beyond 2³².
    private func pair(_ major: Int) throws -> (primary: PostgresServer, standby: PostgresServer) {
      let primary = try PostgresServer(
        settings: ["max_prepared_transactions": "5"], version: major)
      try primary.beginSecondEpoch()
      return (primary, try PostgresServer(standbyOf: primary))
    }

    private func run(_ title: String, _ major: Int) throws -> LocalRun {
      let (primary, standby) = try pair(major)
      let run = try LocalRun(
        title, postgres: primary, standby: standby,
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#],
          source: [#"snapshot = "initial""#, #"snapshotPause = "10ms""#]),
        tables: Self.tables)
      try eventually("the tables on the standby") {
        (try? standby.psql("SELECT count(*) FROM plain", database: run.name)) == "300"
      }
      return run
    }

    /// Starts the program; its slot waits for a record that the primary is asked for.
    private func start(_ run: LocalRun) throws -> Subprocess {
      let streamer = try run.launch()
      try eventually(within: .seconds(180), "the slot in use") {
        try Scenario.requireAlive(streamer)
        try run.postgres.psql("SELECT pg_log_standby_snapshot()")
        return try run.walsender() != ""
      }
      return streamer
    }

    private func write(_ run: LocalRun, _ texts: String...) throws -> [Subprocess] {
      try texts.map {
        try Subprocess("psql", ["-qX", "-d", run.postgres.dsn(database: run.name), "-c", $0])
      }
    }

    private func end(_ writers: [Subprocess], _ run: LocalRun) throws {
      try run.psql("INSERT INTO stop VALUES (1)")
      for writer in writers {
        #expect(try writer.wait(within: .seconds(60)) == .exited(0), "\(writer.standardError)")
      }
    }

    private func waitForCopies(_ run: LocalRun, _ streamer: Subprocess) throws {
      try eventually(within: .seconds(120), "the end of the copies") {
        try Scenario.requireAlive(streamer)
        let list = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]?.elements
        return list?.isEmpty == false && list?.allSatisfy { $0["state"]?.string == "done" } == true
      }
    }

    /// What is delivered is told to the server also where log is kept for rewinds.
    @Test(.needsKafka, arguments: StandbyVersion.chosen)
    func `A standby's rows are compared with their topic`(major: Int) throws {
      let (primary, standby) = try pair(major)
      let run = try LocalRun(
        "verified", postgres: primary, standby: standby,
        lines: Scenario.Lines(
          source: [#"snapshot = "initial""#, #"walRetain = "1GiB""#]),
        tables: "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 500)")
      run.change {
        $0.more = [
          "[sink.out]", #"type = "kafka""#, #"sources = ["pg"]"#,
          "hosts = [\"\((try? Integration.kafka.bootstrap) ?? "")\"]", #"createTopics = "create""#,
          "topicFallback = \"\(run.name)\"",
        ]
      }
      try eventually("the table on the standby") {
        (try? standby.psql("SELECT count(*) FROM t", database: run.name)) == "500"
      }
      let streamer = try start(run)
      try waitForCopies(run, streamer)
      try run.psql("DELETE FROM t WHERE id > 400; INSERT INTO t VALUES (1000)")
      try eventually("the changes on the standby") {
        try standby.psql("SELECT count(*) FROM t", database: run.name) == "401"
      }
      let found = try Subprocess.run(
        Binary.psqlStreamer,
        ["verify", "--config", run.directory.file("psql-streamer.toml"), "--json"])
      #expect(found.termination == .exited(0), "\(found.standardError)")
      #expect(try JSON(found.standardOutput)["tables"]?.elements.first?["rows"]?.int == 401)
      #expect(try run.stop(streamer) == .exited(0))
    }

    private func ask(_ run: LocalRun) throws {
      try Subprocess.check(Binary.psqlStreamer, Self.asking(run))
    }

    private static func asking(_ run: LocalRun) -> [String] {
      ["snapshot", "--config", run.directory.file("psql-streamer.toml"), "--table", "public.*"]
    }

    @Test(arguments: StandbyVersion.chosen)
    func `Each row arrives where it belongs, on demand too, and from an idle server`(
      major: Int
    ) throws {
      let run = try run("standby", major)
      let writers = try write(run, Self.counter, Self.dropper, Self.writer)
      let streamer = try start(run)
      for number in 0..<3 {
        try Subprocess.check(
          "psql",
          ["-qX", "-d", run.postgres.dsn(database: run.name)]
            + Self.slow(number).split(separator: ";").flatMap { ["-c", String($0)] })
      }
      try waitForCopies(run, streamer)
      try ask(run)
      try waitForCopies(run, streamer)
      try end(writers, run)
      try run.waitUntilConfirmed(streamer)
      // Nothing more is written, so no record comes to wait for.
      let before = try run.events().count
      try ask(run)
      try waitForCopies(run, streamer)
      #expect(try run.stop(streamer) == .exited(0))
      let events = try run.events()
      #expect(events.count > before + Self.counters)
      try expectAgreement(run, events, isOnce: true)
      expectNoGaps(events)
    }

    @Test(arguments: StandbyVersion.chosen)
    func `Whenever it is killed, every row arrives`(major: Int) throws {
      var random = SeededRandom("kills of a copy from a standby")
      let run = try run("standbykilled", major)
      let writers = try write(run, Self.counter, Self.dropper, Self.writer)
      var during = 0
      for number in 0..<5 {
        let streamer = try start(run)
        usleep(UInt32.random(in: 0...400_000, using: &random))
        if number == 3 { _ = try Subprocess.run(Binary.psqlStreamer, Self.asking(run)) }
        streamer.send(SIGKILL)
        try streamer.wait()
        if streamer.wasCopying { during += 1 }
      }
      printToStandardError("PostgreSQL \(major): \(during) of 5 kills during a copy")
      let last = try start(run)
      try waitForCopies(run, last)
      try end(writers, run)
      try run.waitUntilConfirmed(last)
      #expect(try run.stop(last) == .exited(0))
      try expectAgreement(run, try run.events(), isOnce: false)
    }

    @Test(arguments: StandbyVersion.chosen)
    func `The standby may be promoted while it is copied`(major: Int) throws {
      let run = try run("promoted", major)
      let writers = try write(run, Self.counter, Self.writer)
      let streamer = try start(run)
      try eventually("the first rows") { FileBytes.size(of: run.events) > 400_000 }
      try end(writers, run)
      // What the old primary has the new one must have.
      let end = try run.postgres.psql("SELECT pg_current_wal_insert_lsn()")
      try eventually("the standby's catching up") {
        try run.source.psql("SELECT pg_last_wal_replay_lsn() >= '\(end)'") == "t"
      }
      try ask(run)
      try run.source.psql("SELECT pg_promote()")
      try run.source.psql("TRUNCATE stop", database: run.name)
      let others = try [Self.counter, Self.writer].map {
        try Subprocess("psql", ["-qX", "-d", run.source.dsn(database: run.name), "-c", $0])
      }
      try waitForCopies(run, streamer)
      try ask(run)
      try waitForCopies(run, streamer)
      try run.source.psql("INSERT INTO stop VALUES (1)", database: run.name)
      for writer in others {
        #expect(try writer.wait(within: .seconds(60)) == .exited(0), "\(writer.standardError)")
      }
      let target = try run.source.psql("SELECT pg_current_wal_lsn()")
      try eventually(within: .seconds(60), "the confirmation of \(target)") {
        try Scenario.requireAlive(streamer)
        return try run.source.psql(
          "SELECT confirmed_flush_lsn >= '\(target)' FROM pg_replication_slots WHERE slot_name = '\(run.name)'"
        ) == "t"
      }
      #expect(try run.stop(streamer) == .exited(0))
      try expectAgreement(run, try run.events(), isOnce: false)
    }

    /// The newest row of each key is what the table has.
    private func expectAgreement(_ run: LocalRun, _ events: [JSON], isOnce: Bool) throws {
      var fold = Fold()
      for event in events { fold.take(event) }
      let found = fold.rows(of: "orders") {
        "\($0["id"]?.int ?? 0) \($0["v"]?.int ?? -1) \($0["big"]?.string?.count ?? 0)"
      }
      let server =
        try run.source.psql("SELECT pg_is_in_recovery()") == "t" ? run.postgres : run.source
      func lines(_ query: String) throws -> Set<String> {
        Set(try server.psql(query, database: run.name).split(separator: "\n").map(String.init))
      }
      let wanted = try lines("SELECT concat_ws(' ', id, v, coalesce(length(big), 0)) FROM orders")
      #expect(found == wanted, "\(found.symmetricDifference(wanted).sorted().prefix(20))")
      let counted = fold.rows(of: "counters") { "\($0["id"]?.int ?? 0) \($0["v"]?.int ?? -1)" }
      let counters = try lines("SELECT concat_ws(' ', id, v) FROM counters")
      #expect(
        counted == counters, "\(counted.symmetricDifference(counters).sorted().prefix(20))")
      if isOnce { #expect(fold.older == 0 && fold.repeats == 0) }
    }

    /// A row that is read has all changes that came before it and none that comes behind it.
    private func expectNoGaps(_ events: [JSON]) {
      var known: [Int: Int] = [:]
      var (reads, wrong) = (0, 0)
      for event in events where event["Table"]?.string == "counters" {
        guard let id = event["Columns"]?["id"]?.int, let v = event["Columns"]?["v"]?.int else {
          wrong += 1
          continue
        }
        let isRead = event["Action"]?.string == "read"
        if isRead { reads += 1 }
        if let last = known[id], v != (isRead ? last : last + 1) { wrong += 1 }
        known[id] = v
      }
      #expect(wrong == 0 && reads > 2 * Self.counters)
    }
  }
}
