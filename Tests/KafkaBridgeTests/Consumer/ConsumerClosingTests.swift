import KafkaBridge
import Testing

/// Members of groups that end while records are on their way to them.
@Suite(.serialized) struct ConsumerClosingTests {
  /// What was fetched and not polled comes to the queue that closing serves, where it has no
  /// callback: serving it by callbacks ended the process.
  @Test func closesInFullFlowTwoHundredTimes() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 4)
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(4000, on: producer)
    work.awaitReports(4000, from: producer)
    #expect(work.isExact)
    for round in 0..<8 {
      // Small answers, so that fetching goes on while the members leave.
      var members = try (0..<25).map { number in
        try Reader(
          cluster.bootstrapServers, group: "g\(round).\(number)",
          [("session.timeout.ms", "6000"), ("fetch.message.max.bytes", "2000")])
      }
      for member in members { try member.consumer.subscribe(["orders"]) }
      let end = ContinuousClock.now + .seconds(60)
      while members.contains(where: { $0.records.isEmpty }), ContinuousClock.now < end {
        for index in members.indices where members[index].records.isEmpty {
          try members[index].poll(limit: 1)
        }
      }
      for member in members {
        #expect(!member.records.isEmpty && member.records.count < 4000)
        #expect(member.consumer.close(timeout: .seconds(10)))
      }
      // Each was known to its group, and has left it.
      if round == 0 { #expect(members.allSatisfy { $0.owned.count == 4 }) }
    }
    producer.close(timeout: .zero)
  }
}
