import Glibc
import Testing

@testable import KafkaBridge

/// The end of a producer: nothing more is sent, and nothing waits for a broker.
@Suite(.serialized) struct ProducerClosingTests {
  @Test func closingSendsNothingMore() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(1, on: producer)
    work.awaitReports(1, from: producer)
    // One request is on its way and its answer late, the others wait in librdkafka.
    try cluster.setRoundTrip(1, milliseconds: 300)
    for _ in 0..<20 { work.produce(10, on: producer) }
    let closing = producer.close(timeout: .seconds(30)) { work.add($0) }
    #expect(closing.unreported == 0)
    #expect(closing.isDestroyed)
    #expect(work.reports.count == 201)
    #expect(work.reports.count { $0.error == nil } == 1, "closing delivered records")
    #expect(work.reports.allSatisfy { $0.error?.name.hasPrefix("_PURGE") ?? true })
  }

  @Test func whatWasDeliveredIsStillReported() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(1, on: producer)
    work.awaitReports(1, from: producer)
    work.produce(10, on: producer)
    #expect(becomesReadable(producer.eventDescriptor))
    // All ten went in one request; a report that is there is no longer on its way.
    producer.close(timeout: .seconds(5)) { work.add($0) }
    #expect(work.isExact)
  }

  @Test func zeroLeavesAllBehind() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 4)
    for _ in 0..<20 {
      let producer = try Producer(
        configuration: .producer(bootstrapServers: cluster.bootstrapServers))
      var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
      work.produce(100, on: producer)
      let closing = producer.close(timeout: .zero) { work.add($0) }
      #expect(closing.unreported + work.reports.count == 100)
    }
  }

  /// Each partition that had many records once kept room for as many for ever.
  @Test func buffersGoRoundAmongPartitions() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 300)
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    let topic = try producer.topic(named: "orders", timeout: .seconds(5))
    var reports = 0
    for partition in 0..<300 as Range<Int32> {
      for _ in 0..<1000 {
        unsafe producer.enqueue(topic: topic, partition: partition, key: nil, value: nil, opaque: 0)
      }
      #expect(producer.flushBatches().failed.isEmpty)
      producer.poll { _ in reports += 1 }
    }
    #expect(producer.deliver(within: .seconds(60)) { _ in reports += 1 })
    #expect(reports == 300_000)
    #expect(producer.gatheringCapacity <= Producer.keptMessages)
    // A window over all of them is no reason to keep more.
    for partition in 0..<300 as Range<Int32> {
      for _ in 0..<100 {
        unsafe producer.enqueue(topic: topic, partition: partition, key: nil, value: nil, opaque: 0)
      }
    }
    #expect(producer.flushBatches().accepted == 30_000)
    #expect(producer.gatheringCapacity <= Producer.keptMessages)
    producer.close(timeout: .seconds(5))
  }
}
