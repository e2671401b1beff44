import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// What happens to topics and producers while the program runs.
  @Suite(.needsKafka) struct RunningTopics {
    private func scenario(_ title: String, _ delivery: String, broker: KafkaBroker? = nil) throws
      -> Scenario
    {
      try Scenario(
        title, broker: broker,
        lines: Scenario.Lines(sink: ["delivery = \"\(delivery)\"", #"transactionalID = "{name}""#]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
    }

    /// Transactions of one row each.
    private func insert(_ ids: ClosedRange<Int>, _ scenario: Scenario) throws {
      try scenario.psql(ids.map { "INSERT INTO t VALUES (\($0));" }.joined())
    }

    /// What was in the topic is gone with it; everything that was not delivered by then arrives in the
    /// new one, which is made as configured, in order.
    @Test(arguments: ["at-least-once", "exactly-once"])
    func `A topic that is deleted is made again, and gets what was not delivered`(
      delivery: String
    ) throws {
      let scenario = try scenario("deleted", delivery)
      let streamer = try scenario.start()
      try insert(1...100, scenario)
      try scenario.waitUntilConfirmed(streamer)
      try scenario.broker.tool("topics", ["--delete", "--topic", scenario.name])
      try insert(101...300, scenario)
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let events = try scenario.events()
      #expect(events.withoutRepetitions.integers("id").sorted() == Array(101...300))
      if delivery == "exactly-once" { #expect(events.count == 200) }
      #expect(Set(events.map(\.record.partition)).count == 4, "as configured")
    }

    /// Brokers forget producers that are silent for a time, a week by default, and ids of transactions.
    @Test(arguments: ["at-least-once", "exactly-once"])
    func `A broker that forgets a silent producer loses and repeats nothing`(delivery: String)
      throws
    {
      let scenario = try scenario("silent", delivery, broker: try Self.forgetful.get())
      var streamer = try scenario.start()
      try insert(1...100, scenario)
      try scenario.waitUntilConfirmed(streamer)
      streamer.send(SIGSTOP)
      pause(.seconds(5))
      streamer.send(SIGCONT)
      try insert(101...200, scenario)
      try scenario.waitUntilConfirmed(streamer)
      streamer.send(SIGKILL)
      try streamer.wait()
      pause(.seconds(5))
      try insert(201...300, scenario)
      streamer = try scenario.start()
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      let events = try scenario.events()
      #expect(events.withoutRepetitions.integers("id").sorted() == Array(1...300))
      guard delivery == "exactly-once" else { return }
      #expect(events.count == 300)
      // It was forgotten: librdkafka has told so.
      #expect(scenario.warnings.contains("not currently assigned"), "\(scenario.warnings)")
    }

    private static let forgetful = Result {
      try KafkaBroker(properties: [
        "producer.id.expiration.ms=2000", "producer.id.expiration.check.interval.ms=500",
        "transactional.id.expiration.ms=2000",
        "transaction.remove.expired.transaction.cleanup.interval.ms=500",
      ])
    }
  }
}
