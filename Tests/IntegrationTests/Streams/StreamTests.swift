import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// Transactions that come in chunks, from real servers: the events are those of protocol 1.
  @Suite struct Streams {
    private static let tables = """
      CREATE TABLE t (id int PRIMARY KEY, a text);
      CREATE TABLE whole (id int PRIMARY KEY, a text); ALTER TABLE whole REPLICA IDENTITY FULL;
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE TABLE moods (id int PRIMARY KEY, m mood, d date)
      """

    private static let small = #"spool = { memory = "20kB" }"#

    /// The versions that this machine has.
    static let versions = [14, 15, 16, 17, 18].filter {
      Requirement.present(
        PostgresPrograms.installed[$0] != nil, else: "no PostgreSQL \($0): run make servers")
    }

    @Test(arguments: versions)
    func `Every protocol gives the same events`(_ version: Int) throws {
      let scenario = try StreamScenario(
        version: version, tables: Self.tables,
        readers: [
          ("one", ["protocol = 1"]), ("two", ["protocol = 2"]), ("highest", [Self.small]),
          ("bounded", [#"spool = { memory = 0, limit = "40kB" }"#]),
        ])
      try Self.interleave(scenario.postgres, rounds: 12)
      let outputs = try scenario.finish()
      #expect(outputs[0].split(separator: "\n").count > 10_000)
      for (reader, output) in zip(scenario.readers, outputs).dropFirst() {
        #expect(outputs[0].firstDifference(from: output) == nil, "\(reader.name)")
      }
      #expect(scenario.streamed("one") == 0)
      for reader in ["two", "highest"] {
        // A message before a savepoint that is rolled back ends streaming for a connection's time.
        let fallsBack = scenario.count("does without streaming", reader) > 0
        #expect(scenario.streamed(reader) > 10 || fallsBack, "\(reader)")
      }
      #expect(scenario.count("open transactions take more than the spool's limit", "bounded") > 0)
    }

    /// Sessions that write by turns, with savepoints, rollbacks, DDL and messages.
    private static func interleave(_ postgres: PostgresServer, rounds: Int) throws {
      var random = SeededRandom("interleaved sessions")
      let sessions = try (0..<4).map { _ in try postgres.session() }
      var free = sessions.map { _ in true }
      var depth = sessions.map { _ in 0 }
      var next = 1
      for _ in 0..<rounds * sessions.count * 4 {
        let number = Int.random(in: 0..<sessions.count, using: &random)
        let session = sessions[number]
        if free[number] {
          try session.run("BEGIN")
          (free[number], depth[number]) = (false, 0)
        }
        let ids = next..<next + Int.random(in: 1...900, using: &random)
        next = ids.upperBound
        let rows = "FROM generate_series(\(ids.lowerBound), \(ids.upperBound - 1)) i"
        switch Int.random(in: 0..<14, using: &random) {
        case 0..<5: try session.run("INSERT INTO t SELECT i, repeat('x', i % 300) \(rows)")
        case 5:
          try session.run(
            "INSERT INTO whole SELECT i, 'w' \(rows); UPDATE whole SET a = 'v' WHERE id % 3 = 0 "
              + "AND id >= \(ids.lowerBound)")
        case 6:
          try session.run("INSERT INTO moods SELECT i, 'happy', '2024-02-29' \(rows)")
        case 7:
          try session.run(
            "SELECT pg_logical_emit_message(true, 'm', repeat('y', 100)) \(rows)")
        case 8, 9:
          depth[number] += 1
          try session.run("SAVEPOINT s\(depth[number])")
        case 10 where depth[number] > 0:
          let level = Int.random(in: 1...depth[number], using: &random)
          try session.run("ROLLBACK TO s\(level)")
          depth[number] = level
        case 11 where depth[number] > 0:
          try session.run("RELEASE s\(depth[number])")
          depth[number] -= 1
        case 12:
          try session.run(Bool.random(using: &random) ? "COMMIT" : "ROLLBACK")
          free[number] = true
        default:
          try session.run("COMMIT")
          free[number] = true
        }
      }
      for (session, free) in zip(sessions, free) {
        if !free { try session.run("COMMIT") }
        session.close()
      }
    }

    /// PostgreSQL cannot decode it while it is open ("could not map filenode"); without streaming it
    /// can.
    @Test(arguments: versions)
    func `Tables made and altered inside a transaction`(_ version: Int) throws {
      let scenario = try StreamScenario(
        version: version, tables: Self.tables,
        readers: [("one", ["protocol = 1"]), ("highest", [Self.small])])
      for number in 1...20 {
        let rows = "FROM generate_series(1, \(number * 100)) i"
        try scenario.postgres.psql(
          """
          BEGIN; CREATE TABLE own\(number) (id int PRIMARY KEY);
          INSERT INTO own\(number) SELECT i \(rows);
          SAVEPOINT a; ALTER TABLE own\(number) ADD b text DEFAULT 'b';
          INSERT INTO own\(number) SELECT -i, 'lost' \(rows); ROLLBACK TO a;
          INSERT INTO own\(number) SELECT -i \(rows);
          ALTER TABLE own\(number) ADD c text DEFAULT 'c';
          UPDATE own\(number) SET c = 'd'; COMMIT
          """)
      }
      let outputs = try scenario.finish()
      #expect(outputs[0].split(separator: "\n").count == 4 * 100 * 210)
      #expect(outputs[0].firstDifference(from: outputs[1]) == nil)
    }

    /// A table that is described twice in what is looked up at once, with two identities, has its key
    /// both times; of one column each, the catalog's two answers cannot be told from one.
    @Test func `Identities that change between two rows leave the key what it is`() throws {
      let scenario = try StreamScenario(
        version: nil,
        tables: """
          CREATE TABLE twice (a int, b int, v text, PRIMARY KEY (a, b));
          ALTER TABLE twice REPLICA IDENTITY FULL
          """, readers: [("s", [])])
      try scenario.postgres.psql(
        """
        BEGIN; INSERT INTO twice VALUES (1, 1, 'full');
        ALTER TABLE twice REPLICA IDENTITY NOTHING; INSERT INTO twice VALUES (2, 2, 'nothing');
        ALTER TABLE twice REPLICA IDENTITY DEFAULT; INSERT INTO twice VALUES (3, 3, 'default'); COMMIT
        """)
      let events = try scenario.finish()[0].split(separator: "\n")
      #expect(events.count == 3)
      for (number, event) in zip(1...3, events) {
        #expect(event.contains(#""Key":{"a":\#(number),"b":\#(number)}"#), "\(event)")
      }
    }

    @Test func `A transaction that is rolled back leaves nothing behind`() throws {
      let scenario = try StreamScenario(
        version: nil, tables: Self.tables, readers: [("s", [Self.small])])
      let session = try scenario.postgres.session()
      try session.run(
        "BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
      try eventually("files of the spool") { Self.spoolFiles(scenario.readers[0]) == 1 }
      try session.run("ROLLBACK")
      try eventually("no files of the spool") { Self.spoolFiles(scenario.readers[0]) == 0 }
      try scenario.postgres.psql("INSERT INTO t VALUES (1, 'kept')")
      let output = try scenario.finish()[0]
      #expect(output.split(separator: "\n").count == 1 && output.contains("kept"))
    }

    private static func spoolFiles(_ reader: StreamScenario.Reader) -> Int {
      let list = try? Subprocess.run("ls", ["-l", "/proc/\(reader.process.processID)/fd"])
      return list?.standardOutput.split(separator: "\n")
        .count { $0.contains("psql-streamer-spool-") } ?? -1
    }

    @Test func `A stop does not wait for open transactions`() throws {
      let scenario = try StreamScenario(
        version: nil, tables: Self.tables, readers: [("s", [Self.small])])
      let session = try scenario.postgres.session()
      try session.run(
        "BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
      try scenario.postgres.psql("INSERT INTO whole VALUES (1, 'meanwhile')")
      let output = try scenario.finish()[0]
      #expect(output.split(separator: "\n").count == 1 && output.contains("meanwhile"))
      try session.run("COMMIT")
      session.close()
      let again = try Subprocess(
        Binary.psqlStreamer, ["run", "--config", scenario.directory.file("s.toml")])
      try eventually(within: .seconds(60), "the rest") {
        try Scenario.requireAlive(again)
        return try FileBytes.text(of: scenario.readers[0].output).split(separator: "\n").count
          == 20_001
      }
      again.send(SIGTERM)
      #expect(try again.wait(within: .seconds(60)) == .exited(0))
    }

    @Test func `A disk that is full costs the streaming, not the events`() throws {
      let scenario = try StreamScenario(
        version: nil, tables: Self.tables,
        readers: [("s", [#"spool = { dir = "/proc", memory = 0, limit = "1GiB" }"#])])
      try scenario.postgres.psql(
        "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i")
      let output = try scenario.finish()[0]
      #expect(output.split(separator: "\n").count == 5_000)
      #expect(scenario.count("no spool file can be made in /proc", "s") == 1)
    }

    @Test func `Prepared transactions come when they are prepared`() throws {
      let scenario = try StreamScenario(
        version: nil, tables: Self.tables,
        readers: [
          ("whole", ["twoPhase = true", "streaming = false"]),
          ("streamed", ["twoPhase = true", Self.small]), ("off", []),
        ])
      try scenario.postgres.psql(
        """
        BEGIN; INSERT INTO t SELECT i, 'p' FROM generate_series(1, 3000) i;
        SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; PREPARE TRANSACTION 'it''s';
        INSERT INTO whole VALUES (1, 'between');
        COMMIT PREPARED 'it''s';
        BEGIN; INSERT INTO t VALUES (-1, 'lost'); PREPARE TRANSACTION 'lost';
        ROLLBACK PREPARED 'lost';
        """)
      let outputs = try scenario.finish()
      #expect(outputs[0].firstDifference(from: outputs[1]) == nil)
      #expect(scenario.streamed("streamed") == 1)
      let events = try outputs[0].split(separator: "\n").map { try JSON(String($0)) }
      let actions = events.map { $0["Action"]?.string ?? "" }
      #expect(actions.prefix(3_000).allSatisfy { $0 == "insert" })
      #expect(
        actions.dropFirst(3_000)
          == ["prepare", "insert", "commit-prepared", "insert", "prepare", "rollback-prepared"])
      #expect(
        events.compactMap { $0["GID"]?.string } == ["it's", "it's", "lost", "lost"])
      let off = try outputs[2].split(separator: "\n").map { try JSON(String($0)) }
      #expect(off.count == 3_001 && off[0]["Columns"]?["a"]?.string == "between")
    }

    /// What was prepared when the slot did not decode it is delivered with its commit.
    @Test func `Two-phase decoding can be turned on while transactions are prepared`() throws {
      let scenario = try StreamScenario(version: nil, tables: Self.tables, readers: [("s", [])])
      try scenario.postgres.psql(
        """
        BEGIN; INSERT INTO t SELECT i, 'p' FROM generate_series(1, 3000) i;
        PREPARE TRANSACTION 'large'; BEGIN; INSERT INTO t VALUES (-1, 'p');
        PREPARE TRANSACTION 'small'; INSERT INTO whole VALUES (1, 'before')
        """)
      #expect(try scenario.finish()[0].split(separator: "\n").count == 1)
      let file = scenario.directory.file("s.toml")
      let text = try FileBytes.text(of: file)
      try FileBytes.write(
        text.replacing("debug = true", with: "debug = true\ntwoPhase = true"), to: file)
      let again = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("the slot in use") {
        try Scenario.requireAlive(again)
        return try scenario.postgres.readSlots() == 1
      }
      try scenario.postgres.psql("COMMIT PREPARED 'large'; COMMIT PREPARED 'small'")
      try eventually(within: .seconds(60), "3004 events") {
        try Scenario.requireAlive(again)
        return try FileBytes.text(of: scenario.readers[0].output).split(separator: "\n").count
          == 3_004
      }
      again.send(SIGTERM)
      #expect(try again.wait(within: .seconds(60)) == .exited(0))
    }
  }
}
