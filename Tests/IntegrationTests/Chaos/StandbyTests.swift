import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// Two processes with one configuration, and large transactions that are cut.
  @Suite(.needsKafka) struct ExactlyOnce {
    private static let delivery = "delivery = \"exactly-once\"\ntransactionalID = \"{name}\""

    /// Another process of the scenario, with its own HTTP port and, unless it shares it, its own store.
    private func second(of scenario: Scenario, sharesStore: Bool) throws -> (Subprocess, port: Int)
    {
      let port = try FreePort.take()
      var text = scenario.configuration.replacing(":\(scenario.httpPort)", with: ":\(port)")
      if !sharesStore { text = text.replacing("positions.sqlite", with: "second.sqlite") }
      let file = scenario.directory.file("second.toml")
      try FileBytes.write(text, to: file)
      return (try Subprocess(Binary.psqlStreamer, ["run", "--config", file]), port)
    }

    private func state(_ port: Int) throws -> String? {
      try JSON(try Scenario.get("/status", port: port).body)["sources"]?.elements.first?["state"]?
        .string
    }

    enum Store { case own, shared, kafka }

    @Test(arguments: [Store.own, .shared, .kafka])
    func `The second process takes over and nothing comes twice`(store: Store) throws {
      let scenario = try Scenario(
        "standby",
        lines: Scenario.Lines(store: store == .kafka ? "kafka" : nil, sink: [Self.delivery]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let first = try scenario.start()
      let (second, port) = try second(of: scenario, sharesStore: store == .shared)
      try eventually("a standby") {
        try Scenario.requireAlive(second)
        return second.standardError.contains("waiting as a standby")
      }
      #expect(try state(port) == "standby")
      #expect(try Scenario.get("/ready", port: port).status == 503)
      try scenario.psql("INSERT INTO t SELECT generate_series(1, 1000)")
      _ = try scenario.events(1000, from: first)
      try scenario.psql("INSERT INTO t SELECT generate_series(1001, 2000)")
      first.send(SIGKILL)
      try first.wait()
      try scenario.psql("INSERT INTO t SELECT generate_series(2001, 3000)")
      let events = try scenario.events(3000, from: second)
      #expect(events.integers("id").sorted() == Array(1...3000))
      // The first one comes back, and waits in turn.
      let back = try scenario.launch()
      try eventually("the first as a standby") {
        back.standardError.contains("waiting as a standby")
      }
      try scenario.psql("INSERT INTO t VALUES (3001)")
      #expect(try scenario.events(3001, from: second).count == 3001)
      #expect(try scenario.stop(second) == .exited(0))
      try scenario.psql("INSERT INTO t VALUES (3002)")
      #expect(try scenario.events(3002, from: back).integers("id").sorted() == Array(1...3002))
      #expect(try scenario.stop(back) == .exited(0))
    }

    /// A frozen process that wakes after another has taken over is fenced, and what it had sent is
    /// aborted.
    @Test func `A process that was frozen changes nothing when it wakes`() throws {
      let scenario = try Scenario(
        "frozen",
        lines: Scenario.Lines(sink: [Self.delivery, #"transactionInterval = "5s""#]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let first = try scenario.start()
      let (second, _) = try second(of: scenario, sharesStore: false)
      try eventually("a standby") { second.standardError.contains("waiting as a standby") }
      try scenario.psql("INSERT INTO t SELECT generate_series(1, 1000)")
      // Sent, and not committed yet.
      try eventually("the records in the topic") {
        try Scenario.get("/metrics", port: scenario.httpPort).body.contains("1000")
      }
      first.send(SIGSTOP)
      try scenario.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
      let events = try scenario.events(1000, from: second)
      #expect(events.integers("id").sorted() == Array(1...1000))
      first.send(SIGCONT)
      try eventually("the first as a standby") {
        first.standardError.contains("waiting as a standby")
      }
      try scenario.psql("INSERT INTO t VALUES (1001)")
      #expect(try scenario.events(1001, from: second).integers("id").sorted() == Array(1...1001))
      #expect(try scenario.stop(first) == .exited(0))
      #expect(try scenario.stop(second) == .exited(0))
    }

    @Test func `A position in Kafka is shown, moved and dropped`() throws {
      let scenario = try Scenario(
        "moved", lines: Scenario.Lines(source: [#"walRetain = "64MiB""#], sink: [Self.delivery]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try scenario.start()
      for id in 1...10 { try scenario.psql("INSERT INTO t VALUES (\(id))") }
      let middle = try scenario.psql("SELECT pg_current_wal_lsn()")
      for id in 11...20 { try scenario.psql("INSERT INTO t VALUES (\(id))") }
      _ = try scenario.events(20, from: streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      func command(_ arguments: String...) throws -> Subprocess.Output {
        try Subprocess.run(
          Binary.psqlStreamer,
          arguments + ["--config", scenario.directory.file("psql-streamer.toml")])
      }
      let shown = try command("position", "show")
      #expect(shown.standardOutput.contains(/pg +out +[0-9A-F]+\/[0-9A-F]+/))
      let moved = try command("position", "set", middle, "--yes")
      #expect(moved.termination == .exited(0), "\(moved.standardError)")
      #expect(try command("position", "show").standardOutput.contains(middle))
      let again = try scenario.start()
      let ids = try scenario.events(30, from: again).integers("id").sorted()
      #expect(ids == (Array(1...20) + Array(11...20)).sorted())
      #expect(try scenario.stop(again) == .exited(0))
      let dropped = try command("drop", "--yes")
      #expect(dropped.termination == .exited(0), "\(dropped.standardError)")
      #expect(!(try command("position", "show").standardOutput.contains("out")))
    }

    @Test func `A large transaction is cut, and goes on where it was after a crash`() throws {
      let scenario = try Scenario(
        "cut",
        lines: Scenario.Lines(sink: [Self.delivery, #"transactionMaxBytes = "256KiB""#]),
        tables: "CREATE TABLE t (id int PRIMARY KEY, filler text)")
      var streamer = try scenario.start()
      let rows = 60_000
      try scenario.psql(
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, \(rows)) n")
      var kills = 0
      for part in [1, rows / 4, rows / 2] {
        try eventually("\(part) rows") { try scenario.events().count >= part }
        streamer.send(SIGKILL)
        try streamer.wait()
        kills += 1
        streamer = try scenario.start()
      }
      let events = try scenario.events(rows, from: streamer)
      let isExact = events.integers("id").sorted() == Array(1...rows)
      #expect(isExact, "\(events.count) events")
      #expect(Set(events.map(\.commit)).count == 1)
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// What of a cut transaction was written before a crash is counted again, and not written.
    @Test func `A cut transaction is told to begin and to end once, with all its events`() throws {
      let scenario = try Scenario(
        "told",
        lines: Scenario.Lines(sink: [
          Self.delivery, #"transactionMaxBytes = "256KiB""#, #"format = "debezium""#,
          #"transactionTopic = "{name}.transactions""#,
        ]), tables: "CREATE TABLE t (id int PRIMARY KEY, filler text)")
      var streamer = try scenario.start()
      let rows = 20_000
      try scenario.psql(
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, \(rows)) n")
      for part in [1, rows / 2] {
        try eventually("\(part) rows") { try scenario.broker.records(scenario.name).count >= part }
        streamer.send(SIGKILL)
        try streamer.wait()
        streamer = try scenario.start()
      }
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let events = try scenario.broker.records(scenario.name).map { try JSON($0.value ?? "") }
      let orders = events.compactMap { $0["transaction"]?["total_order"]?.int }
      #expect(orders.sorted() == Array(1...rows), "\(events.count) events")
      let told = try scenario.broker.records("\(scenario.name).transactions")
        .map { try JSON($0.value ?? "") }
      // Their keys differ, and with them perhaps their partitions, between which there is no order.
      #expect(told.compactMap { $0["status"]?.string }.sorted() == ["BEGIN", "END"])
      #expect(told.compactMap { $0["event_count"]?.int } == [rows])
    }
  }
}
