import KafkaBridge
import Support
import Testing

extension OnRealKafka {
  /// Transactions on a real broker: what is seen, who is shut out, what was written.
  @Suite struct TransactionTests {
    let broker: KafkaBroker

    init() throws { broker = try OnRealKafka.broker }

    private func producer(_ id: String) throws -> Producer {
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      configuration.writeInTransactions(as: id, timeout: .seconds(15))
      let producer = try Producer(configuration: configuration)
      try producer.initTransactions(timeout: .seconds(30))
      return producer
    }

    private func topic(_ name: String, of producer: Producer) throws -> Topic {
      let made = producer.createTopics(
        [NewTopic(name, partitions: 2, replicationFactor: 1)], timeout: .seconds(10))
      _ = try made[0].get()
      return try producer.topic(named: name, timeout: .seconds(10))
    }

    private func values(_ topic: String, committedOnly: Bool = true) throws -> Set<String> {
      let reader = try PartitionReader(
        configuration: .consumer(
          bootstrapServers: broker.bootstrap, group: "transaction-tests"),
        committedOnly: committedOnly)
      defer { reader.close(timeout: .seconds(1)) }
      var found: Set<String> = []
      let places = (0..<2).map {
        PartitionOffset(TopicPartition(topic: topic, partition: $0), 0)
      }
      try reader.read(from: places, timeout: .seconds(20)) { record in
        if let value = record.value {
          found.insert(unsafe value.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) })
        }
        return true
      }
      return found
    }

    @Test func recordsAreSeenWhenTheirTransactionIsCommitted() throws {
      let producer = try producer("commits")
      var work = Workload(topic: try topic("commits", of: producer))
      try producer.beginTransaction()
      work.produce(10, on: producer)
      work.awaitReports(10, from: producer)
      #expect(try values("commits").isEmpty)
      #expect(try values("commits", committedOnly: false).count == 10)
      try producer.commitTransaction(timeout: .seconds(10))
      // The partitions' leaders learn of a commit a moment after the producer.
      try eventually("ten committed records") { try values("commits").count == 10 }
      let written = producer.writtenPartitions
      #expect(written.map(\.count).reduce(0, +) == 10)
      #expect(written.map(\.lastOffset) == written.map { Int64($0.count) - 1 })
      try producer.beginTransaction()
      #expect(producer.writtenPartitions.isEmpty)
      work.produce(5, on: producer)
      work.awaitReports(15, from: producer)
      try producer.abortTransaction(timeout: .seconds(10))
      #expect(try values("commits").count == 10)
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }

    @Test func theOlderOneIsShutOutAndItsRecordsAreNeverSeen() throws {
      let old = try producer("fenced")
      var work = Workload(topic: try topic("fenced", of: old))
      try old.beginTransaction()
      work.produce(10, on: old)
      work.awaitReports(10, from: old)
      let new = try producer("fenced")
      let error = #expect(throws: KafkaError.self) {
        try old.commitTransaction(timeout: .seconds(10))
      }
      #expect(error?.category == .fenced)
      #expect(error?.isFatal == true)
      #expect(try values("fenced").isEmpty)
      #expect(new.close(timeout: .seconds(5)).isDestroyed)
      old.close(timeout: .seconds(5))
    }

    @Test func theEndOfAPartitionIsFound() throws {
      let producer = try producer("ends")
      var work = Workload(topic: try topic("ends", of: producer), keys: 1)
      for _ in 0..<3 {
        try producer.beginTransaction()
        work.produce(4, on: producer)
        work.awaitReports(work.produced, from: producer)
        try producer.commitTransaction(timeout: .seconds(10))
      }
      let reader = try PartitionReader(
        configuration: .consumer(
          bootstrapServers: broker.bootstrap, group: "transaction-tests"))
      defer { reader.close(timeout: .seconds(1)) }
      let used = try #require(producer.writtenPartitions.first).partition
      // Each commit takes an offset of its own.
      try eventually("the last commit in its partition") {
        try reader.bounds(of: used, timeout: .seconds(10)) == 0..<15
      }
      var seen: [Int64] = []
      try reader.read(from: [PartitionOffset(used, 10)], timeout: .seconds(20)) { record in
        seen.append(record.offset)
        return seen.count < 2
      }
      #expect(seen == [10, 11])
      #expect(producer.close(timeout: .seconds(5)).isDestroyed)
    }
  }
}
