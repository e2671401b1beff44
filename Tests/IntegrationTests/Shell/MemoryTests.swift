import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// What the program takes of memory when everything is against it at once.
  @Suite(.needsKafka) struct Memory {
    /// A thousand tables, a topic of 200 partitions, a second sink that takes 4 MB/s, and a server
    /// that ends the connection a hundred times meanwhile.
    ///
    /// What counts is what the program allocates, beside the 22 MiB that the code of the optimised
    /// build and its libraries take: those of the build for tests are larger. `PSQL_STREAMER_BINARY`
    /// measures another build, whose code counts as it is.
    @Test func `A thousand tables, slow sinks and a hundred reconnects stay within 64 MiB`() throws
    {
      let broker = try Integration.kafka
      var lines = Scenario.Lines()
      lines.source = [#"flushInterval = "100ms""#]
      lines.more = [
        """
        [sink.pipe]
        type = "stdout"
        sources = ["pg"]
        [sink.kafka]
        type = "kafka"
        sources = ["pg"]
        hosts = ["\(broker.bootstrap)"]
        topicFallback = "memory"
        createTopics = "create"
        topics = { partitions = 200, replication = 1 }
        """
      ]
      let run = try LocalRun(
        "memory", lines: lines,
        tables: """
          DO $$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format(
            'CREATE TABLE %I (id int PRIMARY KEY, a text, b text, c numeric, d timestamptz, '
            'e boolean, f bigint, g uuid, h date, i text)', 'customer_orders_' || n);
          END LOOP; END $$
          """)
      let streamer = try run.start(by: Self.slowly(bytesPerSecond: 4_000_000))
      // Small transactions over all tables, so that each connection describes all of them, with keys
      // for all partitions.
      try run.psql(
        """
        DO $$ BEGIN FOR round IN 1..10 LOOP
          FOR n IN 1..1000 LOOP EXECUTE format(
            'INSERT INTO %I (id, a, c, d) SELECT i, repeat(''x'', 400), i, now() '
            'FROM generate_series(%s, %s) i', 'customer_orders_' || n, n * 100 + round * 3, n * 100 + round * 3 + 2);
            IF n % 25 = 0 THEN COMMIT; END IF;
          END LOOP;
        END LOOP; END $$
        """)
      try run.psql(Self.endConnection(times: 100, slot: run.name))
      try run.waitUntilConfirmed(streamer)
      let peak = try streamer.status("VmHWM")
      let code = try streamer.status("RssFile")
      print(
        "peak with 1000 tables, 200 partitions, 100 reconnects: \(peak / 1024) MiB,",
        "of them \(code / 1024) MiB code")
      let isOfTests = TestEnvironment["PSQL_STREAMER_BINARY"] == nil
      #expect((isOfTests ? peak - code + 22 * 1024 : peak) <= 64 * 1024, "kB at the peak")
      // The server has ended a hundred; one that ended before anything of it was read never flowed.
      #expect(try run.metric(Self.reconnects) ?? 0 >= 50)
      let metrics = try Scenario.get("/metrics", port: run.httpPort).body.utf8.count
      #expect(metrics < 5_000_000)
      #expect(try run.stop(streamer) == .exited(0))
      // Nothing is lost by it, and nothing comes twice.
      #expect(try broker.records("memory").count == 30_000)
    }

    private static let reconnects =
      #"psql_streamer_reconnects_total{sourceName="pg",cause="connection"}"#

    /// A command that lets what it executes write to a pipe that is read so fast.
    private static func slowly(bytesPerSecond: Int) -> [String] {
      let reader = """
        import os, time
        while os.read(0, \(bytesPerSecond / 100)): time.sleep(0.01)
        """
      return ["bash", "-c", "exec \"$@\" > >(exec python3 -c '\(reader)')", "slowly"]
    }

    /// Ends the walsender of a slot, again and again, each time when it has sent something.
    private static func endConnection(times: Int, slot: String) -> String {
      """
      DO $$ DECLARE server int; BEGIN FOR n IN 1..\(times) LOOP
        LOOP
          SELECT active_pid INTO server FROM pg_replication_slots
            WHERE slot_name = '\(slot)' AND active;
          EXIT WHEN EXISTS (
            SELECT FROM pg_stat_get_wal_senders() w WHERE w.pid = server
              AND w.state = 'streaming');
          PERFORM pg_sleep(0.01);
        END LOOP;
        PERFORM pg_sleep(0.05);
        PERFORM pg_terminate_backend(server, 5000);
      END LOOP; END $$
      """
    }
  }
}
