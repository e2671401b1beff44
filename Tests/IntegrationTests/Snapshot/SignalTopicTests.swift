import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Records of a topic that ask for copies of existing rows.
  @Suite(.needsKafka) struct SignalTopics {
    private func send(_ key: String, _ value: String, to topic: String) throws {
      let broker = try Integration.kafka
      try Subprocess.check(
        "sh",
        [
          "-c",
          "printf '%s' \"$1\" | kcat -P -b \"$2\" -t \"$3\" -p 0 -k \"$4\" -X allow.auto.create.topics=false",
          "sh", value, broker.bootstrap, topic, key,
        ])
    }

    private func copies(_ run: Scenario) throws -> [JSON] {
      try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]?.elements.filter {
        ($0["id"]?.int ?? 0) > 0
      } ?? []
    }

    private func states(_ run: Scenario) throws -> [String] {
      try copies(run).map { "\($0["id"]?.int ?? 0) \($0["state"]?.string ?? "")" }
    }

    @Test func `A record asks for a copy, once, and stops what another has asked for`() throws {
      let run = try Scenario(
        "signals",
        lines: Scenario.Lines(
          source: [#"snapshotPause = "50ms""#],
          sink: [
            #"signalTopic = "{name}_signals""#, #"notificationTopic = "{name}_notices""#,
          ]),
        tables: """
          CREATE TABLE orders (id int PRIMARY KEY, v int);
          INSERT INTO orders SELECT i, i FROM generate_series(1, 500) i;
          """)
      let topic = "\(run.name)_signals"
      try run.broker.createTopic(topic, partitions: 1)
      let ask = #"{"type": "execute-snapshot", "data": {"data-collections": ["public.orders"]}}"#
      // What was there before anybody listened is nobody's wish.
      try send("pg", ask, to: topic)
      let first = try run.start()
      try eventually(within: .seconds(30), "its ears") {
        try Scenario.requireAlive(first)
        return try run.offsets(of: topic) == ["0 1"]
      }
      try send("somebody", ask, to: topic)
      try send("pg", "no signal", to: topic)
      try send("pg", #"{"type": "log", "data": {"message": "hi"}}"#, to: topic)
      try send(
        "pg",
        #"{"id": "s1", "type": "execute-snapshot", "data": {"data-collections": ["public.orders"], "#
          + #""additional-conditions": [{"data-collection": "public.orders", "filter": "id <= 9"}]}}"#,
        to: topic)
      try eventually(within: .seconds(30), "the copy") {
        try Scenario.requireAlive(first)
        return try self.states(run) == ["1 done"]
      }
      #expect(try copies(run).first?["where"]?.string == "id <= 9")
      #expect(first.standardError.contains("a record of the signal topic is no signal"))
      let notices = try run.broker.records("\(run.name)_notices").compactMap(\.value)
      #expect(try notices.contains { try JSON($0)["id"]?.string == "s1" })
      try send("pg", #"{"type": "pause-snapshot"}"#, to: topic)
      try eventually(within: .seconds(30), "six records") {
        try run.offsets(of: topic) == ["0 6"]
      }
      first.send(SIGKILL)
      try first.wait()
      // What comes while nobody listens waits; nothing of what came before is done again.
      try send("pg", ask, to: topic)
      let second = try run.start()
      try eventually(within: .seconds(30), "the second copy") {
        try Scenario.requireAlive(second)
        return try self.states(run) == ["1 done", "2 done"]
      }
      #expect(try run.offsets(of: topic) == ["0 7"])
      second.send(SIGTERM)
      #expect(try second.wait(within: .seconds(60)) == .exited(0))
    }
  }
}

extension Scenario {
  /// How far the program has read a signal topic, as its store has it: `PARTITION OFFSET` each.
  fileprivate func offsets(of topic: String) throws -> [String] {
    let text = try Subprocess.check(
      "python3",
      [
        "-c",
        """
        import sqlite3, sys
        rows = sqlite3.connect(sys.argv[1]).execute(
          "SELECT partition, offset FROM signal_offset WHERE topic = ? ORDER BY 1", [sys.argv[2]])
        for row in rows: print(*row)
        """, directory.file("positions.sqlite"), topic,
      ])
    return text.split(separator: "\n").map(String.init)
  }
}
