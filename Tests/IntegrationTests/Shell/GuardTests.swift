import PGWire
import Support
import Testing

extension Integration.SecondThird {
  /// Heartbeats, and what the slot may hold.
  @Suite struct Guard {
    private static let table = "CREATE TABLE t (id int PRIMARY KEY)"

    private func status(_ run: LocalRun) throws -> JSON {
      let status = try JSON(Scenario.get("/status", port: run.httpPort).body)
      return status["sources"]?.elements.first ?? .null
    }

    private func isNull(_ value: JSON?) -> Bool { if case .number? = value { false } else { true } }

    private func isReady(_ run: LocalRun) throws -> Bool {
      try Scenario.get("/ready", port: run.httpPort).status == 200
    }

    @Test func `Heartbeats keep an idle slot moving, come back, and are no events`() throws {
      let run = try LocalRun("beats", tables: Self.table)
      run.change { $0.source = [#"heartbeat = "200ms""#] }
      let streamer = try run.start()
      try eventually("a heartbeat that came back") {
        try Scenario.requireAlive(streamer)
        return try !isNull(status(run)["heartbeatSeconds"])
      }
      let series = #"psql_streamer_heartbeat_seconds{sourceName="pg"}"#
      try eventually("its metric") { try run.metric(series) ?? 0 > 0 }
      let confirmed =
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(run.name)'"
      let before = try run.psql(confirmed)
      try eventually("the slot's moving without a change") { try run.psql(confirmed) != before }
      #expect(try isReady(run))
      // Another instance's are none either; an application's messages are events.
      try run.psql(
        """
        SELECT pg_logical_emit_message(false, 'psql_streamer_heartbeat/other', '');
        SELECT pg_logical_emit_message(false, 'app', 'x');
        INSERT INTO t VALUES (1)
        """)
      let events = try run.events(2, from: streamer)
      #expect(events.map { $0["Action"]?.string } == ["message", "insert"])
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try run.events().count == 2)
    }

    @Test func `Heartbeats in a table are no events; without the table one line says so`() throws {
      let run = try LocalRun("beating", tables: Self.table)
      run.change { $0.source = [#"heartbeat = "200ms""#, #"heartbeatTable = "public.beat""#] }
      var streamer = try run.start()
      try eventually("the line") { streamer.standardError.contains("no heartbeats are written") }
      let said = streamer.standardError
      #expect(said.contains("CREATE TABLE public.beat (slot text PRIMARY KEY"), "\(said)")
      try run.psql("INSERT INTO t VALUES (1)")
      #expect(try run.events(1, from: streamer).count == 1)
      #expect(try isReady(run))
      #expect(try run.stop(streamer) == .exited(0))
      #expect(
        streamer.standardError.firstRange(of: "no heartbeats are written")?.lowerBound
          == streamer.standardError.ranges(of: "no heartbeats are written").last?.lowerBound)

      try run.psql("CREATE TABLE beat (slot text PRIMARY KEY, at timestamptz)")
      streamer = try run.start()
      try eventually("a heartbeat that came back") {
        try Scenario.requireAlive(streamer)
        return try !isNull(status(run)["heartbeatSeconds"])
      }
      try run.psql("INSERT INTO t VALUES (2)")
      _ = try run.events(2, from: streamer)
      #expect(try run.psql("SELECT slot FROM beat") == run.name)
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try run.events().compactMap { $0["Table"]?.string } == ["t", "t"])
    }

    @Test func `A slot over its budget warns, stops, and goes only when loss is allowed`() throws {
      let run = try LocalRun("budget", postgres: PostgresServer(), tables: Self.table)
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      #expect(try run.stop(streamer) == .exited(0))
      for id in 2...3 { try run.psql("INSERT INTO t VALUES (\(id)); SELECT pg_switch_wal()") }

      run.change { $0.source = [#"walBudget = { stop = "1MiB" }"#] }
      let stopped = try run.launch()
      #expect(try stopped.wait() == .exited(1), "\(stopped.standardError)")
      #expect(stopped.standardError.contains("more than walBudget.stop (1MiB) allows"))
      #expect(try run.psql("SELECT count(*) FROM pg_replication_slots") == "1")

      run.change { $0.source = [#"walBudget = { warn = "1MiB", stop = "1GiB" }"#] }
      for id in 4...5 { try run.psql("INSERT INTO t VALUES (\(id)); SELECT pg_switch_wal()") }
      let warned = try run.start()
      try eventually("the warning") {
        warned.standardError.contains("the slot holds more log than walBudget allows")
      }
      #expect(try run.stop(warned) == .exited(0))

      run.change { $0.source = ["allowLoss = true", #"walBudget = { dropSlot = "1MiB" }"#] }
      for id in 6...7 { try run.psql("INSERT INTO t VALUES (\(id)); SELECT pg_switch_wal()") }
      let dropped = try run.launch()
      #expect(try dropped.wait() == .exited(1), "\(dropped.standardError)")
      #expect(dropped.standardError.contains("dropped the slot, as walBudget says"))
      #expect(try run.psql("SELECT count(*) FROM pg_replication_slots") == "0")
      let shown = try Subprocess.run(
        Binary.psqlStreamer,
        ["position", "show", "--config", run.directory.file("psql-streamer.toml")])
      #expect(shown.standardOutput.contains("drop_slot"), "\(shown.standardOutput)")
      let refused = try run.launch()
      #expect(try refused.wait() == .exited(3), "\(refused.standardError)")
      #expect(refused.standardError.contains("changes may be missing"))
    }

    @Test func `What the slot holds is told while the sink cannot be reached`() throws {
      let run = try LocalRun("down", tables: Self.table)
      let first = try run.start()
      #expect(try run.stop(first) == .exited(0))
      run.change {
        $0.top = [#"startTimeout = 0"#]
        $0.more = [
          "[sink.out]", #"type = "kafka""#, #"sources = ["pg"]"#, #"hosts = ["127.0.0.1:1"]"#,
          #"topicFallback = "t""#,
        ]
      }
      let streamer = try run.launch()
      try run.psql("INSERT INTO t SELECT generate_series(1, 20000)")
      try eventually("the log that is held") {
        try Scenario.requireAlive(streamer)
        guard let source = try? status(run) else { return false }
        return source["walHeldBytes"]?.int ?? 0 > 1 << 20 && source["walStatus"]?.string != nil
      }
      #expect(try status(run)["state"]?.string != "streaming")
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
