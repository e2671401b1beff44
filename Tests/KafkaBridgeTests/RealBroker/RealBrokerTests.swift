import KafkaBridge
import Support
import Testing

extension OnRealKafka {
  /// What the mock cluster cannot show: administration, security and the words of a real broker.
  @Suite struct RealBrokerTests {
    let broker: KafkaBroker

    init() throws { broker = try OnRealKafka.broker }

    private func admin() throws -> Admin {
      try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
    }

    @Test func topicIsCreatedOnce() throws {
      let admin = try admin()
      try admin.checkConnection(timeout: .seconds(10))
      let config = [(name: "cleanup.policy", value: "compact")]
      #expect(
        try admin.createTopic(
          "created", partitions: 3, replicationFactor: 1, config: config, timeout: .seconds(10)))
      #expect(try !admin.createTopic("created", partitions: 5, timeout: .seconds(10)))
      let description = try admin.describeTopic("created", timeout: .seconds(5))
      #expect(description.partitionCount == 3)
      #expect(description.replicationFactor == 1)
      #expect(description.leaderlessCount == 0)
      #expect(admin.close(timeout: .seconds(5)))
    }

    @Test func refusedTopicSaysWhy() throws {
      let admin = try admin()
      let replication = #expect(throws: KafkaError.self) {
        try admin.createTopic(
          "refused", partitions: 1, replicationFactor: 3, timeout: .seconds(10))
      }
      #expect(replication?.name == "INVALID_REPLICATION_FACTOR")
      #expect(replication?.description.contains("create topic refused") == true)
      let config = #expect(throws: KafkaError.self) {
        try admin.createTopic(
          "refused", partitions: 1, config: [(name: "no.such", value: "1")], timeout: .seconds(10))
      }
      #expect(config?.description.contains("no.such") == true)
      #expect(admin.close(timeout: .seconds(5)))
    }

    /// Faults S15 and A3: all in one request, and what was made can be used at once.
    @Test func manyTopicsAreCreatedTogether() throws {
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      let names = (0..<300).map { "many\($0)" }
      try admin().createTopic("many7", partitions: 5, timeout: .seconds(10))
      let wanted =
        names.map { NewTopic($0, partitions: 2, config: ["cleanup.policy": "compact"]) }
        + [NewTopic("no/name"), NewTopic("toomany", replicationFactor: 3)]
      let made = producer.createTopics(wanted, timeout: .seconds(60))
      #expect(made.count == 302)
      #expect(
        try made.prefix(300).map { try $0.get() } == names.map { $0 != "many7" },
        "new, but for the one that was there")
      let name = #expect(throws: KafkaError.self) { try made[300].get() }
      #expect(name?.description.contains("no/name") == true)
      let replication = #expect(throws: KafkaError.self) { try made[301].get() }
      #expect(replication?.name == "INVALID_REPLICATION_FACTOR")
      let found = producer.topics(named: names, timeout: .seconds(10))
      #expect(try found.map { try $0.get().partitionCount } == names.map { $0 == "many7" ? 5 : 2 })
      var work = Workload(topic: try found[299].get())
      work.produce(10, on: producer)
      work.awaitReports(10, from: producer)
      #expect(work.isExact)
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }

    @Test func missingTopicIsItsOwnErrorAndIsNotCreated() throws {
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      for _ in 0..<2 {
        let error = #expect(throws: KafkaError.self) {
          try producer.topic(named: "missing", timeout: .seconds(5))
        }
        #expect(error?.category == .missingTopic)
        #expect(error?.topic == "missing")
      }
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }

    @Test func groupReadsCommitsAndGoesOnAfterRestart() throws {
      let admin = try admin()
      try admin.createTopic("orders", partitions: 4, timeout: .seconds(10))
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      try producer.checkConnection(timeout: .seconds(10))
      var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
      for _ in 0..<10 { work.produce(200, on: producer) }
      work.awaitReports(2000, from: producer)
      #expect(work.isExact)

      var reader = try Reader(broker.bootstrap, group: "group")
      try reader.consumer.checkConnection(timeout: .seconds(10))
      try reader.consumer.subscribe(["orders"])
      #expect(try reader.poll { $0.records.count >= 2000 })
      #expect(Set(reader.records.compactMap(\.value)).count == 2000)
      try reader.consumer.commit(reader.places, timeout: .seconds(10))
      #expect(reader.consumer.close(timeout: .seconds(10)))

      work.produce(100, on: producer)
      work.awaitReports(2100, from: producer)
      var next = try Reader(broker.bootstrap, group: "group")
      try next.consumer.subscribe(["orders"])
      #expect(try next.poll { $0.records.count >= 100 })
      #expect(next.records.count == 100)
      #expect(
        Set(next.records.compactMap(\.value)) == Set((2000..<2100).map { Array("v\($0)".utf8) }))
      #expect(next.consumer.close(timeout: .seconds(10)))

      let high = try (0..<4).map { partition in
        try admin.watermarks(
          TopicPartition(topic: "orders", partition: partition), timeout: .seconds(5)
        ).high
      }
      #expect(high.reduce(0, +) == 2100)
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
      #expect(admin.close(timeout: .seconds(5)))
    }

    @Test func deletedTopicFailsTheRecordsAndIsNotCreatedAgain() throws {
      let admin = try admin()
      try admin.createTopic("deleted", partitions: 1, timeout: .seconds(10))
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      var work = Workload(topic: try producer.topic(named: "deleted", timeout: .seconds(5)))
      work.produce(10, on: producer)
      work.awaitReports(10, from: producer)
      try admin.deleteTopic("deleted", timeout: .seconds(10))
      // Newer versions wait for topic.metadata.propagation.max.ms before they believe it.
      let end = ContinuousClock.now + .seconds(120)
      var failure: KafkaError?
      while failure == nil, ContinuousClock.now < end {
        work.produce(1, on: producer)
        awaitReadable(producer.eventDescriptor)
        work.poll(producer)
        failure = (work.refused + work.reports).compactMap(\.error).first
      }
      #expect(failure?.category == .missingTopic)
      #expect(failure?.topic == "deleted")
      // The client goes on asking for the topic while records come, which must not bring it back.
      for _ in 0..<20 {
        work.produce(1, on: producer)
        awaitReadable(producer.eventDescriptor)
        work.poll(producer)
      }
      #expect(throws: KafkaError.self) {
        try admin.describeTopic("deleted", timeout: .seconds(5))
      }
      producer.close(timeout: .zero)
      #expect(admin.close(timeout: .seconds(5)))
    }

    // One crash seldom hits requests in flight: with enable.idempotence=false this mostly passes too.
    @Test func crashOfTheBrokerLosesDoublesAndReordersNothing() throws {
      let admin = try admin()
      try admin.createTopic("crashed", partitions: 4, timeout: .seconds(10))
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      // Small batches: many requests are in flight when the broker goes.
      configuration.set("batch.num.messages", "20")
      let producer = try Producer(configuration: configuration)
      var work = Workload(
        topic: try producer.topic(named: "crashed", timeout: .seconds(5)), keys: 40)
      for round in 0..<2 {
        for _ in 0..<100 {
          work.produce(50, on: producer)
          work.poll(producer)
        }
        if round == 0 {
          try broker.kill()
          try broker.start()
        }
      }
      work.awaitReports(10_000, from: producer)
      #expect(work.reports.count == 10_000)
      #expect(work.reports.allSatisfy { $0.error == nil })
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)

      var reader = try Reader(broker.bootstrap, group: "crashed")
      try reader.consumer.subscribe(["crashed"])
      #expect(try reader.poll { $0.records.count >= 10_000 })
      for _ in 0..<3 { try reader.poll() }  // duplicates would follow
      #expect(reader.records.count == 10_000)
      var last: [Int32: Int] = [:]
      for record in reader.records {
        let text = String(decoding: (record.value ?? []).dropFirst(), as: UTF8.self)
        let number = try #require(Int(text))
        if number <= last[record.place.partition, default: -1] {
          Issue.record("record \(number) came after \(last[record.place.partition] ?? -1)")
          break
        }
        last[record.place.partition] = number
      }
      #expect(reader.consumer.close(timeout: .seconds(10)))
      #expect(admin.close(timeout: .seconds(5)))
    }

    @Test func oversizedForTheTopicIsFatalUnderTheGaplessGuarantee() throws {
      let admin = try admin()
      try admin.createTopic(
        "small", partitions: 1, config: [(name: "max.message.bytes", value: "1000")],
        timeout: .seconds(10))
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      let topic = try producer.topic(named: "small", timeout: .seconds(5))
      var reports: [DeliveryReport] = []
      // Random bytes, so that compression does not make them fit.
      var generator = SystemRandomNumberGenerator()
      let bytes = (0..<5000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      unsafe bytes.withUnsafeBytes { value in
        unsafe producer.enqueue(topic: topic, partition: 0, key: nil, value: value, opaque: 1)
        _ = producer.flushBatches()
      }
      let end = ContinuousClock.now + .seconds(20)
      while producer.fatalError == nil || reports.isEmpty, ContinuousClock.now < end {
        awaitReadable(producer.eventDescriptor)
        producer.poll { reports.append($0) }
      }
      #expect(reports.first?.error?.topic == "small")
      #expect(producer.fatalError?.name == "_GAPLESS_GUARANTEE")
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
      #expect(admin.close(timeout: .seconds(5)))
    }
  }
}
