import Support
import Testing

extension Integration.FirstThird.Topics {
  /// A table and messages, topics that are made when the first event names them, over a restart.
  @Test func `Events of an outbox go to the topics that they name`() throws {
    let scenario = try Scenario(
      "outbox",
      lines: Scenario.Lines(
        sink: [
          "[sink.out.outbox]", "table = \"shop.outbox\"", "messages = \"outbox\"",
          "topicTemplate = \"{name}.{routedByValue}\"", #"placement = ["type:header:eventType"]"#,
        ]),
      tables: """
        CREATE SCHEMA shop;
        CREATE TABLE shop.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text,
          aggregateid text, type text, payload jsonb);
        CREATE TABLE plain (id int PRIMARY KEY)
        """)
    let order = "\(scenario.name).Order"
    let customer = "\(scenario.name).Customer"
    var streamer = try scenario.start()
    try scenario.psql(
      """
      INSERT INTO shop.outbox (aggregatetype, aggregateid, type, payload)
        SELECT 'Order', i % 3, 'Made', json_build_object('n', i) FROM generate_series(1, 50) i;
      DELETE FROM shop.outbox;
      INSERT INTO plain VALUES (1)
      """)
    try scenario.waitUntilConfirmed(streamer)
    #expect(try numbers(scenario, order) == Array(1...50))
    let first = try scenario.broker.records(order)
    #expect(Set(first.compactMap(\.key)) == ["0", "1", "2"])
    #expect(try scenario.broker.records(scenario.name).count == 1)

    // A type that nobody has seen, beside one that everybody has, and what is rolled back.
    try scenario.psql(
      """
      INSERT INTO shop.outbox (aggregatetype, aggregateid, type, payload) VALUES
        ('Customer', 'c', 'Made', '{"n": 1}'), ('Order', '1', 'Made', '{"n": 51}');
      BEGIN;
      SELECT pg_logical_emit_message(true, 'outbox', json_build_object('id', 'm1',
        'aggregatetype', 'Customer', 'aggregateid', 'c', 'payload', json_build_object('n', 2))::text);
      COMMIT;
      BEGIN;
      SELECT pg_logical_emit_message(true, 'outbox', '{"id": "m2", "payload": 1}');
      ROLLBACK;
      INSERT INTO plain VALUES (2)
      """)
    try scenario.waitUntilConfirmed(streamer)
    #expect(try numbers(scenario, customer) == [1, 2])
    #expect(try numbers(scenario, order) == Array(1...51))
    #expect(try scenario.stop(streamer) == .exited(0))

    streamer = try scenario.start()
    try scenario.psql(
      """
      SELECT pg_logical_emit_message(true, 'outbox', '{"id": "m3", "aggregatetype": "Customer", \
      "aggregateid": "c", "payload": {"n": 3}}');
      INSERT INTO shop.outbox (aggregatetype, aggregateid, type, payload)
        VALUES ('Order', '1', 'Made', '{"n": 52}'), ('Order', '1', 'Made', '{"n": 53}');
      UPDATE shop.outbox SET type = 'Changed' WHERE payload = '{"n": 53}'
      """)
    try scenario.waitUntilConfirmed(streamer)
    #expect(try numbers(scenario, customer) == [1, 2, 3])
    #expect(try numbers(scenario, order) == Array(1...53))
    #expect(try headers(scenario, customer).contains("id=m3"))
    #expect(try headers(scenario, order).contains("eventType=Made"))
    #expect(scenario.warnings.contains("an event of an outbox is passed over"))
    #expect(!scenario.warnings.contains("tables without a topic"))
    #expect(try scenario.stop(streamer) == .exited(0))
  }

  /// What the outbox lacks is told before anything is read, by `check` too.
  @Test func `An outbox without its columns stops the start`() throws {
    let scenario = try Scenario(
      "outbox", lines: Scenario.Lines(sink: ["[sink.out.outbox]", "table = \"outbox\""]),
      tables: "CREATE TABLE outbox (id int PRIMARY KEY, aggregatetype text, payload text)")
    let streamer = try scenario.launch()
    #expect(try streamer.wait(within: .seconds(60)) == .exited(3))
    #expect(streamer.standardError.contains("table public.outbox"))
    #expect(streamer.standardError.contains("\"aggregateid\""))
    let check = try Subprocess.run(
      Binary.psqlStreamer, ["check", "--config", scenario.directory.file("psql-streamer.toml")])
    #expect(check.termination != .exited(0))
    #expect(check.standardOutput.contains("\"aggregateid\""))
  }

  /// The member `n` of each record, the first appearances in their order.
  private func numbers(_ scenario: Scenario, _ topic: String) throws -> [Int] {
    var seen: Set<Int> = []
    var last: [String?: Int] = [:]
    for record in try scenario.broker.records(topic) {
      guard let number = try record.value.map({ try JSON($0) })?["n"]?.int,
        seen.insert(number).inserted
      else { continue }
      #expect(last[record.key, default: 0] < number, "a key's events are in their order")
      last[record.key] = number
    }
    return seen.sorted()
  }

  private func headers(_ scenario: Scenario, _ topic: String) throws -> String {
    try Subprocess.check(
      "kcat",
      [
        "-C", "-q", "-e", "-b", scenario.broker.bootstrap, "-t", topic, "-o", "beginning",
        "-f", "%h\n",
      ], within: .seconds(60))
  }
}
