import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Events come when readers of the primary see their transactions.
  @Suite struct Visibility {
    private static let tables = """
      CREATE TABLE t (id int PRIMARY KEY);
      CREATE TABLE large (id int PRIMARY KEY, v text);
      CREATE TABLE old (id int PRIMARY KEY);
      INSERT INTO old SELECT generate_series(1, 200)
      """

    /// A server whose commits wait for a standby that nobody has heard of, but for sessions that say they
    /// do not, as that of these tests.
    private static func server() throws -> PostgresServer {
      let server = try PostgresServer(
        settings: ["logical_decoding_work_mem": "64kB"], version: nil)
      try server.psql("ALTER ROLE postgres SET synchronous_commit = local")
      try server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
      try server.reload()
      return server
    }

    private static let waiting = "SET synchronous_commit = on; "

    private func run(_ title: String, more: [String] = []) throws -> LocalRun {
      var lines = Scenario.Lines()
      lines.source = [#"visibility = "primary""#, "debug = true"] + more
      return try LocalRun(title, postgres: Self.server(), lines: lines, tables: Self.tables)
    }

    /// Lets every commit that waits through, and those that come.
    private func release(_ run: LocalRun) throws {
      try run.psql("ALTER SYSTEM SET synchronous_standby_names = ''")
      try run.postgres.reload()
    }

    /// How many sessions wait for the standby.
    private func waiting(_ run: LocalRun) throws -> Int {
      Int(try run.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) ?? 0
    }

    private func commit(_ run: LocalRun, _ sql: String) throws -> PostgresSession {
      let before = try waiting(run)
      let session = try run.postgres.session(database: run.name)
      session.send(Self.waiting + sql)
      try eventually("a commit that waits") { try waiting(run) == before + 1 }
      return session
    }

    private func ids(_ events: [JSON], _ table: String = "t") -> [Int] {
      events.filter { $0["Table"]?.string == table }.compactMap { $0["Columns"]?["id"]?.int }
    }

    private func wait(of run: LocalRun) throws -> Double {
      let status = try JSON(Scenario.get("/status", port: run.httpPort).body)
      guard case .number? = status["sources"]?.elements.first?["visibilityWaitSeconds"] else {
        return 0
      }
      return try run.metric(#"psql_streamer_visibility_wait_seconds{sourceName="pg"}"#) ?? 0
    }

    @Test func `Rows come when the standby has let their commit through, and in order`() throws {
      let run = try run("visible")
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      #expect(try ids(run.events(1, from: streamer)) == [1])
      let first = try commit(run, "INSERT INTO t VALUES (2)")
      // Readers see what was committed behind it.
      try run.psql("INSERT INTO t VALUES (3)")
      #expect(try run.psql("SELECT array_agg(id ORDER BY id) FROM t") == "{1,3}")
      let large = try commit(
        run,
        """
        INSERT INTO large SELECT i, repeat('x', 1000) FROM generate_series(1, 1000) i
        """)
      try eventually("what is said of it") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("a transaction waits to be visible on the primary")
      }
      try eventually("the wait in status and metrics") { try wait(of: run) >= 5 }
      #expect(try run.events().count == 1)
      // The server goes on hearing of a reader that reads nothing.
      #expect(try run.psql("SELECT count(*) FROM pg_stat_replication") == "1")
      try release(run)
      let events = try run.events(1_003, from: streamer)
      #expect(ids(events) == [1, 2, 3] && ids(events, "large") == Array(1...1_000))
      try eventually("the end of the wait") { try wait(of: run) == 0 }
      #expect(streamer.standardError.contains("a transaction has become visible"))
      #expect(streamer.standardError.contains("a streamed transaction has been read"))
      #expect(try run.stop(streamer) == .exited(0))
      _ = (first, large)
    }

    @Test func `An end while a commit waits is in good order, and a kill loses nothing`() throws {
      let run = try run("visibleend")
      var streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      _ = try run.events(1, from: streamer)
      let session = try commit(run, "INSERT INTO t VALUES (2)")
      try run.psql("INSERT INTO t VALUES (3)")
      pause(.milliseconds(500))
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try ids(run.events()) == [1])

      streamer = try run.start()
      pause(.milliseconds(1_500))
      #expect(try ids(run.events()) == [1])
      streamer.send(SIGKILL)
      _ = try streamer.wait()
      streamer = try run.start()
      pause(.milliseconds(500))
      #expect(try ids(run.events()) == [1])
      // One whose look-ups end is connected anew.
      try run.psql(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%snapshot()%'
          AND pid <> pg_backend_pid()
        """)
      try release(run)
      #expect(try ids(run.events(3, from: streamer)) == [1, 2, 3])
      #expect(!streamer.standardError.contains("ERROR"))
      #expect(try run.stop(streamer) == .exited(0))
      _ = session
    }

    @Test func `A server that shuts down does not wait for what nobody can see any more`() throws {
      let run = try run("visibledown")
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      _ = try run.events(1, from: streamer)
      let session = try commit(run, "INSERT INTO t VALUES (2)")
      try run.postgres.restart()
      // What was committed is seen after a recovery, whatever the standby has.
      #expect(try ids(run.events(2, from: streamer)) == [1, 2])
      #expect(try run.stop(streamer) == .exited(0))
      _ = session
    }

    @Test func `Existing rows are copied beside a commit that waits`() throws {
      let run = try run(
        "visiblecopy", more: [#"snapshot = "initial""#, #"snapshotPause = "100ms""#])
      // The slot's creation waits for it otherwise.
      var streamer = try run.start()
      try eventually("the first copy") { try ids(run.events(), "old").count == 200 }
      #expect(try run.stop(streamer) == .exited(0))
      let session = try commit(run, "INSERT INTO t VALUES (1)")
      streamer = try run.start()
      pause(.milliseconds(500))
      let file = run.directory.file("psql-streamer.toml")
      try eventually("the wish for a copy") {
        try Subprocess.run(
          Binary.psqlStreamer, ["snapshot", "--config", file, "--table", "public.old"]
        ).termination == .exited(0)
      }
      try eventually("the second copy") {
        try Scenario.requireAlive(streamer)
        return try ids(run.events(), "old").count == 400
      }
      #expect(try ids(run.events()).isEmpty)
      try release(run)
      try eventually("the row") { try ids(run.events()) == [1] }
      #expect(try run.stop(streamer) == .exited(0))
      _ = session
    }

    @Test func `A standby that is this connection itself is refused, and said by check`() throws {
      let run = try run("visibleself")
      try run.psql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (nobody, *)'")
      try run.postgres.reload()
      let refused = try run.launch()
      #expect(try refused.wait() == .exited(3), "\(refused.standardError)")
      #expect(refused.standardError.contains("covers this connection too"))
      let file = run.directory.file("psql-streamer.toml")
      let check = try Subprocess.run(Binary.psqlStreamer, ["check", "--config", file])
      #expect(check.termination == .exited(3))
      #expect(check.standardOutput.contains("covers this connection too"))
      #expect(try run.psql("SELECT count(*) FROM pg_replication_slots") == "0")
      try release(run)
      let good = try Subprocess.run(Binary.psqlStreamer, ["check", "--config", file])
      #expect(good.standardOutput.contains("a transaction waits until a snapshot"))
    }

    @Test func `A standby is refused, whose snapshots say nothing of the primary`() throws {
      let major = PostgresPrograms.installed.keys.max() ?? 0
      guard major >= 16 else { return }
      let primary = try PostgresServer(version: major)
      let standby = try PostgresServer(standbyOf: primary)
      let directory = try TemporaryDirectory("visible")
      let file = directory.file("run.toml")
      try primary.psql("CREATE PUBLICATION everything FOR ALL TABLES")
      try eventually("the publication on the standby") {
        try standby.psql("SELECT count(*) FROM pg_publication") == "1"
      }
      try FileBytes.write(
        """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:0"
        [source.pg]
        type = "postgres"
        dsn = "\(standby.dsn())"
        publication = "everything"
        replicationSlot = "visible"
        visibility = "primary"
        [sink.out]
        type = "file"
        sources = ["pg"]
        path = "\(directory.file("events"))"
        """, to: file)
      let refused = try Subprocess.run(Binary.psqlStreamer, ["run", "--config", file])
      #expect(refused.termination == .exited(3), "\(refused.standardError)")
      #expect(refused.standardError.contains("cannot be had from a standby"))
      let check = try Subprocess.run(Binary.psqlStreamer, ["check", "--config", file])
      #expect(check.termination == .exited(3))
      #expect(check.standardOutput.contains("cannot be had from a standby"))
    }
  }
}
