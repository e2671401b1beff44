import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Existing rows that somebody asks for while the program streams.
  @Suite struct OnDemand {
    private static let tables = """
      CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL);
      INSERT INTO orders SELECT i, i FROM generate_series(1, 2000) i;
      CREATE TABLE plain (x int);
      INSERT INTO plain SELECT i FROM generate_series(1, 300) i;
      CREATE TABLE aside (id int PRIMARY KEY);
      DROP PUBLICATION everything;
      CREATE PUBLICATION everything FOR TABLE orders, plain;
      """

    /// Runs the command against the program that runs.
    private func snapshot(
      _ run: LocalRun, _ arguments: String...
    ) throws -> (code: Subprocess.Termination, out: String, error: String) {
      let process = try Subprocess(
        Binary.psqlStreamer,
        ["snapshot", "--config", run.directory.file("psql-streamer.toml")] + arguments)
      let code = try process.wait(within: .seconds(30))
      return (code, process.standardOutput, process.standardError)
    }

    private func copy(_ id: Int, _ run: LocalRun) throws -> JSON? {
      let answer = try Scenario.get("/snapshot", port: run.httpPort)
      return try JSON(answer.body)["copies"]?.elements.first { $0["id"]?.int == id }
    }

    private func waitFor(_ id: Int, _ state: String, _ run: LocalRun, _ streamer: Subprocess) throws
    {
      try eventually(within: .seconds(30), "copy \(id) \(state)") {
        try Scenario.requireAlive(streamer)
        return try self.copy(id, run)?["state"]?.string == state
      }
    }

    private func reads(_ table: String, _ run: LocalRun) throws -> [JSON] {
      try run.events().filter {
        $0["Action"]?.string == "read" && $0["Table"]?.string == table
      }
    }

    @Test func `Rows are copied when somebody asks for them, also after a crash`() throws {
      let run = try LocalRun(
        "ondemand",
        lines: Scenario.Lines(
          top: [#"httpToken = "secret""#], source: [#"snapshotPause = "50ms""#]),
        tables: Self.tables)
      let first = try run.start()
      try eventually("the program's ears") { try self.snapshot(run, "--list").code == .exited(0) }
      // What cannot be is said at once.
      let missing = try snapshot(run, "--table", "public.aside")
      #expect(missing.code == .exited(2))
      #expect(missing.error.contains(#"publication "everything" has no table public.aside"#))
      let wrong = try snapshot(run, "--table", "public.orders", "--where", "nothing > 1")
      #expect(wrong.code == .exited(2))
      #expect(wrong.error.contains(#"column "nothing" does not exist"#), "\(wrong.error)")
      // What only a row shows ends that copy and nothing else.
      let late = try snapshot(run, "--table", "public.orders", "--where", "1 / (id - 7) >= 0")
      #expect(late.out == "copy 1 of source pg: 1 table\n", "\(late.error)")
      try waitFor(1, "failed", run, first)
      #expect(try copy(1, run)?["error"]?.string?.contains("division by zero") == true)

      let some = try snapshot(run, "pg", "--table", "public.orders", "--where", "id <= 400")
      #expect(some.code == .exited(0))
      try waitFor(2, "done", run, first)
      #expect(
        try Set(reads("orders", run).compactMap { $0["Columns"]?["id"]?.int }) == Set(1...400))

      // A copy that waits outlives the program.
      try run.psql("UPDATE orders SET v = -1 WHERE id = 5")
      #expect(try snapshot(run, "--table", "public.*").code == .exited(0))
      _ = try snapshot(run, "--pause")
      first.send(SIGKILL)
      try first.wait()
      let second = try run.start()
      try eventually("its list") { try self.copy(3, run) != nil }
      _ = try snapshot(run, "--resume")
      try waitFor(3, "done", run, second)
      try run.waitUntilConfirmed(second)
      let orders = try reads("orders", run)
      #expect(Set(orders.compactMap { $0["Columns"]?["id"]?.int }) == Set(1...2000))
      #expect(orders.last { $0["Columns"]?["id"]?.int == 5 }?["Columns"]?["v"]?.int == -1)
      #expect(try reads("plain", run).count >= 300)
      let again = try snapshot(run, "--stop", "3")
      #expect(again.code == .exited(2) && again.error.contains("copy 3 has ended"))
      #expect(try run.stop(second) == .exited(0))
    }

    @Test func `New tables are copied without a restart, and only what the file wants`() throws {
      let run = try LocalRun(
        "newtables",
        lines: Scenario.Lines(source: [
          #"snapshot = "initial""#, #"snapshotPause = "50ms""#,
          #"snapshotWhere = { "public.orders" = "id % 2 = 0", "public.*" = "true" }"#,
        ]), tables: Self.tables)
      let streamer = try run.start()
      try run.psql("INSERT INTO aside SELECT i FROM generate_series(1, 50) i")
      try eventually(within: .seconds(30), "the copy of the start") {
        streamer.standardError.contains("existing rows are copied")
      }
      #expect(try reads("orders", run).count == 1_000)
      try run.psql("ALTER PUBLICATION everything ADD TABLE aside")
      try eventually(within: .seconds(60), "the new table's rows") {
        try Scenario.requireAlive(streamer)
        return try Set(self.reads("aside", run).compactMap { $0["Columns"]?["id"]?.int })
          == Set(1...50)
      }
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try reads("orders", run).count == 1_000)
    }

    @Test func `A row of the signal table asks for a copy, once`() throws {
      let run = try LocalRun(
        "signals", lines: Scenario.Lines(source: [#"signalTable = "public.signals""#]),
        tables: Self.tables + """
          CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
          """)
      let deaf = try run.start()
      #expect(try run.stop(deaf) == .exited(0))
      #expect(deaf.standardError.contains("signalTable is not in the publication"))
      try run.psql("ALTER PUBLICATION everything ADD TABLE signals")
      let first = try run.start()
      #expect(!first.standardError.contains("signalTable is not in the publication"))
      try run.psql(
        """
        INSERT INTO signals VALUES ('0', 'log', 'hello'), ('1', 'execute-snapshot',
          '{"data-collections": ["public.orders", "public.plain"], "additional-conditions":
          [{"data-collection": "public.orders", "filter": "id > 1990"}]}'),
          ('2', 'execute-snapshot', '{"data-collections": ["public.aside"]}')
        """)
      first.send(SIGKILL)
      try first.wait()
      let second = try run.start()
      try waitFor(1, "done", run, second)
      try waitFor(2, "done", run, second)
      try run.waitUntilConfirmed(second)
      #expect(try run.stop(second) == .exited(0))
      #expect(second.standardError.contains("has no table public.aside"))
      // What was read before it was written down comes again, and brings no other copy.
      let third = try run.start()
      try eventually("its list") { try self.copy(2, run) != nil }
      #expect(try copy(3, run) == nil)
      #expect(try run.stop(third) == .exited(0))
      #expect(
        try Set(reads("orders", run).compactMap { $0["Columns"]?["id"]?.int }) == Set(1991...2000))
      #expect(try reads("plain", run).count >= 300)
      #expect(try run.events().contains { $0["Table"]?.string == "signals" })
    }

    @Test func `A source that is only copied ends by itself`() throws {
      let run = try LocalRun(
        "only", lines: Scenario.Lines(source: [#"snapshot = "only""#]), tables: Self.tables)
      let streamer = try run.launch()
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))
      #expect(try reads("orders", run).count == 2_000 && reads("plain", run).count == 300)
      // There is nothing left to copy.
      let again = try run.launch()
      #expect(try again.wait(within: .seconds(60)) == .exited(0))
      #expect(try reads("orders", run).count == 2_000)
    }
  }
}
