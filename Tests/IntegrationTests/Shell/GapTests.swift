import Glibc
import PGWire
import Support
import Testing

extension Integration.SecondThird {
  /// What happens to a slot while nobody is connected, or behind the program's back: it is found,
  /// refused, accepted when asked to, and in the ledger.
  @Suite struct Gaps {
    private func gaps(_ run: LocalRun) throws -> [JSON] {
      try JSON(Scenario.get("/gaps", port: run.httpPort).body).elements
    }

    private func show(_ run: LocalRun) throws -> String {
      try Subprocess.run(
        Binary.psqlStreamer,
        ["position", "show", "--config", run.directory.file("psql-streamer.toml")]
      ).standardOutput
    }

    /// What is in the topic of gaps now.
    private func told(_ run: LocalRun) throws -> [JSON] {
      try Integration.kafka.records("\(run.name)_gaps").map { record in
        #expect(record.key == "pg")
        return try JSON(record.value ?? "")
      }
    }

    @Test(.needsKafka)
    func `A slot that somebody has moved is a gap at a reconnect, in the ledger and its topic`()
      throws
    {
      let run = try LocalRun("moved", tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let sink = """
        [sink.told]
        type = "kafka"
        sources = ["pg"]
        hosts = ["\(try Integration.kafka.bootstrap)"]
        createTopics = "create"
        topicFallback = "\(run.name)"
        gapTopic = "\(run.name)_gaps"
        """
      run.change { $0.more = [run.fileSink("events"), sink] }
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      // The program is held, so that the slot is free for a moment.
      streamer.send(SIGSTOP)
      try run.psql("SELECT pg_terminate_backend(\(run.walsender()))")
      try eventually("the slot's release") { try run.walsender().isEmpty }
      try run.psql(
        """
        INSERT INTO t VALUES (2);
        SELECT pg_replication_slot_advance('\(run.name)', pg_current_wal_lsn())
        """)
      streamer.send(SIGCONT)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(1), "\(streamer.standardError)")
      #expect(streamer.standardError.contains("the slot was moved to"))
      let shown = try show(run)
      #expect(shown.contains("stop") && shown.contains("the slot was moved to"), "\(shown)")

      run.change { $0.source = [#"onGap = "accept""#] }
      let accepted = try run.start()
      // It streams: what it has not told by now comes too late.
      let told = try told(run)
      let found = try gaps(run)
      #expect(found.map { $0["action"]?.string } == ["stop", "accept"])
      for name in ["source", "from", "to", "cause", "action", "at"] {
        #expect(told.map { $0[name]?.string } == found.map { $0[name]?.string })
      }
      for gap in found {
        #expect(gap.names == ["source", "from", "to", "cause", "action", "at"])
        #expect(gap["source"]?.string == "pg")
        #expect(gap["cause"]?.string?.hasPrefix("the slot was moved to") == true)
        let ends = ["from", "to"].compactMap { gap[$0]?.string.flatMap { LSN($0) } }
        #expect(ends.count == 2 && ends[0] < ends[1])
      }
      let series = "psql_streamer_gaps_total{sourceName=\"pg\",cause=\"slot_moved\","
      #expect(try run.metric(series + "action=\"accept\"}") == 1)
      try run.psql("INSERT INTO t VALUES (3)")
      let ids = try run.events(2, from: accepted).compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == [1, 3])
      #expect(try run.stop(accepted) == .exited(0))
    }

    @Test func `A slot that was invalidated is refused, and dropped when the gap is accepted`()
      throws
    {
      let server = try PostgresServer(settings: ["max_slot_wal_keep_size": "1MB"])
      let run = try LocalRun(
        "lost", postgres: server, tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      #expect(try run.stop(streamer) == .exited(0))
      try eventually("the slot's invalidation") {
        for _ in 0..<3 {
          try run.psql("INSERT INTO t SELECT max(id) + 1 FROM t; SELECT pg_switch_wal()")
        }
        try run.psql("CHECKPOINT")
        return try run.psql("SELECT wal_status FROM pg_replication_slots") == "lost"
      }
      let refused = try run.launch()
      #expect(try refused.wait() == .exited(3), "\(refused.standardError)")
      let said = refused.standardError
      #expect(
        said.contains("changes may be missing") && said.contains("was invalidated"), "\(said)")
      #expect(
        said.contains("--accept-gap pg") && said.contains("max_slot_wal_keep_size"), "\(said)")

      run.change { $0.source = [#"onGap = "accept""#] }
      let accepted = try run.start()
      #expect(try run.psql("SELECT wal_status FROM pg_replication_slots") != "lost")
      let found = try gaps(run)
      #expect(found.map { $0["action"]?.string } == ["stop", "accept"])
      #expect(found.last?["cause"]?.string?.contains("was invalidated") == true)
      try run.psql("INSERT INTO t VALUES (1000)")
      let ids = try run.events(2, from: accepted).compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == [1, 1000])
      #expect(try run.stop(accepted) == .exited(0))
    }
  }
}
