import KafkaBridge
import Support
import Testing

extension OnRealKafka {
  /// Topics that take less than the client sends.
  @Suite struct TopicLimitTests {
    let broker: KafkaBroker

    init() throws { broker = try OnRealKafka.broker }

    private func topic(
      _ name: String, _ config: [(name: String, value: String)]
    ) throws -> (Producer, Topic) {
      let admin = try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
      try admin.createTopic(name, partitions: 1, config: config, timeout: .seconds(10))
      #expect(admin.close(timeout: .seconds(5)))
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      configuration.set("compression.type", "none")
      let producer = try Producer(configuration: configuration)
      return (producer, try producer.topic(named: name, timeout: .seconds(10)))
    }

    /// Records of the key "k" and these sizes, numbered from `first`; flushes once.
    private func produce(
      _ sizes: [Int], from first: Int = 0, on producer: Producer, to topic: Topic,
      headers: Bool = false
    ) -> [DeliveryReport] {
      let largest = [UInt8](repeating: UInt8(ascii: "x"), count: sizes.max() ?? 0)
      let key = Array("k".utf8)
      return unsafe key.withUnsafeBytes { key in
        unsafe largest.withUnsafeBytes { bytes in
          for (number, size) in sizes.enumerated() {
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[0..<size])
            let opaque = UInt(first + number)
            if headers {
              unsafe producer.produce(
                topic: topic, partition: 0, key: key, value: value,
                headers: [RecordHeader(name: "h", value: [1])], opaque: opaque)
            } else {
              unsafe producer.enqueue(
                topic: topic, partition: 0, key: key, value: value, opaque: opaque)
            }
          }
          return producer.flushBatches().failed
        }
      }
    }

    /// At least so many reports, and those that come until `suffices`.
    private func reports(
      _ count: Int, of producer: Producer,
      until suffices: (DeliveryReport) -> Bool = { _ in true }
    ) -> [DeliveryReport] {
      var reports: [DeliveryReport] = []
      let end = ContinuousClock.now + .seconds(30)
      while reports.count < count || !reports.contains(where: suffices), ContinuousClock.now < end {
        awaitReadable(producer.eventDescriptor)
        producer.poll { reports.append($0) }
      }
      return reports
    }

    /// Fault B5: a topic that takes less than a batch of ours gets batches that it takes.
    @Test(arguments: [false, true]) func batchesFitTheTopic(headers: Bool) throws {
      let (producer, topic) = try topic(
        "narrow_\(headers)", [(name: "max.message.bytes", value: "100000")])
      #expect(topic.maximumBatchBytes == 100_000)
      let refused = produce(
        [Int](repeating: 1000, count: 2000), on: producer, to: topic, headers: headers)
      #expect(refused.isEmpty)
      let reports = reports(2000, of: producer)
      #expect(reports.count == 2000 && reports.allSatisfy { $0.error == nil })
      #expect(reports.map(\.offset) == (0..<2000).map(Int64.init))
      #expect(reports.map(\.opaque) == (0..<2000).map(UInt.init))
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }

    /// Fault B6: nothing of a partition passes a record that the topic does not take, wherever it
    /// stands; the error names the topic's setting and the size.
    @Test(arguments: [100_000, 1_048_588]) func nothingPassesARefusedRecord(limit: Int) throws {
      let name = "limit_\(limit)"
      let admin = try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
      let config = [(name: "max.message.bytes", value: "\(limit)")]
      try admin.createTopic(name, partitions: 1, config: config, timeout: .seconds(10))
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      configuration.set("compression.type", "none")
      configuration.set("message.max.bytes", "8000000")
      let producer = try Producer(configuration: configuration)
      let topic = try producer.topic(named: name, timeout: .seconds(10))
      #expect(produce([10], on: producer, to: topic).isEmpty)
      #expect(reports(1, of: producer).count == 1)
      let after = [Int](repeating: 20, count: 50)
      #expect(produce([10, limit + 1000] + after, from: 1, on: producer, to: topic).isEmpty)
      // What follows it is given up, which may be reported before.
      let isRefusal = { (report: DeliveryReport) in report.error?.name == "MSG_SIZE_TOO_LARGE" }
      var all = reports(2, of: producer, until: isRefusal)
      let refused = try #require(all.first(where: isRefusal), "\(all.map(\.error))")
      #expect(refused.opaque == 2)
      #expect(refused.error?.isRetriable == false)
      #expect(refused.error?.description.contains("max.message.bytes of topic \(name)") == true)
      #expect(refused.error?.description.contains("\(limit)") == true)
      producer.close(timeout: .seconds(5)) { all.append($0) }
      #expect(all.filter { $0.error == nil }.map(\.opaque) == [1])
      let marks = try admin.watermarks(
        TopicPartition(topic: name, partition: 0), timeout: .seconds(5))
      #expect(marks.high == 2, "what came before it is there, and nothing behind it")
      #expect(admin.close(timeout: .seconds(5)))
    }

    /// A record that is too large as it stands and small when compressed goes, alone and in order.
    @Test func compressedRecordPasses() throws {
      let admin = try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
      let config = [(name: "max.message.bytes", value: "50000")]
      try admin.createTopic("compressed", partitions: 1, config: config, timeout: .seconds(10))
      #expect(admin.close(timeout: .seconds(5)))
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      let topic = try producer.topic(named: "compressed", timeout: .seconds(10))
      #expect(produce([10, 200_000, 10, 200_000, 10], on: producer, to: topic).isEmpty)
      let reports = reports(5, of: producer)
      #expect(reports.allSatisfy { $0.error == nil } && reports.map(\.opaque) == [0, 1, 2, 3, 4])
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }

    /// Faults B11 and B12: that a topic has another number of partitions than its producer began with
    /// is found out.
    @Test func otherNumberOfPartitionsIsNoticed() throws {
      let (producer, topic) = try topic("grown", [])
      #expect(topic.partitionCount == 1)
      #expect(producer.changedTopics(timeout: .seconds(5))?.isEmpty == true)
      let admin = try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
      try admin.deleteTopic("grown", timeout: .seconds(10))
      let end = ContinuousClock.now + .seconds(20)
      var isNew = false
      while !isNew, ContinuousClock.now < end {
        isNew = (try? admin.createTopic("grown", partitions: 5, timeout: .seconds(10))) ?? false
      }
      let changed = try #require(producer.changedTopics(timeout: .seconds(5)))
      #expect(changed.map(\.topic.name) == ["grown"] && changed.map(\.partitionCount) == [5])
      #expect(admin.close(timeout: .seconds(5)))
      producer.close(timeout: .seconds(5))
    }
  }
}
