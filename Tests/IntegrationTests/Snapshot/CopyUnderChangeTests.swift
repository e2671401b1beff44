import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Existing rows of tables that are altered, emptied and rewritten while they are copied.
  @Suite struct CopiesUnderChange {
    private static let rows = 20_000

    private static let tables = """
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0, big text, note text, gone int);
      ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
      INSERT INTO orders SELECT i, 0, CASE WHEN i % 100 = 0 THEN repeat(md5(i::text), 200) END, 'n' || i, i
        FROM generate_series(1, \(rows)) i;
      CREATE TABLE emptied (id int PRIMARY KEY, v int);
      INSERT INTO emptied SELECT i, 0 FROM generate_series(1, \(rows)) i;
      CREATE TABLE plain (x int, y text);
      INSERT INTO plain SELECT i, 'y' FROM generate_series(1, 300) i;
      """

    /// Changes that go on meanwhile, each in its own transaction.
    ///
    /// Also keys that change into the part that was read and out of it, of rows with a large value that is
    /// left alone too, and what is rolled back to a savepoint.
    private static func writer(_ round: Int) -> String {
      """
      DO $$ BEGIN FOR i IN 1..1200 LOOP
        UPDATE orders SET v = v + 1 WHERE id = 1 + (i * 7919) % \(rows);
        IF i % 5 = 0 THEN
          UPDATE orders SET id = -id WHERE abs(id) = 1 + (i * 13) % \(rows) AND big IS NULL;
          UPDATE orders SET id = id + \(rows * 2) WHERE id = 1 + (i * 17) % \(rows) AND big IS NULL;
          UPDATE orders SET id = id - \(rows * 2) WHERE id = \(rows * 2) + 1 + (i * 19) % \(rows);
        END IF;
        UPDATE orders SET id = -id WHERE id = 100 * (1 + (i * 7) % 199);
        IF i % 10 = 0 THEN
          BEGIN
            UPDATE orders SET v = -1 WHERE id = i;
            DELETE FROM orders WHERE id % 500 = 1;
            RAISE EXCEPTION 'undone';
          EXCEPTION WHEN raise_exception THEN NULL;
          END;
          DELETE FROM orders WHERE id = (i * 31) % \(rows) AND big IS NULL;
          INSERT INTO orders (id, v) VALUES (\(rows * 10 * round) + i, i);
          UPDATE emptied SET v = v + 1 WHERE id = i;
        END IF;
        COMMIT;
      END LOOP; END $$;
      """
    }

    /// What is done to the tables themselves, in this order, with pauses.
    private static let alterations = [
      [
        "ALTER TABLE orders ADD COLUMN extra int NOT NULL DEFAULT 7",
        "TRUNCATE emptied",
        "ALTER TABLE orders RENAME COLUMN note TO remark",
        "INSERT INTO emptied SELECT i, 5 FROM generate_series(1, 500) i",
        "ALTER TABLE orders DROP COLUMN gone",
      ],
      [
        "ALTER TABLE orders ALTER v TYPE bigint",
        "BEGIN; TRUNCATE emptied; INSERT INTO emptied VALUES (1, 1), (2, 2); COMMIT",
        "ALTER TABLE orders ADD COLUMN other text",
        "ALTER TABLE orders RENAME COLUMN remark TO note",
        "TRUNCATE plain; INSERT INTO plain VALUES (1, 'new')",
      ],
    ]

    /// The oldest and the newest.
    private static var majors: [Int] {
      let all = PostgresPrograms.installed.keys.sorted()
      return all.filter { $0 == all.first || $0 == all.last }
    }

    /// The transactions of both servers have numbers beyond 2³².
    @Test(arguments: majors)
    func `Tables may be altered and emptied while they are copied`(major: Int) throws {
      let server = try PostgresServer(version: major)
      try server.beginSecondEpoch()
      #expect(try server.psql("SELECT txid_current() > 4294967296") == "t")
      let run = try LocalRun(
        "altered", postgres: server,
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#],
          source: [#"snapshot = "initial""#, #"snapshotPause = "10ms""#]),
        tables: Self.tables)
      let streamer = try run.start()
      for (number, statements) in Self.alterations.enumerated() {
        if number > 0 {
          // The second time somebody asks for it.
          try Subprocess.check(
            Binary.psqlStreamer,
            [
              "snapshot", "--config", run.directory.file("psql-streamer.toml"), "--table",
              "public.*",
            ])
        }
        let writer = try Subprocess(
          "psql", ["-qX", "-d", server.dsn(database: run.name), "-c", Self.writer(number + 1)])
        var during = 0
        for statement in statements {
          try run.psql("SELECT pg_sleep(0.1); \(statement)")
          if try copiesLeft(of: number, run) > 0 { during += 1 }
        }
        #expect(during > 0, "the copy was over before anything was altered")
        #expect(try writer.wait(within: .seconds(120)) == .exited(0), "\(writer.standardError)")
        try eventually(within: .seconds(120), "the end of copy \(number)") {
          try Scenario.requireAlive(streamer)
          return try copiesLeft(of: nil, run) == 0
        }
        try run.waitUntilConfirmed(streamer)
        try expectAgreement(run)
      }
      #expect(try run.stop(streamer) == .exited(0))
    }

    /// How many copies have not ended: that of the start, or those that somebody has asked for, or with
    /// nil all, those of single rows that were moved too.
    private func copiesLeft(of number: Int?, _ run: LocalRun) throws -> Int {
      let answer = try Scenario.get("/snapshot", port: run.httpPort).body
      let copies = try #require(try JSON(answer)["copies"]?.elements)
      return copies.count { copy in
        let isStart = copy["id"]?.int == 0
        let isAsked = copy["tables"]?.elements.first?.string == "public.*"
        return copy["state"]?.string != "done"
          && (number.map { $0 == 0 ? isStart : isAsked } ?? true)
      }
    }

    /// The newest row of each key is what the table has, and no older one came behind it.
    private func expectAgreement(_ run: LocalRun) throws {
      var fold = Fold()
      for event in try run.events() { fold.take(event) }
      let found = fold.rows(of: "orders") { row in
        "\(row["id"]?.int ?? 0) \(row["v"]?.int ?? -1) \(row["big"]?.string?.count ?? 0) "
          + "\(row["extra"]?.int ?? 7) \((row["note"] ?? row["remark"])?.string ?? "")"
      }
      let note = try run.psql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname IN ('note', 'remark')"
      )
      let wanted = try Set(
        lines(
          "SELECT concat_ws(' ', id, v, coalesce(length(big), 0), extra, coalesce(\(note), '')) FROM orders",
          run))
      #expect(found == wanted, "\(found.symmetricDifference(wanted).sorted().prefix(20))")
      #expect(
        fold.rows(of: "emptied") { "\($0["id"]?.int ?? 0) \($0["v"]?.int ?? -1)" }
          == Set(try lines("SELECT id || ' ' || v FROM emptied", run)))
      #expect(fold.older == 0 && fold.repeats == 0)
    }

    private func lines(_ query: String, _ run: LocalRun) throws -> [String] {
      try run.psql(query).split(separator: "\n").map(String.init)
    }
  }
}

extension Integration.SecondThird {
  /// A program that is killed again and again while it copies.
  @Suite struct KilledCopies {
    private static let rows = 20_000
    /// `PSQL_STREAMER_KILLS` kills it more often.
    private static let kills = TestEnvironment["PSQL_STREAMER_KILLS"].flatMap { Int($0) } ?? 5

    private static let writer = """
      DO $$ DECLARE k int; BEGIN LOOP
        k := 1 + random() * \(rows);
        UPDATE orders SET v = v + 1 WHERE id = k;
        IF random() < 0.1 THEN
          DELETE FROM orders WHERE id = k + 7;
          INSERT INTO orders (id) SELECT max(id) + 1 FROM orders;
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.001);
        EXIT WHEN EXISTS (SELECT FROM stop);
      END LOOP; END $$
      """

    @Test func `Whenever it is killed, every row arrives`() throws {
      var random = SeededRandom("kills of a copy")
      let run = try LocalRun(
        "killed",
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#],
          source: [#"snapshot = "initial""#, #"snapshotPause = "10ms""#]),
        tables: """
          CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0, big text);
          ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
          INSERT INTO orders SELECT i, 0, CASE WHEN i % 200 = 0 THEN repeat(md5(i::text), 100) END
            FROM generate_series(1, \(Self.rows)) i;
          CREATE TABLE stop (x int);
          """)
      let writer = try Subprocess(
        "psql", ["-qX", "-d", run.postgres.dsn(database: run.name), "-c", Self.writer])
      var (copies, during) = (0, 0)
      for _ in 0..<Self.kills {
        let streamer = try run.start()
        usleep(UInt32.random(in: 0...400_000, using: &random))
        if streamer.standardError.contains("existing rows are copied") {
          copies += 1
          _ = try Subprocess.run(Binary.psqlStreamer, snapshot(run))
          usleep(UInt32.random(in: 0...200_000, using: &random))
        }
        streamer.send(SIGKILL)
        try streamer.wait()
        if streamer.wasCopying { during += 1 }
      }
      let last = try run.start()
      try eventually(within: .seconds(60), "the end of the copies") {
        try Scenario.requireAlive(last)
        let list = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]?.elements
        return list?.isEmpty == false && list?.allSatisfy { $0["state"]?.string == "done" } == true
      }
      try run.psql("INSERT INTO stop VALUES (1)")
      #expect(try writer.wait(within: .seconds(60)) == .exited(0), "\(writer.standardError)")
      try run.waitUntilConfirmed(last)
      #expect(try run.stop(last) == .exited(0))
      var fold = Fold()
      for event in try run.events() { fold.take(event) }
      printToStandardError(
        "\(Self.kills) kills, \(during) during a copy, \(copies) copies begun anew, \(fold.repeats) events twice"
      )
      #expect(during > 0)
      let found = fold.rows(of: "orders") {
        "\($0["id"]?.int ?? 0) \($0["v"]?.int ?? -1) \($0["big"]?.string?.count ?? 0)"
      }
      let wanted = try Set(
        run.psql("SELECT concat_ws(' ', id, v, coalesce(length(big), 0)) FROM orders")
          .split(separator: "\n").map(String.init))
      #expect(found == wanted, "\(found.symmetricDifference(wanted).sorted().prefix(20))")
    }

    private func snapshot(_ run: LocalRun) -> [String] {
      [
        "snapshot", "--config", run.directory.file("psql-streamer.toml"), "--table",
        "public.orders",
      ]
    }
  }
}
