import Glibc
import KafkaBridge
import Support
import Testing

extension Integration.LastThird {
  /// `check` from outside: what it finds, that it tells no secret, and that it changes nothing.
  @Suite struct Check {
    private static let password = "tr0ub4dor"
    private static let members = ["check", "target", "result", "found", "remedy", "exit"]
    private let server: PostgresServer
    private let cluster: MockCluster
    private let directory: TemporaryDirectory

    init() throws {
      server = try PostgresServer(hba: [
        "local all all trust", "local replication all trust",
        "host all postgres 127.0.0.1/32 trust", "host replication postgres 127.0.0.1/32 trust",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host replication all 127.0.0.1/32 scram-sha-256",
      ])
      try server.psql(
        """
        CREATE ROLE streamer LOGIN REPLICATION PASSWORD '\(Self.password)';
        CREATE ROLE reader LOGIN PASSWORD '\(Self.password)';
        CREATE TABLE keyed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
        CREATE TABLE bare (note text);
        CREATE PUBLICATION shop FOR ALL TABLES
        """)
      cluster = try MockCluster()
      try cluster.createTopic("all", partitions: 3)
      directory = try TemporaryDirectory("check")
    }

    private func check(
      user: String = "streamer", password: String = password, publication: String = "shop",
      topic: String = "all", store: String? = nil, source: String = "", sink: String = "",
      json: Bool = true
    ) throws -> (code: Subprocess.Termination, text: String, findings: [JSON]) {
      let file = directory.file("check.toml")
      try FileBytes.write(
        """
        store = "\(store ?? directory.file("positions.sqlite"))"
        [source.pg]
        type = "postgres"
        dsn = "\(server.dsn(user: user, password: password))"
        publication = "\(publication)"
        replicationSlot = "check"
        \(source)
        [sink.out]
        type = "kafka"
        sources = ["pg"]
        hosts = ["\(cluster.bootstrapServers)"]
        topicFallback = "\(topic)"
        \(sink)
        """, to: file)
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--config", file] + (json ? ["--json"] : []))
      let text = output.standardOutput + output.standardError
      #expect(!text.contains(Self.password) && !text.contains("geheim"))
      return (output.termination, text, json ? try JSON(output.standardOutput).elements : [])
    }

    private func results(_ findings: [JSON], _ check: String) -> [String] {
      findings.filter { $0["check"]?.string == check }.compactMap { $0["result"]?.string }
    }

    /// Rules of tables are held against the tables that there are, with the file's line.
    @Test func `Rules of tables are examined`() throws {
      let (code, text, findings) = try check(
        sink: """
          [sink.out.table.keyed]
          key = ["twice"]
          [sink.out.table.bare]
          where = "note > 1"
          [sink.out.table.bear]
          exclude = ["note"]
          """)
      #expect(code == .exited(3), "\(text)")
      #expect(results(findings, "rules") == ["fail", "fail", "warn"])
      let said = findings.filter { $0["check"]?.string == "rules" }.compactMap {
        $0["found"]?.string
      }.joined(separator: "\n")
      for part in [
        "table public.keyed: its rule does not fit: column \"twice\" is no part of its replica",
        "check.toml:14: sink.out.table.keyed.key)",
        "table public.bare: its rule does not fit: column \"note\" (text) and the number 1",
        "check.toml:16: sink.out.table.bare.where)", "no published table has the rule of bear",
      ] { #expect(said.contains(part), "\(said)") }
    }

    /// The server waits for a table's lock to say its publication's condition.
    @Test func `A locked table keeps nobody waiting`() throws {
      try server.psql(
        "CREATE TABLE part (id int PRIMARY KEY); CREATE PUBLICATION filtered FOR TABLE part WHERE (id > 0), keyed"
      )
      let free = try check(publication: "filtered").findings
      #expect(results(free, "row filter") == ["ok"] && results(free, "locks") == [])
      let holder = try server.session()
      try holder.run("BEGIN; LOCK TABLE part IN ACCESS EXCLUSIVE MODE")
      let (code, text, findings) = try check(publication: "filtered")
      try holder.run("ROLLBACK")
      #expect(code == .exited(0), "\(text)")
      #expect(results(findings, "locks") == ["warn"])
      #expect(results(findings, "publication") == ["ok"])
      #expect(results(findings, "slot") == ["ok"])
    }

    @Test func `All is found, nothing is made`() throws {
      let (code, text, findings) = try check()
      #expect(code == .exited(0), "\(text)")
      #expect(findings.allSatisfy { $0.names == Self.members })
      for name in [
        "file", "connection", "wal_level", "slots", "walsenders", "replication", "publication",
        "slot", "topic all",
      ] {
        #expect(results(findings, name).contains("ok"), "\(name)")
      }
      #expect(results(findings, "generated columns") == ["warn"])
      // One finding for those with a key, one for the table without.
      #expect(results(findings, "replica identity") == ["ok", "warn"])
      #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == "0")
      #expect(try Subprocess.check("ls", [directory.path]) == "check.toml\n")
    }

    @Test func `The table is plain where there is no terminal`() throws {
      let (code, text, _) = try check(publication: "none", json: false)
      #expect(code == .exited(3))
      #expect(text.contains("RESULT") && !text.contains("\u{1B}"))
      #expect(text.contains("→ CREATE PUBLICATION none"))
      #expect(text.contains(/\d+ ok, \d+ warn, 1 fail\n$/))
    }

    @Test func `What run would create is no failure`() throws {
      let (code, text, findings) = try check(
        publication: "later", source: "createPublication = true")
      #expect(code == .exited(0), "\(text)")
      #expect(results(findings, "publication") == ["ok"])
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "1")
    }

    @Test func `Each thing that run would refuse fails`() throws {
      let wrongPassword = try check(password: "geheim")
      #expect(wrongPassword.code == .exited(3))
      #expect(results(wrongPassword.findings, "connection").contains("fail"))
      // The sink is examined all the same.
      #expect(results(wrongPassword.findings, "topic all") == ["ok"])

      let mayNotReplicate = try check(user: "reader")
      #expect(mayNotReplicate.code == .exited(3))
      #expect(results(mayNotReplicate.findings, "replication") == ["fail"])

      // The embedded cluster makes any topic that it is asked about, but for one with an error.
      try cluster.createTopic("missing", partitions: 1)
      cluster.setTopicError("missing", code: 3)
      let noTopic = try check(topic: "missing")
      #expect(noTopic.code == .exited(3))
      #expect(results(noTopic.findings, "topic missing") == ["fail"])

      let noDirectory = try check(store: "/nonexistent/positions.sqlite")
      #expect(noDirectory.code == .exited(3))
      #expect(results(noDirectory.findings, "file") == ["fail"])

      try server.psql("SELECT pg_create_logical_replication_slot('check', 'test_decoding')")
      let wrongPlugin = try check()
      #expect(wrongPlugin.code == .exited(3))
      #expect(results(wrongPlugin.findings, "slot") == ["fail"])
      #expect(wrongPlugin.text.contains("test_decoding"))
    }

    @Test func `A broker that is not there fails with its address`() throws {
      let file = directory.file("far.toml")
      try FileBytes.write(
        """
        [source.pg]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "shop"
        replicationSlot = "check"
        temporary = true
        onGap = "accept"
        [sink.out]
        type = "kafka"
        sources = ["pg"]
        hosts = ["127.0.0.1:1"]
        topicFallback = "all"
        """, to: file)
      let output = try Subprocess.run(Binary.psqlStreamer, ["check", "-c", file, "--json"])
      #expect(output.termination == .exited(3))
      let failed = try JSON(output.standardOutput).elements.filter {
        $0["result"]?.string == "fail"
      }
      #expect(failed.count == 1 && failed[0]["target"]?.string == "sink out")
      #expect(failed[0]["found"]?.string?.contains("127.0.0.1:1") == true)
    }

    @Test func `A wrong file is a usage error`() throws {
      let file = directory.file("wrong.toml")
      try FileBytes.write("[source.pg]\ntype = \"postgres\"\nunknown = 1\n", to: file)
      let output = try Subprocess.run(Binary.psqlStreamer, ["check", "-c", file])
      #expect(output.termination == .exited(2))
      #expect(output.standardError.contains("unknown") && output.standardOutput.isEmpty)
    }
  }
}
