import Glibc
import PGWire
import Support
import Testing

extension Integration.LastThird {
  /// Sessions whose settings are known, and starts that wait for something.
  @Suite(.serialized) struct Sessions {
    /// What changes what is sent, or how long a session lives.
    private static let hostile = [
      "bytea_output = escape", "extra_float_digits = -10", "IntervalStyle = iso_8601",
      "DateStyle = German", "TimeZone = 'Asia/Tokyo'", "standard_conforming_strings = off",
      "default_transaction_read_only = on", "default_transaction_isolation = serializable",
      "client_min_messages = error", "statement_timeout = 300", "lock_timeout = 1",
      "idle_in_transaction_session_timeout = 1", "quote_all_identifiers = on",
      "search_path = public", "client_encoding = LATIN1",
    ]

    private static let row = """
      SET standard_conforming_strings = on; SET DateStyle = ISO; SET IntervalStyle = postgres;
      INSERT INTO t VALUES (1, 0.1, '\\x00ff', '1 day 2 hours', '2026-01-02',
        '2026-01-02 03:04:05+00')
      """

    private func file(
      _ dsn: String, slot: String = "s", _ directory: TemporaryDirectory,
      startTimeout: String = "10s", lines: [String] = []
    ) throws -> String {
      let file = directory.file("\(slot).toml")
      try FileBytes.write(
        """
        store = "\(directory.file("\(slot).sqlite"))"
        http = "127.0.0.1:\(FreePort.take())"
        startTimeout = "\(startTimeout)"
        [source.pg]
        type = "postgres"
        dsn = "\(dsn)"
        publication = "MyPub"
        replicationSlot = "\(slot)"
        startRetryInterval = "200ms"
        \(lines.joined(separator: "\n"))
        [sink.out]
        type = "stdout"
        sources = ["pg"]
        """, to: file)
      return file
    }

    private func run(_ file: String, _ options: String...) throws -> Subprocess {
      try Subprocess(Binary.psqlStreamer, ["run", "--config", file] + options)
    }

    private func waitFor(_ text: String, from streamer: Subprocess) throws {
      try eventually(within: .seconds(60), "\(text) (\(streamer.standardError))") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains(text)
      }
    }

    private func waitForNoSlot(on server: PostgresServer) throws {
      try eventually("no slot") {
        try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
      }
    }

    /// One server of each version at hand, newest and distribution's.
    private static var majors: [Int] {
      [15, 18].filter { PostgresPrograms.installed[$0] != nil }
    }

    private func columns(_ streamer: Subprocess) throws -> String {
      try eventually("the event") { streamer.standardOutput.hasSuffix("\n") }
      let event = try JSON(streamer.standardOutput)
      return ["f", "b", "i", "d", "at"].map { name in
        event["Columns"]?[name].map { $0.string ?? "\($0)" } ?? "none"
      }.joined(separator: "|")
    }

    @Test(arguments: PostgresPrograms.installed.keys.sorted())
    func `Whatever a role, a database or a pooler sets, the events are the same`(
      major: Int
    ) throws {
      let server = try PostgresServer(version: major)
      var settings = Self.hostile
      if major >= 17 { settings += ["transaction_timeout = 500", "idle_session_timeout = 500"] }
      var seen: [String: String] = [:]
      for way in ["plain", "database", "role", "pooler"] {
        try server.psql("CREATE DATABASE \(way); CREATE ROLE u_\(way) SUPERUSER LOGIN")
        try server.psql(
          """
          CREATE TABLE t (id int PRIMARY KEY, f float8, b bytea, i interval, d date, at timestamptz)
          """, database: way)
        for setting in settings where way != "plain" {
          let target = way == "role" ? "ROLE u_role" : "DATABASE \(way)"
          try server.psql("ALTER \(target) SET \(setting)")
        }
        let pooler = way == "pooler" ? try DroppingPooler(before: server) : nil
        let directory = try TemporaryDirectory("sessions")
        let file = try file(
          "host=127.0.0.1 port=\(pooler?.port ?? server.port) user=u_\(way) dbname=\(way)",
          slot: way, directory, lines: ["createPublication = true"])
        let checked = try Subprocess.run(Binary.psqlStreamer, ["check", "--config", file])
        #expect(checked.termination == .exited(0), "\(checked.standardOutput)")
        #expect(checked.standardOutput.contains("were dropped") == (way == "pooler"))
        let streamer = try run(file)
        try waitFor("msg=streaming", from: streamer)
        // The session that writes must live as well; the role of the test has no settings.
        try server.psql("ALTER DATABASE \(way) RESET ALL")
        try server.psql(Self.row, database: way)
        seen[way] = try columns(streamer)
        let warns = streamer.standardError.contains("settings of the startup packet were dropped")
        #expect(warns == (way == "pooler"))
        streamer.send(SIGTERM)
        #expect(try streamer.wait() == .exited(0), "\(streamer.standardError)")
        for setting in settings where way != "plain" {
          try server.psql("ALTER DATABASE \(way) SET \(setting)")
        }
        let dropped = try Subprocess.run(
          Binary.psqlStreamer, ["drop", "--yes", "--config", file])
        #expect(dropped.termination == .exited(0), "\(dropped.standardError)")
      }
      #expect(Set(seen.values).count == 1, "\(seen)")
      #expect(seen["plain"]?.contains("0.1") == true, "\(seen)")
    }

    @Test func `A pooler that refuses a setting is named`() throws {
      let server = try PostgresServer()
      let pooler = try DroppingPooler(before: server, refusing: true)
      let directory = try TemporaryDirectory("sessions")
      let dsn = "host=127.0.0.1 port=\(pooler.port) user=postgres dbname=postgres"
      let streamer = try run(file(dsn, directory))
      #expect(try streamer.wait(within: .seconds(60)) == .exited(3))
      #expect(streamer.standardError.contains("A pooler sits in between"))
    }

    @Test func `What holds up a slot is named, and a stop leaves nothing`() throws {
      let server = try PostgresServer(settings: ["max_prepared_transactions": "1"])
      try server.psql("CREATE TABLE t (id int); CREATE PUBLICATION \"MyPub\" FOR ALL TABLES")
      let other = try server.session()
      try other.run("BEGIN")
      try other.run("INSERT INTO t VALUES (1)")
      // It would end the wait for the slot before anything is said.
      try server.psql("ALTER DATABASE postgres SET lock_timeout = '500ms'")
      let pid = try server.psql(
        "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'")
      let directory = try TemporaryDirectory("sessions")
      let streamer = try run(file(server.dsn(), directory))
      try waitFor("the creation of the slot waits", from: streamer)
      #expect(streamer.standardError.contains("pid \(pid), xid "), "\(streamer.standardError)")
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(20)) == .exited(0), "\(streamer.standardError)")
      try waitForNoSlot(on: server)

      try other.run("PREPARE TRANSACTION 'held up'")
      let bounded = try run(
        file(server.dsn(), directory, startTimeout: "1s", lines: ["createTimeout = \"3s\""]))
      #expect(try bounded.wait(within: .seconds(60)) == .exited(1))
      let text = "within createTimeout: it waits for prepared transaction 'held up'"
      #expect(bounded.standardError.contains(text), "\(bounded.standardError)")
      try waitForNoSlot(on: server)

      // A recording is stopped as well; and what takes longer than a start may take goes on.
      let toml = try file(server.dsn(), directory, startTimeout: "1s")
      let recorder = try Subprocess(
        Binary.psqlStreamer,
        ["record", "--config", toml, "--output", directory.file("recording")])
      let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
      try eventually("the recorder's slot") { try server.psql(waiting) == "1" }
      recorder.send(SIGTERM)
      #expect(try recorder.wait(within: .seconds(10)) == .exited(1))
      try waitForNoSlot(on: server)
      let patient = try run(toml)
      try waitFor("the creation of the slot waits", from: patient)
      try server.psql("COMMIT PREPARED 'held up'")
      try waitFor("msg=streaming", from: patient)
      patient.send(SIGTERM)
      #expect(try patient.wait(within: .seconds(60)) == .exited(0))
    }

    @Test func `A question that is not answered holds up neither a start nor a stop`() throws {
      let server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int); CREATE PUBLICATION \"MyPub\" FOR ALL TABLES")
      let other = try server.session()
      try other.run("BEGIN")
      try other.run("LOCK TABLE pg_catalog.pg_publication IN ACCESS EXCLUSIVE MODE")
      let directory = try TemporaryDirectory("sessions")
      let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
      let stopped = try run(file(server.dsn(), directory, startTimeout: "0s"))
      try eventually("the question") { try server.psql(waiting) == "1" }
      stopped.send(SIGTERM)
      #expect(try stopped.wait(within: .seconds(10)) == .exited(0), "\(stopped.standardError)")
      try eventually("the question's end") { try server.psql(waiting) == "0" }

      let ended = try run(file(server.dsn(), directory, startTimeout: "2s"))
      #expect(try ended.wait(within: .seconds(20)) == .exited(1))
      #expect(ended.standardError.contains("waiting for a query's answer"))
      try eventually("the question's end") { try server.psql(waiting) == "0" }
    }

    @Test(arguments: majors)
    func `A publication that vanishes is a gap`(major: Int) throws {
      let server = try PostgresServer(version: major)
      let make = "CREATE PUBLICATION \"MyPub\" FOR ALL TABLES"
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); \(make)")
      let directory = try TemporaryDirectory("sessions")
      let file = try file(server.dsn(), directory)
      let streamer = try run(file)
      try waitFor("msg=streaming", from: streamer)
      try server.psql("INSERT INTO t VALUES (1)")
      try eventually("the event") { streamer.standardOutput.hasSuffix("\n") }
      try server.psql("DROP PUBLICATION \"MyPub\"")
      try server.psql("INSERT INTO t VALUES (2)")
      try server.psql(make)
      try server.psql("INSERT INTO t VALUES (3)")
      #expect(try streamer.wait(within: .seconds(60)) == .exited(1))
      #expect(streamer.standardOutput.split(separator: "\n").count == 1)
      // The next start does not pass over it either, and says what to do.
      let again = try run(file)
      #expect(try again.wait(within: .seconds(60)) == .exited(1))
      #expect(again.standardOutput.isEmpty)
      let said = again.standardError.replacing("\\\"", with: "\"")
      #expect(said.contains(make), "\(said)")
      guard major >= 18 else { return }
      #expect(again.standardError.contains("--accept-gap pg"))
      let accepted = try run(file, "--accept-gap", "pg")
      try eventually("the event") { accepted.standardOutput.hasSuffix("\n") }
      #expect(try JSON(accepted.standardOutput)["Columns"]?["id"]?.int == 3)
      #expect(accepted.standardError.contains("going on over a gap"))
      accepted.send(SIGTERM)
      #expect(try accepted.wait(within: .seconds(60)) == .exited(0))
    }

    @Test(arguments: majors)
    func `A failover is waited for, then the gap counts`(major: Int) throws {
      let primary = try PostgresServer(version: major)
      try primary.psql(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION \"MyPub\" FOR ALL TABLES")
      let standby = try PostgresServer(standbyOf: primary)
      let directory = try TemporaryDirectory("sessions")
      let dsn = "host=127.0.0.1,127.0.0.1 port=\(primary.port),\(standby.port) user=postgres"
      let file = try file(
        dsn + " dbname=postgres", directory, startTimeout: "1s",
        lines: ["failoverTimeout = \"8s\""])
      let streamer = try run(file)
      try waitFor("msg=streaming", from: streamer)
      try primary.psql("INSERT INTO t VALUES (1)")
      try eventually("the event") { streamer.standardOutput.hasSuffix("\n") }
      try eventually("the row on the standby") {
        try standby.psql("SELECT count(*) FROM t") == "1"
      }
      try primary.stop(.immediate)
      try waitFor("the server is in recovery", from: streamer)
      // Another process, which only knows what is stored, waits as well, and longer than a start.
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))
      let second = try run(file)
      try waitFor("the server is in recovery", from: second)
      try standby.psql("SELECT pg_promote()")
      try waitFor("was promoted and has no slot", from: second)
      #expect(try second.wait(within: .seconds(60)) == .exited(3))
      #expect(second.standardError.contains("changes may be missing"), "\(second.standardError)")
    }

    @Test func `The creation of a slot on an idle standby is told and cancelled`() throws {
      guard PostgresPrograms.installed[18] != nil else {
        print("PostgreSQL 18 is not installed: no slot on a standby is made")
        return
      }
      let primary = try PostgresServer(settings: ["bgwriter_delay": "10s"], version: 18)
      try primary.psql("CREATE TABLE t (id int); CREATE PUBLICATION \"MyPub\" FOR ALL TABLES")
      let standby = try PostgresServer(standbyOf: primary)
      try eventually("the publication on the standby") {
        try standby.psql("SELECT count(*) FROM pg_publication") == "1"
      }
      let directory = try TemporaryDirectory("sessions")
      let streamer = try run(file(standby.dsn(), directory))
      try waitFor("pg_log_standby_snapshot() there", from: streamer)
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(20)) == .exited(0), "\(streamer.standardError)")
      try waitForNoSlot(on: standby)
    }
  }
}
