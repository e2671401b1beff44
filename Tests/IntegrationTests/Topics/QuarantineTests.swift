import Support
import Testing

extension Integration.FirstThird.Topics {
  /// One topic that does not take a record holds up no other, and misses nothing in the end: what it was
  /// too small for, and what only the broker knows it refuses.
  @Test func `A topic that does not take a record is held, and flows again`() throws {
    let dead = "dead_beside_quarantine"
    let scenario = try Scenario(
      "quarantine",
      lines: Scenario.Lines(
        source: [#"maxRowSize = "200KiB""#],
        sink: [
          "deadLetterTopic = \"\(dead)\"",
          "topicTemplate = \"{database}.{schema}.{table}\"", #"oversized = "quarantine""#,
          "librdkafka = { \"compression.type\" = \"none\" }",
        ]),
      tables: """
        CREATE TABLE small (id int PRIMARY KEY, v text);
        CREATE TABLE keyless (id int, v text);
        CREATE TABLE plain (id int PRIMARY KEY, v text)
        """)
    let (small, keyless) = ("\(scenario.name).public.small", "\(scenario.name).public.keyless")
    for (topic, config) in [
      (small, "max.message.bytes=50000"), (keyless, "cleanup.policy=compact"),
    ] {
      try scenario.broker.tool(
        "topics", ["--create", "--topic", topic, "--partitions", "1", "--config", config])
    }
    var streamer = try scenario.start()
    try scenario.psql(
      """
      INSERT INTO plain VALUES (1, 'a'); INSERT INTO small VALUES (1, 'a');
      INSERT INTO small VALUES (2, repeat('b', 60000)); INSERT INTO small VALUES (3, 'c');
      INSERT INTO keyless VALUES (1, 'a'); INSERT INTO plain VALUES (2, 'b');
      INSERT INTO small VALUES (4, 'd'); INSERT INTO keyless VALUES (2, 'b');
      INSERT INTO plain VALUES (3, repeat('c', 300000)); INSERT INTO plain VALUES (4, 'd')
      """)
    try scenario.waitUntilConfirmed(streamer)
    #expect(try Set(ids(scenario, "plain")) == [1, 2, 4])
    // Of what no record is made nothing can be held.
    let letters = try Set(scenario.broker.records(dead).compactMap { $0.key })
    #expect(letters == [#"{"id":"3"}"#])
    #expect(try ids(scenario, "small") == [1])
    #expect(try ids(scenario, "keyless").isEmpty)
    let status = try scenario.get("/status").body
    #expect(status.contains("\"topic\":\"\(small)\",\"table\":\"public.small\""))
    #expect(status.contains("cleanup.policy"))
    let series = "psql_streamer_quarantined_records{sinkName=\"out\"} "
    let lines = try scenario.get("/metrics").body.split(separator: "\n")
    let records = lines.first { $0.hasPrefix(series) }?.dropFirst(series.count)
    // Five at least: what a broker refuses costs a new producer, and some repetition.
    #expect(records.flatMap { Int($0) } ?? 0 >= 5)
    #expect(try scenario.stop(streamer) == .exited(0))

    // The next start finds one topic mended, and the other not.
    try alter(scenario, small, "max.message.bytes=1000000")
    streamer = try scenario.start()
    try scenario.psql("INSERT INTO small VALUES (5, 'e'); INSERT INTO keyless VALUES (3, 'c')")
    try scenario.waitUntilConfirmed(streamer)
    try eventually("the mended topic has all") {
      try ids(scenario, "small") == [1, 2, 3, 4, 5]
    }
    #expect(try ids(scenario, "keyless").isEmpty)
    #expect(try !scenario.get("/status").body.contains("\"topic\":\"\(small)\""))
    #expect(try scenario.stop(streamer) == .exited(0))

    try alter(scenario, keyless, "cleanup.policy=delete")
    streamer = try scenario.start()
    try eventually("the other topic has all") { try ids(scenario, "keyless") == [1, 2, 3] }
    #expect(try scenario.stop(streamer) == .exited(0))
  }

  private func alter(_ scenario: Scenario, _ topic: String, _ config: String) throws {
    try scenario.broker.tool(
      "configs",
      ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", config])
  }

  /// The rows of a table's topic, each as often as its first appearance: repetitions are left out.
  private func ids(_ scenario: Scenario, _ table: String) throws -> [Int] {
    var seen: Set<Int> = []
    return try scenario.broker.records("\(scenario.name).public.\(table)").compactMap { record in
      guard let id = try Event(record)["id"]?.int, seen.insert(id).inserted else { return nil }
      return id
    }
  }
}
