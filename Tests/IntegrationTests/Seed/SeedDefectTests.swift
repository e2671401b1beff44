import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// The defects of the program that this one succeeds, each as a test that its behaviour fails.
  @Suite(.needsKafka) struct SeedDefects {
    private static let table = "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)"

    @Test func `D1 TRUNCATE of a published table does not end the stream`() throws {
      let scenario = try Scenario(
        "d1", tables: "\(Self.table); CREATE TABLE u (id int PRIMARY KEY)")
      let streamer = try scenario.start()
      try scenario.psql(
        "INSERT INTO t VALUES (1); TRUNCATE t, u RESTART IDENTITY; INSERT INTO t VALUES (2)")
      let events = try scenario.events(4, from: streamer).ordered
      #expect(events.map(\.action) == ["insert", "truncate", "truncate", "insert"])
      #expect(Set(events[1...2].map(\.table)) == ["t", "u"])
      #expect(events[1...2].map(\.ordinal) == [0, 1])
      #expect(events[1...2].allSatisfy { $0.record.key == nil })
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// A's rows lie before B's commit in the WAL, and A commits after the position was stored.
    @Test(arguments: [SIGTERM, SIGKILL])
    func `D2 interleaved transactions after a restart`(signal: Int32) throws {
      let scenario = try Scenario("d2", tables: Self.table)
      let first = try scenario.start()
      let open = try scenario.postgres.session(database: scenario.name)
      try open.run("BEGIN; INSERT INTO t VALUES (1), (2)")
      try scenario.psql("INSERT INTO t VALUES (100)")
      _ = try scenario.events(1, from: first)
      try scenario.waitUntilConfirmed(first)
      first.send(signal)
      try first.wait()
      try open.run("INSERT INTO t VALUES (3); COMMIT")
      open.close()
      let second = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (101)")
      let events = try scenario.events(5, from: second).ordered
      #expect(events.integers("id") == [100, 1, 2, 3, 101])
      #expect(try scenario.stop(second) == .exited(0))
    }

    @Test func `D3 shutdown does not store the position of an undelivered batch`() throws {
      var lines = Scenario.Lines()
      lines.top = [#"shutdownTimeout = "1s""#]
      let scenario = try Scenario("d3", lines: lines, tables: Self.table)
      let first = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (1)")
      _ = try scenario.events(1, from: first)
      try scenario.waitUntilConfirmed(first)
      try scenario.broker.kill()
      do {
        defer { try? scenario.broker.start() }
        try scenario.psql("INSERT INTO t SELECT generate_series(2, 50)")
        let target = try scenario.psql("SELECT pg_current_wal_lsn()")
        try waitUntilSent(target, scenario)
        _ = try scenario.stop(first)
        #expect(try !scenario.isConfirmed(target))
      }
      let second = try scenario.start()
      try scenario.waitUntilConfirmed(second)
      let events = try scenario.events().withoutRepetitions.ordered
      #expect(events.integers("id") == Array(1...50))
      #expect(try scenario.stop(second) == .exited(0))
    }

    /// The seed confirmed what it had received; here the slot stands still while Kafka is down,
    /// and the walsender hears from us all the same: it is never timed out.
    @Test func `D4 acknowledges only what was delivered`() throws {
      let postgres = try PostgresServer(settings: ["wal_sender_timeout": "4s"])
      let scenario = try Scenario("d4", postgres: postgres, tables: Self.table)
      let streamer = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (1)")
      _ = try scenario.events(1, from: streamer)
      try scenario.waitUntilConfirmed(streamer)
      let walsender = try scenario.psql("SELECT pid FROM pg_stat_replication")
      try scenario.broker.kill()
      do {
        defer { try? scenario.broker.start() }
        try scenario.psql("INSERT INTO t SELECT generate_series(2, 50)")
        let target = try scenario.psql("SELECT pg_current_wal_lsn()")
        try waitUntilSent(target, scenario)
        pause(.seconds(9))
        #expect(try !scenario.isConfirmed(target))
        #expect(try scenario.psql("SELECT pid FROM pg_stat_replication") == walsender)
      }
      try scenario.waitUntilConfirmed(streamer)
      #expect(
        try scenario.events().withoutRepetitions.ordered.integers("id") == Array(1...50))
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    @Test func `D5 one row's changes land on one partition`() throws {
      let scenario = try Scenario("d5", tables: Self.table)
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO t SELECT generate_series(1, 40);
        UPDATE t SET v = 1; UPDATE t SET v = 2; DELETE FROM t
        """)
      let events = try scenario.events(160, from: streamer)
      let rows = Dictionary(grouping: events) { $0.record.key ?? "" }
      #expect(rows.count == 40)
      for (key, changes) in rows {
        #expect(Set(changes.map(\.record.partition)).count == 1, "key \(key)")
        #expect(changes.map(\.action) == ["insert", "update", "update", "delete"])
      }
      #expect(Set(events.map(\.record.partition)).count == 4)
      _ = try scenario.stop(streamer)
    }

    @Test func `D6 the status of a healthy program is an answer`() throws {
      let scenario = try Scenario("d6", tables: Self.table)
      let streamer = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (1)")
      _ = try scenario.events(1, from: streamer)
      let answer = try scenario.get("/status")
      let status = try JSON(answer.body)
      #expect(answer.status == 200 && status["ok"]?.bool == true)
      #expect(status["sources"]?[0]?["name"]?.string == "pg")
      #expect(status["sources"]?[0]?["state"]?.string == "streaming")
      #expect(status["sinks"]?[0]?["name"]?.string == "out")
      #expect(try scenario.get("/health").status == 200)
      #expect(try scenario.get("/metrics").body.contains("source_events"))
      _ = try scenario.stop(streamer)
    }

    @Test func `D7 unchanged TOAST is absent, never null`() throws {
      let scenario = try Scenario(
        "d7",
        tables: """
          CREATE TABLE t (id int PRIMARY KEY, v int, doc text, other text);
          ALTER TABLE t ALTER doc SET STORAGE EXTERNAL
          """)
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO t VALUES (1, 1, repeat('abcdefgh', 10000), NULL);
        UPDATE t SET v = 2;
        UPDATE t SET doc = NULL
        """)
      let events = try scenario.events(3, from: streamer).ordered
      #expect(events[0]["doc"]?.string?.utf8.count == 80_000)
      #expect(events[1].columns.names == ["id", "v", "other"])
      #expect(events[1].value["Unchanged"] == .array([.string("doc")]))
      #expect(events[1]["other"] == .null)
      #expect(events[2]["doc"] == .null)
      #expect(events[2].value["Unchanged"] == nil)
      _ = try scenario.stop(streamer)
    }

    /// Waits until the walsender has sent everything up to a position.
    private func waitUntilSent(_ position: String, _ scenario: Scenario) throws {
      try eventually(within: .seconds(30), "the sending of \(position)") {
        try scenario.psql(
          """
          SELECT bool_or(sent_lsn >= '\(position)') FROM pg_stat_replication r
            JOIN pg_replication_slots s ON s.active_pid = r.pid AND s.slot_name = '\(scenario.slot)'
          """) == "t"
      }
    }
  }
}
