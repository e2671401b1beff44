import Support
import Testing

extension Integration.SecondThird {
  /// Many transactions that are open at once and too large for memory.
  @Suite struct OpenTransactions {
    /// S21: they share one file, so that few descriptors are enough.
    @Test func `Eighty spilled transactions with seventy descriptors`() throws {
      let postgres = try PostgresServer(
        settings: ["logical_decoding_work_mem": "64kB", "max_prepared_transactions": "100"])
      var lines = Scenario.Lines()
      lines.source = [#"spool = { memory = 0 }"#, "debug = true"]
      let run = try LocalRun(
        "spilled", postgres: postgres, lines: lines,
        tables: "CREATE TABLE t (id int PRIMARY KEY, v text)")
      let streamer = try run.start(by: ["prlimit", "--nofile=70:70"])
      // Prepared transactions stay open without sessions; without twoPhase they come in chunks.
      for xact in 1...80 {
        try run.psql(
          """
          BEGIN; INSERT INTO t SELECT \(xact) * 1000 + i, repeat('x', 400)
            FROM generate_series(1, 300) i;
          PREPARE TRANSACTION 'open\(xact)'
          """)
      }
      try eventually("eighty transactions in the spool") {
        try run.metric(#"psql_streamer_spool_bytes{sourceName="pg"}"#) ?? 0 > 80 * 300 * 400
      }
      let ends = (1...80).map {
        $0 % 4 == 0 ? "ROLLBACK PREPARED 'open\($0)';" : "COMMIT PREPARED 'open\($0)';"
      }
      try run.psql(ends.joined())
      try run.waitUntilConfirmed(streamer)
      let ids = try run.events().compactMap { $0["Columns"]?["id"]?.int }
      let wanted = (1...80).filter { $0 % 4 != 0 }.flatMap { xact in
        (1...300).map { xact * 1000 + $0 }
      }
      #expect(ids == wanted)
      #expect(try run.metric(#"psql_streamer_spool_bytes{sourceName="pg"}"#) == 0)
      #expect(!streamer.standardError.contains("does without streaming"))
      let read = streamer.standardError.split(separator: "\n").count {
        $0.contains("a streamed transaction has been read")
      }
      #expect(read == 60)
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
