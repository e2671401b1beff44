import KafkaBridge
import Support
import Testing

/// The producer against librdkafka's mock cluster: real sockets, injected faults.
@Suite(.serialized) struct ProducerTests {
  private func configuration(
    _ cluster: MockCluster, _ properties: (String, String)...
  ) -> KafkaConfiguration {
    var configuration = KafkaConfiguration.producer(bootstrapServers: cluster.bootstrapServers)
    for (name, value) in properties { configuration.set(name, value) }
    return configuration
  }

  @Test func deliversInOrderAndWakesThePoller() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 4)
    let producer = try Producer(configuration: configuration(cluster))
    try producer.checkConnection(timeout: .seconds(10))
    let topic = try producer.topic(named: "orders", timeout: .seconds(5))
    #expect(topic.partitionCount == 4)
    var work = Workload(topic: topic)
    for _ in 0..<20 { work.produce(100, on: producer) }
    #expect(producer.outstanding == 2000)
    #expect(becomesReadable(producer.eventDescriptor))
    work.awaitReports(2000, from: producer)
    #expect(work.isExact)
    #expect(producer.outstanding == 0)
    #expect(work.reports.first?.byteCount == 4)
    #expect(producer.close(timeout: .seconds(1)).isDestroyed)
  }

  // The mock cluster does not check sequences, so this shows that nothing is lost or doubled; the
  // order of several requests in flight is tried on a real broker.
  @Test func retriableErrorsLoseNothing() throws {
    let cluster = try MockCluster(brokers: 3)
    try cluster.createTopic("orders", partitions: 4, replicationFactor: 3)
    let producer = try Producer(configuration: configuration(cluster, ("retry.backoff.ms", "10")))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    // REQUEST_TIMED_OUT, NOT_LEADER_FOR_PARTITION, NOT_ENOUGH_REPLICAS, a disconnect.
    cluster.pushErrors(.produce, [7, 6, 19, -195, 7, 6, 6, 19, 7, 7])
    for _ in 0..<50 {
      work.produce(100, on: producer)
      work.poll(producer)
    }
    work.awaitReports(5000, from: producer)
    #expect(work.isExact)
    producer.close(timeout: .seconds(1))
  }

  /// A leader that does not know the producer takes any sequence number as the first.
  ///
  /// When the first request fails and a second one is on its way, librdkafka 2.0.2 takes the second
  /// one's success for both: the first record was never written, and is reported as delivered.
  @Test func firstRecordOfAPartitionIsNotAcknowledgedByTheSecond() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(configuration: configuration(cluster, ("linger.ms", "0")))
    try producer.checkConnection(timeout: .seconds(10))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    try cluster.setRoundTrip(1, milliseconds: 100)
    cluster.pushErrors(.produce, [6])  // NOT_LEADER_FOR_PARTITION: the topic is new
    for _ in 0..<3 {
      work.produce(1, on: producer)
      pause(.milliseconds(20))
    }
    work.awaitReports(3, from: producer)
    #expect(work.isExact)
    #expect(work.reports.map(\.offset) == [0, 1, 2], "an offset of -1 is a record never written")
    producer.close(timeout: .seconds(1))
  }

  @Test func refusedRecordEndsTheProducerWithACleanPrefix() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(
      configuration: configuration(cluster, ("batch.num.messages", "10")))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(10, on: producer)
    work.awaitReports(10, from: producer)
    cluster.pushErrors(.produce, [10])  // MSG_SIZE_TOO_LARGE
    work.produce(100, on: producer)
    // How many of the hundred are purged at once depends on how many were enqueued when the error
    // came; closing reports the others.
    work.awaitReports(11, from: producer)
    producer.deliver(within: .seconds(5)) { work.add($0) }
    producer.close(timeout: .seconds(5)) { work.add($0) }
    #expect(work.reports.count == 110)
    let failed = work.reports.drop { $0.error == nil }
    #expect(failed.count == 100)
    #expect(failed.allSatisfy { $0.error != nil })
    #expect(failed.first?.topicName == "orders")
    #expect(producer.fatalError?.isFatal == true)
    #expect(producer.fatalError?.name == "_GAPLESS_GUARANTEE")
    #expect(producer.outstanding == 0)
  }

  @Test func fullQueueKeepsRecordsAndOrder() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 3)
    try cluster.setRoundTrip(1, milliseconds: 20)
    let producer = try Producer(
      configuration: configuration(cluster, ("queue.buffering.max.messages", "50")))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    // Let every partition's leader know the producer: else records are held for that.
    work.produce(40, on: producer)
    work.awaitReports(40, from: producer)
    work.produce(200, on: producer)
    #expect(work.held == 150)
    #expect(producer.outstanding == 200)
    // Newer records wait behind the held ones of their partition.
    work.produce(100, on: producer)
    #expect(work.held >= 150)
    work.awaitReports(340, from: producer)
    #expect(work.isExact)
    #expect(work.refused.isEmpty)
    #expect(producer.outstanding == 0)
    producer.close(timeout: .seconds(1))
  }

  @Test func smallRecordDoesNotPassALargeOneThatIsHeld() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(
      configuration: configuration(cluster, ("queue.buffering.max.kbytes", "100")))
    let topic = try producer.topic(named: "orders", timeout: .seconds(5))
    // Let the partition's leader know the producer: else records are held for that.
    unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: nil, opaque: 9)
    #expect(producer.deliver(within: .seconds(60)))
    try cluster.setRoundTrip(1, milliseconds: 500)
    let bytes = [UInt8](repeating: 0x61, count: 60_000)
    unsafe bytes.withUnsafeBytes { large in
      for opaque in 0..<2 as Range<UInt> {
        unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: large, opaque: opaque)
      }
      #expect(producer.flushBatches().held == 1)
      // There is room for these, but not for the one before them.
      unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: nil, opaque: 2)
      #expect(producer.flushBatches().held == 2)
      unsafe producer.produce(
        topic: topic, partition: 0, key: nil, value: nil, headers: [], opaque: 3)
      #expect(producer.flushBatches().held == 3)
    }
    var reports: [DeliveryReport] = []
    #expect(producer.deliver(within: .seconds(60)) { reports.append($0) })
    #expect(reports.map(\.opaque) == [0, 1, 2, 3])
    #expect(reports.map(\.offset) == [1, 2, 3, 4])
  }

  @Test func recordsWithHeadersKeepTheirPlace() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(configuration: configuration(cluster))
    let topic = try producer.topic(named: "orders", timeout: .seconds(5))
    var reports: [DeliveryReport] = []
    for number in 0..<100 as Range<UInt> {
      if number % 3 == 0 {
        unsafe producer.produce(
          topic: topic, partition: 0, key: nil, value: nil,
          headers: [RecordHeader(name: "h", value: [1]), RecordHeader(name: "", value: nil)],
          timestamp: 1_000, opaque: number)
      } else {
        unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: nil, opaque: number)
      }
    }
    #expect(producer.flushBatches().failed.isEmpty)
    while reports.count < 100 {
      awaitReadable(producer.eventDescriptor)
      producer.poll { reports.append($0) }
    }
    #expect(reports.map(\.opaque) == Array(0..<100))
    #expect(reports.map(\.offset) == Array(0..<100))
    producer.close(timeout: .seconds(1))
  }

  @Test func oversizedRecordAloneIsRefusedAtOnce() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 1)
    let producer = try Producer(
      configuration: configuration(cluster, ("message.max.bytes", "1000")))
    #expect(producer.maximumMessageBytes == 1000)
    let topic = try producer.topic(named: "orders", timeout: .seconds(5))
    let bytes = [UInt8](repeating: 0x61, count: 5000)
    let outcome = unsafe bytes.withUnsafeBytes { value in
      unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: value, opaque: 7)
      return producer.flushBatches()
    }
    #expect(outcome.accepted == 0)
    #expect(outcome.failed.map(\.opaque) == [7])
    #expect(outcome.failed.first?.byteCount == 5000)
    #expect(outcome.failed.first?.error?.category == .recordTooLarge)
    producer.close(timeout: .seconds(1))
  }

  @Test func missingTopicIsItsOwnError() throws {
    let cluster = try MockCluster()
    cluster.setTopicError("nowhere", code: 3)
    let producer = try Producer(configuration: configuration(cluster))
    let error = #expect(throws: KafkaError.self) {
      try producer.topic(named: "nowhere", timeout: .seconds(5))
    }
    #expect(error?.category == .missingTopic)
    #expect(error?.topic == "nowhere")
    #expect(error?.description.contains("nowhere") == true)
    #expect(producer.close(timeout: .seconds(5)).isDestroyed)
  }

  @Test func outageIsOnlyADelay() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 2)
    let producer = try Producer(configuration: configuration(cluster))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(100, on: producer)
    try cluster.setBrokerDown(1)
    for _ in 0..<5 { work.produce(100, on: producer) }
    while producer.lastError == nil {
      awaitReadable(producer.eventDescriptor)
      work.poll(producer)
    }
    #expect(producer.lastError?.isFatal == false)
    #expect(producer.outstanding >= 500)
    try cluster.setBrokerUp(1)
    work.awaitReports(600, from: producer)
    #expect(work.isExact)
    producer.close(timeout: .seconds(1))
  }

  @Test func closesInTimeWhileTheBrokerIsDown() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 2)
    let producer = try Producer(configuration: configuration(cluster))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    try cluster.setBrokerDown(1)
    work.produce(100, on: producer)
    let start = ContinuousClock.now
    let closing = producer.close(timeout: .seconds(5)) { work.add($0) }
    #expect(ContinuousClock.now - start < .seconds(10))
    #expect(closing.unreported + work.reports.count == 100)
    #expect(closing.unreported == 0)
    #expect(work.reports.allSatisfy { $0.error?.name.hasPrefix("_PURGE") == true })
    #expect(closing.isDestroyed)
  }

  @Test func deliverWaitsForWhatWasHandedOver() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 2)
    let producer = try Producer(
      configuration: configuration(cluster, ("queue.buffering.max.messages", "50")))
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(120, on: producer)
    #expect(producer.deliver(within: .seconds(60)) { work.add($0) })
    #expect(work.isExact)
    #expect(producer.close(timeout: .seconds(5)).unreported == 0)
  }

  @Test func unreachableClusterIsNamed() throws {
    let producer = try Producer(configuration: .producer(bootstrapServers: "127.0.0.1:1"))
    let error = #expect(throws: KafkaError.self) {
      try producer.checkConnection(timeout: .milliseconds(800))
    }
    #expect(error?.category == .unreachable)
    #expect(error?.description.contains("127.0.0.1:1") == true)
    producer.close(timeout: .zero)
  }

  @Test func logGoesToTheHandler() throws {
    let lines = Lines()
    var configuration = KafkaConfiguration.producer(bootstrapServers: "127.0.0.1:1")
    configuration.log = { lines.append($0) }
    let producer = try Producer(configuration: configuration)
    let end = ContinuousClock.now + .seconds(10)
    while !lines.contains(where: { $0.level == .error }), ContinuousClock.now < end {
      awaitReadable(producer.eventDescriptor)
      producer.poll { _ in }
    }
    #expect(lines.contains { $0.level == .error && $0.text.contains("127.0.0.1:1") })
    producer.close(timeout: .zero)
  }
}
