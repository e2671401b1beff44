import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// Existing rows that go into Kafka's transactions, with everything killed again and again.
  @Suite(.needsKafka) struct ExactlyOnceCopies {
    private static let rows = 20_000
    /// `PSQL_STREAMER_KILLS` kills it more often.
    private static let kills = TestEnvironment["PSQL_STREAMER_KILLS"].flatMap { Int($0) } ?? 6

    /// Only rows with odd numbers are changed, so that each of the others is read once in each copy.
    private static let writer = """
      DO $$ DECLARE k int; BEGIN LOOP
        k := 2 * (random() * \(rows / 2))::int + 1;
        UPDATE orders SET v = v + 1 WHERE id = k;
        IF random() < 0.1 THEN
          DELETE FROM orders WHERE id = k + 6 AND id % 2 = 1;
          INSERT INTO orders (id) SELECT max(id) + 2 FROM orders WHERE id % 2 = 1;
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.001);
        EXIT WHEN EXISTS (SELECT FROM stop);
      END LOOP; END $$
      """

    private func scenario(_ title: String) throws -> Scenario {
      try Scenario(
        title,
        lines: Scenario.Lines(
          top: [#"startTimeout = "60s""#],
          source: [
            #"snapshot = "initial""#, #"snapshotPause = "10ms""#,
            #"signalTable = "public.signals""#,
          ],
          sink: [#"delivery = "exactly-once""#, #"transactionalID = "{name}""#]),
        tables: """
          CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0, big text);
          ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
          INSERT INTO orders SELECT i, 0, CASE WHEN i % 200 < 2 THEN repeat(md5(i::text), 100) END
            FROM generate_series(1, \(Self.rows)) i;
          CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
          CREATE TABLE stop (x int);
          """)
    }

    private func copies(_ scenario: Scenario) -> [JSON] {
      (try? JSON(Scenario.get("/snapshot", port: scenario.httpPort).body)["copies"]?.elements) ?? []
    }

    /// Waits until nothing is left to copy, and ends the program.
    private func finish(_ scenario: Scenario, _ streamer: Subprocess, copies count: Int) throws {
      var list: [JSON] = []
      try eventually(
        within: .seconds(120), "the end of \(count) copies (\(list); \(scenario.warnings))"
      ) {
        try Scenario.requireAlive(streamer)
        list = copies(scenario)
        return list.count >= count && list.allSatisfy { $0["state"]?.string == "done" }
      }
      try scenario.psql("INSERT INTO stop VALUES (1)")
      try scenario.waitUntilConfirmed(streamer)
      #expect(copies(scenario).count == count)
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// What a reader of what is committed has in the end is what the table holds.
    private func expectAgreement(_ scenario: Scenario, _ events: [Event]) throws -> Fold {
      var fold = Fold()
      for event in events { fold.take(event.value) }
      let found = fold.rows(of: "orders") {
        "\($0["id"]?.int ?? 0) \($0["v"]?.int ?? -1) \($0["big"]?.string?.count ?? 0)"
      }
      let wanted = try Set(
        scenario.psql("SELECT concat_ws(' ', id, v, coalesce(length(big), 0)) FROM orders")
          .split(separator: "\n").map(String.init))
      #expect(found == wanted, "\(found.symmetricDifference(wanted).sorted().prefix(20))")
      return fold
    }

    /// Signals are among what is killed: each brings its copy, and brings it once.
    @Test func `Whenever anything is killed, each row of a copy is there once`() throws {
      var random = SeededRandom("kills of a copy exactly once")
      let scenario = try scenario("copied")
      let writer = try Subprocess(
        "psql", ["-qX", "-d", scenario.postgres.dsn(database: scenario.name), "-c", Self.writer])
      var (during, signals) = (0, 0)
      for number in 0..<Self.kills {
        // What is written before there is a slot is no signal.
        let streamer = try number == 0 ? scenario.start() : scenario.launch()
        usleep(UInt32.random(in: 300_000...1_500_000, using: &random))
        if number % 2 == 1 {
          signals += 1
          try scenario.psql(
            """
            INSERT INTO signals VALUES ('\(signals)', 'execute-snapshot',
              '{"data-collections": ["public.orders"], "additional-conditions":
              [{"data-collection": "public.orders", "filter": "id % 10 = 4"}]}')
            """)
          usleep(UInt32.random(in: 0...300_000, using: &random))
        }
        if number % 4 == 2 {
          try scenario.broker.kill()
          try scenario.broker.start()
        }
        streamer.send(SIGKILL)
        try streamer.wait()
        if streamer.wasCopying { during += 1 }
      }
      try finish(scenario, scenario.start(), copies: 1 + signals)
      #expect(try writer.wait(within: .seconds(60)) == .exited(0), "\(writer.standardError)")
      let events = try scenario.events()
      let fold = try expectAgreement(scenario, events)
      #expect(fold.repeats == 0)
      var reads: [Int: Int] = [:]
      for event in events where event.table == "orders" && event.action == "read" {
        reads[event["id"]?.int ?? 0, default: 0] += 1
      }
      printToStandardError(
        "\(Self.kills) kills, \(during) during a copy, \(signals) signals, "
          + "\(events.count) events, \(fold.repeats) twice")
      #expect(during > 0)
      let wrong = stride(from: 2, through: Self.rows, by: 2).filter {
        reads[$0] != ($0 % 10 == 4 ? 1 + signals : 1)
      }
      #expect(wrong.isEmpty, "\(wrong.prefix(20).map { "\($0): \(reads[$0] ?? 0)" })")
    }

    /// Kafka has the position, and knows that the copy was not at its end.
    @Test func `A copy whose store is lost begins anew`() throws {
      let scenario = try scenario("lost")
      let first = try scenario.start()
      try eventually("some rows") {
        try Scenario.requireAlive(first)
        return try scenario.events(1, from: first).count > 0
      }
      first.send(SIGKILL)
      try first.wait()
      try #require(!first.standardError.contains("existing rows are copied"), "it was too fast")
      try Subprocess.check("rm", [scenario.directory.file("positions.sqlite")])
      let before = try scenario.events().count
      try finish(scenario, scenario.start(), copies: 1)
      let events = try scenario.events()
      #expect(before < Self.rows && events.count >= before + Self.rows)
      #expect(try expectAgreement(scenario, events).older == 0)
    }
  }
}
