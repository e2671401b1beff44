import Glibc
import PGWire
import Support
import Testing

extension Integration {
  /// Sessions whose settings are known, and starts that wait for something: no Kafka is needed.
  @Suite(.serialized) struct Sessions {
    /// What changes what is sent, or how long a session lives.
    private static let hostile = [
      "bytea_output = escape", "extra_float_digits = -10", "IntervalStyle = iso_8601",
      "DateStyle = German", "TimeZone = 'Asia/Tokyo'", "standard_conforming_strings = off",
      "default_transaction_read_only = on", "default_transaction_isolation = serializable",
      "client_min_messages = error", "statement_timeout = 1", "lock_timeout = 1",
      "idle_in_transaction_session_timeout = 1", "quote_all_identifiers = on",
      "search_path = public", "client_encoding = LATIN1",
    ]

    private static let row = """
      SET standard_conforming_strings = on; SET DateStyle = ISO; SET IntervalStyle = postgres;
      INSERT INTO t VALUES (1, 0.1, '\\x00ff', '1 day 2 hours', '2026-01-02',
        '2026-01-02 03:04:05+00')
      """

    private func file(
      _ dsn: String, slot: String = "s", _ directory: TemporaryDirectory, lines: [String] = []
    ) throws -> String {
      let file = directory.file("\(slot).toml")
      try FileBytes.write(
        """
        store = "\(directory.file("\(slot).sqlite"))"
        http = "127.0.0.1:\(FreePort.take())"
        startTimeout = "10s"
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

    private func run(_ file: String) throws -> Subprocess {
      try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
    }

    private func waitForStream(_ streamer: Subprocess) throws {
      try eventually(within: .seconds(60), "the stream") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("msg=streaming")
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
        let value = event["Columns"]?[name]
        return value?.string ?? value.map { "\($0)" } ?? "none"
      }.joined(separator: "|")
    }

    @Test(arguments: majors)
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
        let streamer = try run(
          file(
            "host=127.0.0.1 port=\(pooler?.port ?? server.port) user=u_\(way) dbname=\(way)",
            slot: way, directory, lines: ["createPublication = true"]))
        try waitForStream(streamer)
        // The session that writes must live as well; the role of the test has no settings.
        try server.psql("ALTER DATABASE \(way) RESET ALL")
        try server.psql(Self.row, database: way)
        seen[way] = try columns(streamer)
        let warns = streamer.standardError.contains("settings of the startup packet were dropped")
        #expect(warns == (way == "pooler"))
        streamer.send(SIGTERM)
        #expect(try streamer.wait() == .exited(0), "\(streamer.standardError)")
      }
      #expect(Set(seen.values).count == 1, "\(seen)")
      #expect(seen["plain"]?.contains("0.1|") == true, "\(seen)")
    }

    @Test func `What holds up a slot is named, and a stop leaves nothing`() throws {
      let server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int); CREATE PUBLICATION \"MyPub\" FOR ALL TABLES")
      let other = try server.session()
      try other.run("BEGIN")
      try other.run("INSERT INTO t VALUES (1)")
      let pid = try server.psql(
        "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'")
      let directory = try TemporaryDirectory("sessions")
      let streamer = try run(file(server.dsn(), directory))
      try eventually("the blocker's name") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("the creation of the slot waits")
      }
      #expect(streamer.standardError.contains("pid \(pid), xid "), "\(streamer.standardError)")
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(20)) == .exited(0), "\(streamer.standardError)")
      try eventually("no slot") {
        try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
      }

      let bounded = try run(file(server.dsn(), directory, lines: ["createTimeout = \"3s\""]))
      #expect(try bounded.wait(within: .seconds(60)) == .exited(1))
      #expect(bounded.standardError.contains("within createTimeout"), "\(bounded.standardError)")
      try eventually("no slot") {
        try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
      }
    }

    @Test(arguments: majors)
    func `A publication that vanishes is a gap`(major: Int) throws {
      let server = try PostgresServer(version: major)
      let make = "CREATE PUBLICATION \"MyPub\" FOR ALL TABLES"
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); \(make)")
      let directory = try TemporaryDirectory("sessions")
      let streamer = try run(file(server.dsn(), directory))
      try waitForStream(streamer)
      try server.psql("INSERT INTO t VALUES (1)")
      try eventually("the event") { streamer.standardOutput.hasSuffix("\n") }
      try server.psql("DROP PUBLICATION \"MyPub\"")
      try server.psql("INSERT INTO t VALUES (2)")
      try server.psql(make)
      try server.psql("INSERT INTO t VALUES (3)")
      let end = try streamer.wait(within: .seconds(60))
      #expect(end == .exited(3) || end == .exited(1))
      #expect(streamer.standardOutput.split(separator: "\n").count == 1)
      #expect(streamer.standardError.contains("CREATE PUBLICATION \"MyPub\"") || major >= 18)
      // The next start does not pass over it either.
      let again = try run(file(server.dsn(), directory))
      #expect(try again.wait(within: .seconds(60)) != .exited(0))
      #expect(again.standardOutput.isEmpty)
    }
  }
}
