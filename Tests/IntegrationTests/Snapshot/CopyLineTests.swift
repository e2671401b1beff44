import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// What a person sees of a copy of existing rows.
  @Suite struct CopyLines {
    /// It takes a millisecond for each row.
    private static let slowly =
      #"snapshotWhere = { "public.orders" = "pg_catalog.pg_sleep(0.001) IS NOT NULL" }"#

    private static let tables = """
      CREATE TABLE orders (id int PRIMARY KEY, note text);
      INSERT INTO orders SELECT i, repeat('x', 100) FROM generate_series(1, 1500) i;
      """

    /// Runs commands of a shell on a terminal of their own, which `output` has.
    private func terminal(_ script: String) throws -> Subprocess {
      try Subprocess(
        "script", ["-qec", "stty cols 100; \(script)", "/dev/null"],
        environment: ["SHELL": "/bin/sh", "TERM": "xterm"])
    }

    @Test func `A line on the terminal says how far it is, and leaves no trace`() throws {
      let run = try LocalRun(
        "line", lines: Scenario.Lines(source: [#"snapshot = "initial""#, Self.slowly]),
        tables: Self.tables)
      // Only its configuration is wanted.
      try run.launch(by: ["true"]).wait()
      let pid = run.directory.file("pid")
      let terminal = try terminal(
        "echo $$ > \(pid); exec \(Binary.psqlStreamer) run --config "
          + run.directory.file("psql-streamer.toml"))
      try eventually(within: .seconds(60), "the line: \(terminal.standardOutput)") {
        try Scenario.requireAlive(terminal)
        return terminal.standardOutput.contains("\u{1B}[Kcopying existing rows  ")
      }
      try eventually(within: .seconds(60), "the end of the copy: \(terminal.standardOutput)") {
        try Scenario.requireAlive(terminal)
        return terminal.standardOutput.contains("existing rows are copied")
      }
      try stop(pid)
      #expect(try terminal.wait(within: .seconds(60)) == .exited(0))
      // What a terminal shows of each line: what was written over is gone.
      let shown = terminal.standardOutput.split(separator: "\r\n").map {
        $0.components(after: "\u{1B}[K")
      }
      #expect(shown.allSatisfy { !$0.contains("copying existing rows  ") }, "\(shown)")
      #expect(terminal.standardOutput.hasSuffix("\r\n"))
    }

    @Test func `tail says it on the terminal, and its output is nothing but events`() throws {
      // As many rows as take longer than it is between two looks.
      let run = try LocalRun(
        "tailline",
        tables: """
          CREATE TABLE orders (id int PRIMARY KEY);
          INSERT INTO orders SELECT i FROM generate_series(1, 80000) i;
          """)
      let (pid, events) = (run.directory.file("pid"), run.directory.file("out"))
      let terminal = try terminal(
        """
        sh -c 'echo $$ > \(pid); exec \(Binary.psqlStreamer) tail \
        "\(run.postgres.dsn(database: run.name))" --table orders --snapshot' | \
        { head -n 1000 > \(events); cat > /dev/null; }
        """)
      try eventually(within: .seconds(60), "what it has copied: \(terminal.standardOutput)") {
        try Scenario.requireAlive(terminal)
        return terminal.standardOutput.contains("copied 1 tables, 80000 rows, ")
      }
      #expect(terminal.standardOutput.contains("\u{1B}[Kcopying existing rows  "))
      try stop(pid)
      #expect(try terminal.wait(within: .seconds(60)) == .exited(0))
      let lines = try FileBytes.text(of: events).split(separator: "\n")
      #expect(lines.count == 1_000)
      #expect(try lines.allSatisfy { try JSON(String($0))["Action"]?.string == "read" })
    }

    @Test func `Without a terminal the log says it now and then`() throws {
      let run = try LocalRun(
        "ticker",
        lines: Scenario.Lines(
          top: [#"tickerInterval = "100ms""#],
          source: [#"snapshot = "initial""#, Self.slowly]), tables: Self.tables + "ANALYZE orders;")
      let streamer = try run.launch()
      try eventually(within: .seconds(60), "the line: \(streamer.standardError)") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains(
          #"msg="existing rows so far" source=pg tables=1 tablesDone=0 table=public.orders rows="#)
      }
      try eventually(within: .seconds(60), "the end of the copy") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("existing rows are copied")
      }
      let status = try JSON(Scenario.get("/status", port: run.httpPort).body)
      let copy = status["sources"]?.elements.first?["snapshot"]
      #expect(copy?["estimatedRows"]?.int == 1_500, "as many as there were")
      #expect((copy?["bytes"]?.int ?? 0) > 150_000, "\(status)")
      #expect(
        try run.metric(#"psql_streamer_snapshot_estimated_rows{sourceName="pg"}"#) == 1_500)
      #expect(try run.stop(streamer) == .exited(0))
      #expect(!streamer.standardError.contains("\u{1B}"))
    }

    private func stop(_ pid: String) throws {
      let number = try FileBytes.text(of: pid).filter(\.isNumber)
      kill(try #require(pid_t(number)), SIGTERM)
    }
  }
}

extension Substring {
  /// What comes behind the last of these marks.
  fileprivate func components(after mark: String) -> Substring {
    var rest = self
    while let found = rest.firstRange(of: mark) { rest = rest[found.upperBound...] }
    return rest
  }
}
