import Glibc
import PGWire
import Recording
import Support
import Testing

extension Integration.SecondThird {
  /// `record`, `replay` and `inspect` from outside, on a real server.
  @Suite struct Record {
    private let server: PostgresServer
    private let directory: TemporaryDirectory

    init() throws {
      server = try PostgresServer()
      directory = try TemporaryDirectory("record")
      try server.psql(
        """
        CREATE TYPE mood AS ENUM ('ok', 'sad');
        CREATE TYPE pair AS (a int, b text);
        CREATE TABLE t (id int PRIMARY KEY, v text, m mood, ms mood[], p pair);
        CREATE TABLE whole (id int PRIMARY KEY, v text);
        ALTER TABLE whole REPLICA IDENTITY FULL;
        CREATE PUBLICATION everything FOR ALL TABLES
        """)
    }

    private static let load = """
      INSERT INTO t VALUES (1, 'x', 'ok', '{ok,sad}', '(1,"a,b")'), (2, NULL, NULL, NULL, NULL);
      UPDATE t SET id = 3 WHERE id = 1;
      INSERT INTO whole VALUES (1, 'a'); UPDATE whole SET v = 'b'; DELETE FROM whole;
      ALTER TABLE t ADD n numeric; INSERT INTO t (id, n) VALUES (4, 1.50); TRUNCATE whole;
      ALTER TYPE mood ADD VALUE 'great'; INSERT INTO t (id, m) VALUES (5, 'great');
      BEGIN; SELECT pg_logical_emit_message(true, 'p', 'in'); INSERT INTO t (id) VALUES (6); COMMIT;
      INSERT INTO t (id, v) SELECT n, repeat('long ', 100) FROM generate_series(100, 1099) n
      """

    private func awaitSlots(_ count: Int, _ processes: [Subprocess]) throws {
      try eventually("\(count) slots in use") {
        for process in processes { try Scenario.requireAlive(process) }
        return try server.readSlots() == count
      }
    }

    private func record(_ arguments: [String], to file: String) throws -> Subprocess {
      try Subprocess(Binary.psqlStreamer, ["record"] + arguments + ["--output", file])
    }

    private func replay(_ arguments: [String]) throws -> Subprocess.Output {
      try Subprocess.run(Binary.psqlStreamer, ["replay"] + arguments, within: .seconds(60))
    }

    @Test func `A replay is byte-identical to a live run on another slot`() throws {
      let file = directory.file("live.rec")
      let secret = "tr0ub4dor"
      let dsn = server.dsn(password: secret)
      let tail = try Subprocess(
        Binary.psqlStreamer, ["tail", dsn, "--publication", "everything"])
      let recorder = try record([dsn, "--publication", "everything"], to: file)
      try awaitSlots(2, [tail, recorder])
      try server.psql(Self.load)
      try eventually("all live events") {
        tail.standardOutput.hasSuffix("\n") && tail.standardOutput.contains("\"id\":1099,")
      }
      try eventually("the last row in the file") {
        try FileBytes.bytes(of: file).count > 1000
          && Subprocess.run(Binary.psqlStreamer, ["inspect", file]).standardOutput
            .contains("new (\"1099\"")
      }
      for process in [tail, recorder] {
        process.send(SIGTERM)
        #expect(try process.wait() == .exited(0))
      }
      #expect(recorder.standardError.contains("transactions"))
      try eventually("no slot") {
        try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
      }
      try server.stop()
      let output = try replay([file])
      #expect(output.termination == .exited(0) && output.standardError == "")
      #expect(output.standardOutput == tail.standardOutput)
      #expect(output.standardOutput.split(separator: "\n").count == 1012)
      let bytes = String(decoding: try FileBytes.bytes(of: file), as: UTF8.self)
      #expect(!bytes.contains(secret))

      let again = directory.file("again.toml")
      try FileBytes.write(
        """
        http = "127.0.0.1:0"
        [source.shop]
        type = "recording"
        path = "\(file)"
        pace = "recorded"
        [sink.file]
        type = "file"
        sources = ["shop"]
        path = "\(directory.file("events"))"
        """, to: again)
      let run = try Subprocess.run(Binary.psqlStreamer, ["run", "--config", again])
      #expect(run.termination == .exited(0), "\(run.standardError)")
      #expect(try FileBytes.text(of: directory.file("events")) == tail.standardOutput)
      let other = try replay([file, "--config", again])
      #expect(other.termination == .exited(0), "\(other.standardError)")
      #expect(
        try FileBytes.text(of: directory.file("events"))
          == tail.standardOutput + tail.standardOutput)
    }

    @Test func `What was durable at a kill can be replayed, and only that was acknowledged`() throws
    {
      let file = directory.file("killed.rec")
      let configuration = directory.file("record.toml")
      try FileBytes.write(
        """
        store = "\(directory.file("positions"))"
        [source.db]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "everything"
        replicationSlot = "kept"
        startRetryInterval = "200ms"
        [sink.none]
        type = "stub_discard"
        sources = ["db"]
        """, to: configuration)
      let recorder = try record(["--config", configuration], to: file)
      try awaitSlots(1, [recorder])
      try server.psql("INSERT INTO t (id) VALUES (1)")
      // The connection is lost and found again: the recording goes on in the same file.
      try server.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
      try server.psql("INSERT INTO t (id) VALUES (2)")
      let load = try Subprocess(
        server.program("psql"),
        [
          "-q", "-h", server.socketDirectory, "-p", "\(server.port)", "-U", "postgres", "-c",
          "DO $$ BEGIN FOR n IN 3..100000 LOOP INSERT INTO t (id) VALUES (n); COMMIT; END LOOP; END $$",
        ])
      try eventually("some load") { try server.psql("SELECT count(*) > 1000 FROM t") == "t" }
      let target = try server.psql("SELECT pg_current_wal_lsn()")
      try eventually("acknowledged transactions") {
        try Scenario.requireAlive(recorder)
        return try server.psql(
          "SELECT confirmed_flush_lsn >= '\(target)' FROM pg_replication_slots") == "t"
      }
      recorder.send(SIGKILL)
      _ = try recorder.wait()
      load.send(SIGKILL)
      _ = try load.wait()
      let confirmed = try server.psql(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'kept'")
      let output = try replay([file])
      #expect(output.termination == .exited(0))
      #expect(output.standardError.contains("the recording is cut off"))
      let events = try output.standardOutput.split(separator: "\n").map { try JSON(String($0)) }
      let ids = events.compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == Array(1...max(1, ids.count)) && ids.count > 1000)
      // Everything that was acknowledged is there.
      let commit = try #require(events.last?["CommitLSN"]?.string)
      let last = try #require(LSN(commit))
      let acknowledged = try server.psql(
        """
        SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'kept'
          AND confirmed_flush_lsn <= '\(last)'::pg_lsn + 1000
        """)
      #expect(acknowledged == "1", "\(confirmed) is acknowledged, \(last) the last in the file")
      let text = try Subprocess.run(Binary.psqlStreamer, ["inspect", file])
      #expect(text.standardOutput.split(separator: "\n").count { $0.contains(" Connected ") } == 2)
      #expect(text.standardOutput.contains(" Disconnected "))
      #expect(text.standardError.contains("it is cut off"))
    }

    @Test func `A limit ends a recording, and inspect shows it`() throws {
      let file = directory.file("three.rec")
      let recorder = try record(
        [server.dsn(), "--table", "public.t", "--table", "whole", "--transactions", "3"], to: file)
      try awaitSlots(1, [recorder])
      try server.psql(Self.load)
      #expect(try recorder.wait() == .exited(0))
      #expect(recorder.standardError.contains("recorded 3 transactions"))
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "1")
      let statistics = try Subprocess.check(Binary.psqlStreamer, ["inspect", file, "--stats"])
      #expect(statistics.contains("3 transactions, the largest with 2 rows"))
      #expect(statistics.contains(#/public\.t +2 +1 +0 +0 /#))
      let text = try Subprocess.check(Binary.psqlStreamer, ["inspect", file])
      let lines = text.split(separator: "\n")
      #expect(lines.count { $0.contains(" Commit ") } == 3)
      #expect(lines.last?.hasSuffix(" 1 connections") == true)
      let begin = try #require(lines.filter { $0.contains(" Begin ") }.dropFirst().first)
      let position = try #require(begin.split(separator: " ").dropFirst(5).first)
      let part = try Subprocess.check(
        Binary.psqlStreamer,
        ["inspect", file, "--from", String(position), "--to", String(position)])
      #expect(part.contains(" Update ") && !part.contains(" Insert "))
      #expect(try replay([file]).standardOutput.split(separator: "\n").count == 5)
    }

    @Test func `Two configurations are compared`() throws {
      let file = directory.file("diff.rec")
      let recorder = try record(
        [server.dsn(), "--publication", "everything", "--transactions", "2"], to: file)
      try awaitSlots(1, [recorder])
      try server.psql("INSERT INTO t (id) VALUES (1); INSERT INTO whole VALUES (7, 'q')")
      #expect(try recorder.wait() == .exited(0))
      func configuration(_ name: String, _ sink: String) throws -> String {
        let path = directory.file(name)
        try FileBytes.write(
          """
          [source.r]
          type = "recording"
          path = "elsewhere"
          [sink.k]
          type = "kafka"
          sources = ["r"]
          hosts = ["127.0.0.1:1"]
          \(sink)
          """, to: path)
        return path
      }
      let a = try configuration("a.toml", "tableTopicMapping = { t = \"rows\", whole = \"rest\" }")
      let b = try configuration("b.toml", "tableTopicMapping = { t = \"rows\" }")
      let same = try Subprocess.run(Binary.psqlStreamer, ["inspect", "--diff", a, a, file])
      #expect(
        same.termination == .exited(0) && same.standardError.contains("2 events are the same"))
      let output = try Subprocess.run(Binary.psqlStreamer, ["inspect", "--diff", a, b, file])
      #expect(output.termination == .exited(1))
      let lines = output.standardOutput.split(separator: "\n")
      #expect(lines.prefix(2) == ["--- \(a)", "+++ \(b)"])
      #expect(
        lines.count == 3 && lines[2].hasPrefix("- ") && lines[2].contains(" rest {\"id\":7} "))
      #expect(output.standardError.contains("1 events are the same, 0 differ, 1 are only in"))

      // Records with schemas are compared by what they say; no registry is asked.
      let registry = "format = \"avro\"\nregistry = { urls = [\"http://127.0.0.1:1\"] }\n"
      let fallback = "topicFallback = \"all\"\n" + registry
      let coded = try configuration("coded.toml", fallback)
      let masked = try configuration(
        "masked.toml", fallback + "[sink.k.table.whole]\nmask = { v = \"redact\" }")
      let mask = try Subprocess.run(
        Binary.psqlStreamer, ["inspect", "--diff", coded, masked, file])
      #expect(mask.termination == .exited(1), "\(mask.standardError)")
      let changed = mask.standardOutput.split(separator: "\n").dropFirst(2)
      #expect(changed.count == 2 && changed.first?.contains(#""v":"q""#) == true, "\(changed)")

      // So they are shown.
      let shown = try replay([file, "--format", "avro"]).standardOutput.split(separator: "\n")
      #expect(try shown.map { try JSON(String($0))["op"]?.string } == ["c", "c"])
    }

    @Test func `A full disk ends it with one line, and the file can be read`() throws {
      let file = directory.file("full.rec")
      let recorder = try Subprocess(
        "prlimit",
        [
          "--fsize=20000", Binary.psqlStreamer, "record", server.dsn(), "--publication",
          "everything", "--output", file,
        ])
      try awaitSlots(1, [recorder])
      try server.psql("INSERT INTO t (id) VALUES (1)")
      try eventually("the row in the file") { try FileBytes.bytes(of: file).count > 700 }
      // What does not compress fills any disk.
      try server.psql(
        """
        INSERT INTO t (id, v) SELECT n, (SELECT string_agg(md5(random()::text || n || g), '')
          FROM generate_series(1, 20) g) FROM generate_series(10, 500) n
        """)
      #expect(try recorder.wait() == .exited(1))
      let lines = recorder.standardError.split(separator: "\n")
      #expect(lines.count == 1 && lines[0].contains("The disk is full"), "\(lines)")
      let output = try replay([file])
      #expect(output.termination == .exited(0))
      #expect(output.standardOutput.hasPrefix("{"))
    }

    @Test func `Errors are one line, and an existing file stays as it is`() throws {
      let file = directory.file("precious")
      try FileBytes.write("precious", to: file)
      let text = directory.file("a.rec")
      for (arguments, code, message) in [
        (["record", server.dsn(), "-p", "everything", "-o", file], 1, "File exists"),
        (["record", server.dsn(), "-p", "none", "-o", text], 3, "does not exist"),
        (["record", server.dsn(), "-o", text], 2, "neither --publication nor --table"),
        (["record", "-o", text], 2, "neither a DSN nor --config"),
        (["record", server.dsn(), "-p", "p"], 2, "no --output"),
        (["replay", text], 1, "No such file or directory"),
        (["replay", file], 1, "the file is no recording"),
        (["inspect", file], 1, "the file is no recording"),
        (["inspect", "--diff", file], 2, "two configurations and a recording"),
      ] as [([String], Int32, String)] {
        let output = try Subprocess.run(Binary.psqlStreamer, arguments)
        #expect(output.termination == .exited(code), "\(arguments): \(output.standardError)")
        #expect(output.standardError.contains(message), "\(output.standardError)")
        #expect(output.standardError.split(separator: "\n").count == 1)
      }
      #expect(try FileBytes.text(of: file) == "precious")
      #expect(!FileBytes.exists(text))
    }
  }
}
