import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

extension Integration.FirstThird.ExactlyOnce {
  /// Positions of transactions whose records are not what they should be.
  @Suite(.needsKafka) struct TornTransactions {
    private let broker: KafkaBroker
    private let producer: Producer
    private let rows: Topic
    private let positions: Topic
    private let topic: PositionTopic

    init() throws {
      broker = try Integration.kafka
      let name = "torn-\(try FreePort.take())"
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      configuration.writeInTransactions(as: name, timeout: .seconds(15))
      topic = PositionTopic(
        name: "\(name).position", sink: "k", key: PositionRecord.key(source: "s", sink: "k"),
        properties: .consumer(bootstrapServers: broker.bootstrap, group: "torn"),
        log: Log(level: .error))
      producer = try Producer(configuration: configuration)
      try producer.initTransactions(timeout: .seconds(30))
      let made = producer.createTopics(
        [NewTopic(name, partitions: 1, replicationFactor: 1), topic.new(replication: 1)],
        timeout: .seconds(30))
      for answer in made { _ = try answer.get() }
      rows = try producer.topic(named: name, timeout: .seconds(10))
      positions = try producer.topic(named: topic.name, timeout: .seconds(10))
    }

    private func write(
      _ value: [UInt8], key: [UInt8] = [1], to topic: Topic, by other: Producer? = nil
    ) {
      let producer = other ?? producer
      unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { value in
          unsafe producer.enqueue(topic: topic, partition: 0, key: key, value: value, opaque: 0)
          _ = producer.flushBatches()
        }
      }
      producer.deliver(within: .seconds(10))
    }

    private func record(_ written: [WrittenPartition]) -> PositionRecord {
      PositionRecord(
        position: Position(
          source: "s", sink: "k", systemIdentifier: "7", timeline: 1, database: "d", slot: "s",
          publications: ["p"], lsn: LSN(0x200)), from: ReadPlace(lsn: LSN(0x100)), options: "",
        written: written)
    }

    /// The records of the transaction are aborted, its position is committed: what a late request does.
    @Test func `Reading begins again before a torn transaction`() throws {
      defer { producer.close(timeout: .seconds(5)) }
      #expect(try topic.last() == nil)
      try producer.beginTransaction()
      for _ in 0..<3 { write([7], to: rows) }
      let written = producer.writtenPartitions
      #expect(written.map(\.count) == [3])
      try producer.abortTransaction(timeout: .seconds(10))
      try producer.beginTransaction()
      write(record(written).value, key: topic.key, to: positions)
      try producer.commitTransaction(timeout: .seconds(10))
      try eventually("the position") { try topic.last() != nil }
      #expect(try topic.last()?.position.lsn == LSN(0x100))

      try producer.beginTransaction()
      write([8], to: rows)
      let whole = record(producer.writtenPartitions.filter { $0.partition.topic == rows.name })
      write(whole.value, key: topic.key, to: positions)
      try producer.commitTransaction(timeout: .seconds(10))
      try eventually("the whole one") { try topic.last() == whole }
    }

    /// While it is not decided what became of what was written last, what was committed before is not
    /// the last.
    @Test func `What is not decided is waited for`() throws {
      defer { producer.close(timeout: .seconds(5)) }
      var impatient = topic
      impatient.patience = .milliseconds(300)
      try producer.beginTransaction()
      write([7], to: rows)
      let whole = record(producer.writtenPartitions)
      write(whole.value, key: topic.key, to: positions)
      try producer.commitTransaction(timeout: .seconds(10))
      try eventually("the position") { try topic.last() == whole }
      try producer.beginTransaction()
      write([9], key: [9], to: positions)
      try expectUndecided(impatient)
      try producer.abortTransaction(timeout: .seconds(10))
      try eventually("the same position") { try topic.last() == whole }
    }

    /// What a broker has forgotten to end looks like what is open.
    @Test
    func
      `What is neither committed nor aborted is found with its rows, and its mark is waited for`()
      throws
    {
      defer { producer.close(timeout: .seconds(5)) }
      // A partition that has just been made may have no leader yet, as its reader hears it.
      try eventually("the topic's leader") { (try? topic.forgotten()) == [] }
      try producer.beginTransaction()
      write([7], to: rows)
      write(record(producer.writtenPartitions).value, key: topic.key, to: positions)
      let places = ["\(rows.name)", topic.name].map { TopicPartition(topic: $0, partition: 0) }
      #expect(try topic.forgotten() == places.map { [$0] })
      #expect(
        try !producer.isDecided(places[1], before: 1, timeout: .seconds(10))
          && producer.isDecided(places[1], before: 0, timeout: .seconds(10)))
      try producer.commitTransaction(timeout: .seconds(10))
      try eventually("the mark") {
        try producer.isDecided(places[1], before: 1, timeout: .seconds(10))
      }
      #expect(try topic.forgotten() == [])
      // Somebody else's is not ours to end.
      try producer.beginTransaction()
      write([9], key: [9], to: positions)
      #expect(try topic.forgotten() == [])
      try producer.abortTransaction(timeout: .seconds(10))
    }

    /// A transaction of somebody else's that is open before the rows hides them: it is not torn.
    @Test func `Rows behind a transaction that is not decided are not torn`() throws {
      defer { producer.close(timeout: .seconds(5)) }
      var impatient = topic
      impatient.patience = .milliseconds(300)
      var configuration = KafkaConfiguration.producer(bootstrapServers: broker.bootstrap)
      configuration.writeInTransactions(as: "\(rows.name)-other", timeout: .seconds(15))
      let other = try Producer(configuration: configuration)
      defer { other.close(timeout: .seconds(5)) }
      try other.initTransactions(timeout: .seconds(30))
      try other.beginTransaction()
      let same = try other.topic(named: rows.name, timeout: .seconds(10))
      write([1], to: same, by: other)
      try producer.beginTransaction()
      write([7], to: rows)
      let whole = record(producer.writtenPartitions)
      write(whole.value, key: topic.key, to: positions)
      try producer.commitTransaction(timeout: .seconds(10))
      try expectUndecided(impatient)
      try other.abortTransaction(timeout: .seconds(10))
      try eventually("the position") { try topic.last() == whole }
    }

    private func expectUndecided(_ impatient: PositionTopic) throws {
      let error = #expect(throws: StreamerError.self) { try impatient.last() }
      #expect(error?.isRetryable == true && "\(error.map { "\($0)" } ?? "")".contains("neither"))
    }
  }
}
