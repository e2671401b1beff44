import KafkaBridge
import Synchronization
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

  /// A member that is destroyed before its group has let it go turns librdkafka's main thread without
  /// a pause, and says so each time round.
  @Test func closingBesideASilentCoordinatorDoesNotSpin() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let lines = Mutex(0)
    var configuration = KafkaConfiguration.consumer(
      bootstrapServers: cluster.bootstrapServers, group: "g")
    configuration.set("debug", "cgrp")
    configuration.log = { line in
      if line.text.contains("before terminating") { lines.withLock { $0 += 1 } }
    }
    let consumer = try Consumer(configuration: configuration)
    try consumer.subscribe(["orders"])
    let end = ContinuousClock.now + .seconds(60)
    var isAssigned = false
    while !isAssigned, ContinuousClock.now < end {
      awaitReadable(consumer.eventDescriptor)
      if case .assigned(let partitions) = consumer.poll(limit: 1, { _ in }).event {
        try consumer.assign(partitions)
        isAssigned = true
      }
    }
    #expect(isAssigned)
    try cluster.setRoundTrip(1, milliseconds: 5000)
    try consumer.commitLater([PartitionOffset(TopicPartition(topic: "orders", partition: 0), 7)])
    #expect(!consumer.close(timeout: .milliseconds(100)))
    let closed = ContinuousClock.now
    while ContinuousClock.now - closed < .seconds(2) { awaitReadable(-1) }
    #expect(lines.withLock { $0 } < 5000, "a pause at each turn")
    try cluster.setRoundTrip(1, milliseconds: 0)
  }
}
