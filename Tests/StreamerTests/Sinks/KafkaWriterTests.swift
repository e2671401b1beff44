import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// What the sinks that produce to Kafka share, on librdkafka's mock cluster.
@Suite(.serialized) struct KafkaWriterTests {
  private let cluster: MockCluster

  init() throws {
    cluster = try MockCluster()
    try cluster.createTopic("a", partitions: 3)
    try cluster.createTopic("b", partitions: 1)
  }

  private func writer(
    _ name: String = "s", of pool: ProducerPool = ProducerPool(), lingering: String? = nil
  ) -> KafkaWriter {
    var properties = KafkaConfiguration.producer(bootstrapServers: cluster.bootstrapServers)
    if let lingering { properties.set("linger.ms", lingering) }
    return KafkaWriter(
      name: name, properties: properties, pool: pool, startTimeout: .seconds(10),
      log: Log(level: .error)
    ) { error, isDelivery in StreamerError(error, sink: name, isDelivery: isDelivery) }
  }

  private func deliver(_ batch: borrowing RecordBatch, by writer: KafkaWriter) throws
    -> [DeliveryReceipt]
  {
    writer.send(batch)
    return try receipts(of: batch, by: writer)
  }

  private func receipts(of batch: borrowing RecordBatch, by writer: KafkaWriter) throws
    -> [DeliveryReceipt]
  {
    var receipts: [DeliveryReceipt] = []
    let count = batch.entries.count
    try eventually {
      try writer.poll { receipts.append($0) }
      return receipts.reduce(0) { $0 + $1.count } >= count
    }
    return receipts
  }

  private func batch(
    _ records: [(key: String?, value: String?, topic: TopicID)], strand: Int = 0
  ) -> RecordBatch {
    var batch = RecordBatch()
    for (number, record) in records.enumerated() {
      var key: Range<Int>?
      if let text = record.key {
        let start = batch.bytes.count
        batch.bytes.append(string: text)
        key = start..<batch.bytes.count
      }
      var value: Range<Int>?
      if let text = record.value {
        let start = batch.bytes.count
        batch.bytes.append(string: text)
        value = start..<batch.bytes.count
      }
      batch.add(
        key: key, value: value, route: Route(topic: record.topic, table: "t\(number)"),
        ticket: StrandTicket.make(strand: strand, number: UInt64(number / 4)))
    }
    return batch
  }

  /// Each record as "partition length-of-value value", -1 for null.
  private func read(_ topic: String) throws -> [String] {
    let text = try Subprocess.check(
      "kcat",
      [
        "-C", "-q", "-e", "-b", cluster.bootstrapServers, "-t", topic, "-o", "beginning",
        "-f", "%p %S %s\n",
      ])
    return text.split(separator: "\n").map(String.init)
  }

  @Test func topicsHaveOneNumberEach() throws {
    cluster.setTopicError("missing", code: 3)
    let writer = writer()
    try writer.open(topics: ["b"])
    let numbers = writer.prepare(topics: ["a", "b", "missing", "a"])
    #expect(try numbers[1].get() == 0)
    #expect(try numbers[0].get() == 1)
    #expect(try numbers[3].get() == 1)
    let error = #expect(throws: StreamerError.self) { try numbers[2].get() }
    #expect(error?.isRetryable == false && error?.why.contains("missing") == true)
    writer.close(within: .seconds(5))
    // Everything begins anew.
    try writer.open(topics: ["a"])
    #expect(try writer.prepare(topics: ["a"])[0].get() == 0)
    writer.close(within: .zero)
  }

  /// A topic that is named and missing stands in the way of each start, not only of the first.
  @Test func missingTopicFailsEveryOpening() throws {
    cluster.setTopicError("missing", code: 3)
    let writer = writer()
    for _ in 0..<2 {
      #expect(throws: StreamerError.self) { try writer.open(topics: ["a", "missing"]) }
    }
    writer.close(within: .seconds(5))
  }

  @Test func receiptsCountWhatATransactionHas() throws {
    let writer = writer()
    try writer.open(topics: ["a", "b"])
    let records = (0..<40).map { number in
      (key: number % 3 == 0 ? nil : "k\(number)", value: "v\(number)", topic: TopicID(number % 2))
    }
    let receipts = try deliver(batch(records), by: writer)
    var counts: [UInt64: (count: Int, bytes: Int)] = [:]
    for receipt in receipts {
      counts[receipt.ticket, default: (0, 0)].count += receipt.count
      counts[receipt.ticket, default: (0, 0)].bytes += receipt.bytes
    }
    #expect(counts.count == 10 && counts.values.allSatisfy { $0.count == 4 })
    let bytes = records.reduce(0) { $0 + ($1.key?.utf8.count ?? 0) + $1.value.utf8.count }
    #expect(counts.values.reduce(0) { $0 + $1.bytes } == bytes)
    writer.close(within: .seconds(5))
    for (topic, partitions) in [("a", 3), ("b", 1)] {
      let number = topic == "a" ? 0 : 1
      let read = try read(topic)
      #expect(read.count == 20)
      for (index, record) in records.enumerated() where index % 2 == number {
        let name = Array((record.key ?? "t\(index)").utf8)
        let hash = unsafe Murmur2.hash(name.span.bytes)
        let partition = KafkaWriter.partition(hash, of: partitions)
        #expect((0..<Int32(partitions)).contains(partition))
        #expect(read.contains("\(partition) \(record.value.utf8.count) \(record.value)"))
      }
    }
  }

  /// Fault S24: an empty value stays empty, and null stays null.
  @Test func emptyIsNotNull() throws {
    let writer = writer()
    try writer.open(topics: ["b"])
    _ = try deliver(batch([("k", "", 0), ("n", nil, 0), (nil, "v", 0)]), by: writer)
    writer.close(within: .seconds(5))
    #expect(try read("b") == ["0 0 ", "0 -1 ", "0 1 v"])
  }

  /// Fault A4: sinks of a source that are alike share a producer, and each has its own receipts,
  /// whoever polls first.
  @Test func sinksThatAreAlikeShareAProducer() throws {
    let pool = ProducerPool()
    let writers = [writer("x", of: pool), writer("y", of: pool)]
    let other = writer("z", of: pool, lingering: "7")
    for writer in writers + [other] { try writer.open(topics: ["a", "b"]) }
    #expect(writers[0].producer === writers[1].producer)
    #expect(writers[0].producer !== other.producer)
    #expect(writers[0].eventDescriptor != writers[1].eventDescriptor)
    // Their tickets are the same but for the strand.
    let first = batch((0..<40).map { ("k\($0)", "x\($0)", 0) })
    let second = batch((0..<24).map { ("k\($0)", "y\($0)", 1) }, strand: 9)
    writers[0].send(first)
    writers[1].send(second)
    var tickets = Set(try receipts(of: second, by: writers[1]).map(\.ticket))
    #expect(tickets == Set(second.entries.map(\.ticket)))
    tickets = Set(try receipts(of: first, by: writers[0]).map(\.ticket))
    #expect(tickets == Set(first.entries.map(\.ticket)))
    // Who stays goes on with it.
    writers[0].close(within: .seconds(5))
    _ = try deliver(second, by: writers[1])
    writers[1].close(within: .seconds(5))
    other.close(within: .seconds(5))
    #expect(try read("a").count == 40 && read("b").count == 48)
  }

  /// None goes on with a producer that has failed for another, and who comes after gets a new one.
  @Test func sinksThatShareAProducerFailTogether() throws {
    let pool = ProducerPool()
    let writers = [writer("x", of: pool), writer("y", of: pool)]
    for writer in writers { try writer.open(topics: ["a", "b"]) }
    cluster.pushErrors(.produce, [10])
    writers[1].send(batch([("k", "refused", 0)]))
    var own: StreamerError?
    try eventually {
      do throws(StreamerError) { try writers[1].poll { _ in } } catch { own = error }
      return own != nil
    }
    #expect(own?.what == "sink y" && own?.why.contains("shares") == false)
    let shared = #expect(throws: StreamerError.self) { try writers[0].poll { _ in } }
    #expect(shared?.isRetryable == true)
    #expect(shared?.why == "the Kafka producer that it shares with sink y has failed")
    let next = writer("x", of: pool)
    try next.open(topics: ["a"])
    #expect(next.producer !== writers[0].producer)
    for writer in writers { writer.close(within: .seconds(5)) }
    _ = try deliver(batch([("k", "later", 0)]), by: next)
    next.close(within: .seconds(5))
    #expect(try read("a").map { $0.hasSuffix("later") } == [true])
  }

  /// A sink that has nothing to deliver is not in trouble for ever after an outage: the cluster is
  /// asked, and its answer counts.
  @Test func anOutageEndsWithoutARecord() throws {
    let writer = writer()
    try writer.open(topics: ["a"])
    _ = try deliver(batch([("k", "v", 0)]), by: writer)
    try cluster.setBrokerDown(1)
    try eventually("trouble") {
      try writer.poll { _ in }
      return writer.trouble != nil
    }
    #expect(writer.lookAtPartitions(usingNew: false) == nil)
    try writer.poll { _ in }
    #expect(writer.trouble != nil, "nobody has answered")
    try cluster.setBrokerUp(1)
    try eventually("the end of the trouble") {
      _ = writer.lookAtPartitions(usingNew: false)
      try writer.poll { _ in }
      return writer.trouble == nil
    }
    writer.close(within: .seconds(5))
  }

  /// A topic that was there when it was prepared is looked for again by a fresh producer.
  @Test func recordOfATopicThatIsGoneMayBeTriedAgain() throws {
    let error = StreamerError(Self.missing(on: cluster), sink: "s", isDelivery: true)
    #expect(error.isRetryable)
    #expect(!StreamerError(Self.missing(on: cluster), sink: "s").isRetryable)
  }

  private static func missing(on cluster: MockCluster) -> KafkaError {
    cluster.setTopicError("missing", code: 3)
    do throws(KafkaError) {
      let admin = try Admin(configuration: .admin(bootstrapServers: cluster.bootstrapServers))
      defer { admin.close(timeout: .seconds(5)) }
      _ = try admin.describeTopic("missing", timeout: .seconds(5))
      preconditionFailure("the topic is missing")
    } catch { return error }
  }
}
