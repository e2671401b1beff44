import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// `tail` from outside: what it prints, how it ends, and that nothing of it stays.
  @Suite struct Tail {
    private let server: PostgresServer

    init() throws {
      server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE bare (note text)")
    }

    private func start(_ arguments: [String]) throws -> Subprocess {
      let tail = try Subprocess(Binary.psqlStreamer, ["tail", server.dsn()] + arguments)
      try eventually("the temporary slot in use") {
        try Scenario.requireAlive(tail)
        return try server.readSlots("temporary") == 1
      }
      return tail
    }

    private func expectNothingLeft(publications: String = "0") throws {
      try eventually("no slot") {
        try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
      }
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == publications)
    }

    @Test func `A publication that exists is used and stays`() throws {
      try server.psql("CREATE PUBLICATION everything FOR ALL TABLES")
      let tail = try start(["--publication", "everything"])
      try server.psql("INSERT INTO t VALUES (1)")
      try eventually("the line") { tail.standardOutput.hasSuffix("\n") }
      #expect(try JSON(tail.standardOutput)["Columns"]?["id"]?.int == 1)
      tail.send(SIGTERM)
      #expect(try tail.wait() == .exited(0))
      try expectNothingLeft(publications: "1")
    }

    @Test func `A table without replica identity can still be updated meanwhile`() throws {
      let tail = try start(["--table", "bare"])
      try server.psql("INSERT INTO bare VALUES ('a'); UPDATE bare SET note = 'b'; TRUNCATE bare")
      try eventually("two lines") { tail.standardOutput.split(separator: "\n").count == 2 }
      #expect(tail.standardError.contains("only inserts and truncates are shown: public.bare"))
      tail.send(SIGINT)
      #expect(try tail.wait() == .exited(0))
      try expectNothingLeft()
    }

    @Test func `Existing rows are printed too when they are asked for`() throws {
      try server.psql("INSERT INTO t SELECT i FROM generate_series(1, 5) i")
      let tail = try start(["--table", "public.t", "--snapshot"])
      try server.psql("INSERT INTO t VALUES (6)")
      func printed() throws -> [JSON] {
        try tail.standardOutput.split(separator: "\n").map { try JSON(String($0)) }
      }
      try eventually("six rows") {
        try Scenario.requireAlive(tail)
        guard tail.standardOutput.hasSuffix("\n") else { return false }
        return try Set(printed().compactMap { $0["Columns"]?["id"]?.int }) == Set(1...6)
      }
      #expect(try printed().count { $0["Action"]?.string == "read" } >= 5)
      tail.send(SIGINT)
      #expect(try tail.wait() == .exited(0))
      try expectNothingLeft()
    }

    /// A slot is made when all transactions have ended that were open.
    @Test func `It says whom its slot waits for`() throws {
      let holder = try server.session()
      try holder.run("BEGIN; SELECT txid_current()")
      let tail = try Subprocess(Binary.psqlStreamer, ["tail", server.dsn(), "--table", "t"])
      try eventually("the reason") {
        try Scenario.requireAlive(tail)
        return tail.standardError.contains("the creation of the slot waits")
      }
      #expect(tail.standardError.contains(" xid "))
      try holder.run("ROLLBACK")
      try eventually("the slot in use") { try server.readSlots() == 1 }
      try server.psql("INSERT INTO t VALUES (5)")
      try eventually("the row") { tail.standardOutput.contains("5") }
      tail.send(SIGTERM)
      #expect(try tail.wait(within: .seconds(30)) == .exited(0))
    }

    @Test func `Losing the connection ends it with 1 and the position`() throws {
      let tail = try start(["--table", "public.t"])
      try server.psql("INSERT INTO t VALUES (1)")
      try eventually("the line") { tail.standardOutput.hasSuffix("\n") }
      try server.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
      #expect(try tail.wait() == .exited(1))
      let lines = tail.standardError.split(separator: "\n")
      #expect(lines.count == 1)
      #expect(lines[0].hasPrefix("psql-streamer: tail: "))
      #expect(lines[0].contains(/Everything up to [0-9A-F]+\/[0-9A-F]+ was printed/))
      try expectNothingLeft()
    }

    @Test func `A reader that goes away ends it quietly`() throws {
      let script = "'\(Binary.psqlStreamer)' tail '\(server.dsn())' --table t; echo code $? >&2"
      let pipe = try Subprocess("sh", ["-c", "{ \(script); } | head -n 1"])
      try eventually("the slot in use") {
        try server.readSlots() == 1
      }
      // More than a pipe holds: the reader goes while the rest is being written.
      try server.psql("INSERT INTO t SELECT generate_series(1, 20000)")
      #expect(try pipe.wait() == .exited(0))
      #expect(pipe.standardOutput.split(separator: "\n").count == 1)
      #expect(pipe.standardError == "code 0\n")
      try expectNothingLeft()
    }

    @Test func `What a killed one left is removed, what a living one uses is not`() throws {
      let killed = try start(["--table", "t"])
      killed.send(SIGKILL)
      _ = try killed.wait()
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "1")
      try eventually("the killed one's session gone") {
        try server.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
      }
      let living = try start(["--table", "t"])
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "1")
      let other = try Subprocess(Binary.psqlStreamer, ["tail", server.dsn(), "--table", "bare"])
      try eventually("two slots") {
        try server.readSlots() == 2
      }
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "2")
      try server.psql("INSERT INTO t VALUES (5)")
      try eventually("the line") { living.standardOutput.hasSuffix("\n") }
      for tail in [living, other] {
        tail.send(SIGINT)
        #expect(try tail.wait() == .exited(0))
      }
      try expectNothingLeft()
    }

    @Test func `Errors are one line, and show no password`() throws {
      let secret = "tr0ub4dor"
      for (arguments, code) in [
        ([server.dsn(password: secret), "--table", "none"], 3),
        ([server.dsn(password: secret), "--publication", "none"], 3),
        (["host=127.0.0.1 port=1 user=u password=\(secret)", "--publication", "p"], 1),
        (["hst=x password=\(secret)", "--table", "t"], 2),
        (["hst=x password=\(secret)", "--publication", "p"], 2),
      ] {
        let output = try Subprocess.run(Binary.psqlStreamer, ["tail"] + arguments)
        #expect(output.termination == .exited(Int32(code)), "\(output.standardError)")
        #expect(output.standardError.split(separator: "\n").count == 1, "\(output.standardError)")
        #expect(!output.standardError.contains("createPublication"))
        #expect(!output.standardError.contains(secret) && output.standardOutput.isEmpty)
      }
      try expectNothingLeft()
    }
  }
}
