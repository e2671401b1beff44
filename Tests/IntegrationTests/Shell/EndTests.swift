import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// How a pipeline ends when something hangs, and when it ends by itself: what was delivered is
  /// saved, and one deadline holds for all of it.
  @Suite struct Ends {
    private static let table = "CREATE TABLE t (id int PRIMARY KEY, v text)"

    /// Stops the program, which must end: how soon after its deadline is the simulation's to check.
    private static func stop(_ streamer: Subprocess, expecting code: Int32) throws {
      streamer.send(SIGTERM)
      #expect(try streamer.wait() == .exited(code), "\(streamer.standardError.suffix(2_000))")
    }

    /// S9: a broker that accepts and does not answer.
    @Test(.needsKafka) func `A frozen broker is left behind, and what was delivered is saved`()
      throws
    {
      let broker = try KafkaBroker()
      var lines = Scenario.Lines()
      lines.top = [#"shutdownTimeout = "3s""#]
      lines.source = [#"flushInterval = "1h""#]
      lines.more = [
        """
        [sink.out]
        type = "kafka"
        sources = ["pg"]
        hosts = ["\(broker.bootstrap)"]
        topicFallback = "frozen"
        createTopics = "create"
        """
      ]
      let run = try LocalRun("frozenbroker", lines: lines, tables: Self.table)
      let streamer = try run.start()
      try run.psql("INSERT INTO t SELECT generate_series(1, 20)")
      try eventually("20 delivered") {
        try run.metric(#"psql_streamer_delivered_total{sinkName="out"}"#) == 20
      }
      try broker.freeze()
      defer { try? broker.thaw() }
      try run.psql("INSERT INTO t SELECT generate_series(21, 50)")
      try eventually("30 under way") {
        try run.metric(#"psql_streamer_in_flight_bytes{sinkName="out"}"#) ?? 0 > 0
      }
      try Self.stop(streamer, expecting: 0)
      try broker.thaw()
      run.change { $0.source = [] }
      let again = try run.start()
      try run.waitUntilConfirmed(again)
      #expect(try run.stop(again) == .exited(0))
      let ids = try broker.records("frozen").map { try Event($0)["id"]?.int ?? 0 }
      let delivered = ids.filter { $0 <= 20 }
      #expect(delivered.sorted() == Array(1...20), "what was delivered was saved")
      #expect(Set(ids) == Set(1...50))
    }

    /// S9: standard output that nobody reads any more, although its reader lives.
    @Test func `A blocked standard output is left behind`() throws {
      var lines = Scenario.Lines()
      lines.top = [#"shutdownTimeout = "3s""#]
      lines.more = ["[sink.out]", #"type = "stdout""#, #"sources = ["pg"]"#]
      let run = try LocalRun("blocked", lines: lines, tables: Self.table)
      let reader = "import time; time.sleep(1000)"
      let streamer = try run.start(by: [
        "bash", "-c", "exec \"$@\" > >(exec python3 -c '\(reader)')", "blocked",
      ])
      try run.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 2000) i")
      try eventually("events under way") {
        try run.metric(#"psql_streamer_in_flight_bytes{sinkName="out"}"#) ?? 0 > 0
      }
      try Self.stop(streamer, expecting: 0)
      // The reader was a child of the program, which is gone.
      _ = try Subprocess.run("pkill", ["-g", "\(streamer.processID)"])
    }

    /// Faults' part B, more: what a pipeline delivered before it ended by itself does not come twice.
    @Test func `A pipeline that ends by itself saves what it delivered`() throws {
      var lines = Scenario.Lines()
      lines.source = [#"flushInterval = "1h""#, #"maxRowSize = "64KiB""#]
      let run = try LocalRun("byitself", lines: lines, tables: Self.table)
      let streamer = try run.start()
      try run.psql(
        """
        INSERT INTO t SELECT generate_series(1, 10);
        INSERT INTO t VALUES (11, repeat('x', 100000))
        """)
      #expect(try streamer.wait() == .exited(1), "\(streamer.standardError)")
      #expect(try run.events().count == 10)
      run.change { $0.source = [] }
      let again = try run.start()
      try run.waitUntilConfirmed(again)
      let ids = try run.events().compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == Array(1...11))
      #expect(try run.stop(again) == .exited(0))
    }

    /// S22: a start that is refused forgets nothing, also not of a sink that the file has no more.
    @Test func `A start that a gap refuses leaves the positions of sinks that are gone`() throws {
      let run = try LocalRun("gap", tables: Self.table)
      run.change { $0.more = ["a", "b"].map(run.fileSink) }
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      #expect(try run.stop(streamer) == .exited(0))
      let before = try run.positions()
      #expect(before.count == 2)
      try run.psql(
        """
        SELECT pg_drop_replication_slot('\(run.name)');
        INSERT INTO t VALUES (2)
        """)
      run.change { $0.more = [run.fileSink("a")] }
      let refused = try run.launch()
      #expect(try refused.wait() == .exited(3), "\(refused.standardError)")
      #expect(refused.standardError.contains("onGap"))
      #expect(try run.positions() == before)
      // What is accepted is.
      run.change { $0.source = [#"onGap = "accept""#] }
      let accepted = try run.start()
      #expect(try run.stop(accepted) == .exited(0))
      let after = try run.positions()
      #expect(after.count == 1 && after.first?.hasPrefix("a ") == true, "\(after)")
    }
  }
}
