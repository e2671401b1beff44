import KafkaBridge
import Testing

/// What a running producer says about brokers that do not take its records (fault B25).
@Suite(.serialized) struct TroubleTests {
  private let cluster: MockCluster

  init() throws {
    cluster = try MockCluster(brokers: 2)
    try cluster.createTopic("orders", partitions: 2, replicationFactor: 2)
  }

  private func started() throws -> (Producer, Workload) {
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    for partition in 0..<2 as Range<Int32> {
      try cluster.setLeader(topic: "orders", partition: partition, broker: Int(partition) + 1)
    }
    var work = Workload(topic: try producer.topic(named: "orders", timeout: .seconds(5)))
    work.produce(40, on: producer)
    work.awaitReports(40, from: producer)
    #expect(work.isExact)
    return (producer, work)
  }

  /// The error names the broker; that all are down says less and does not take its place.
  @Test func unreachableLeadersAreNamed() throws {
    var (producer, work) = try started()
    _ = producer.takeError()
    try cluster.setBrokerDown(1)
    try cluster.setBrokerDown(2)
    work.produce(40, on: producer)
    var errors: [KafkaError] = []
    let end = ContinuousClock.now + .seconds(20)
    // Some versions say first that all are down, and then why.
    while !errors.contains(where: { $0.name == "_TRANSPORT" }), ContinuousClock.now < end {
      awaitReadable(producer.eventDescriptor)
      work.poll(producer)
      if let error = producer.takeError() { errors.append(error) }
    }
    let last = try #require(errors.last)
    #expect(last.category == .unreachable)
    #expect(last.description.contains("127.0.0.1:"))
    producer.close(timeout: .seconds(5))
  }

  /// A refusal for good comes with the record, in the broker's own code.
  @Test func deniedTopicIsReportedWithTheBrokersCode() throws {
    var (producer, work) = try started()
    cluster.pushErrors(.produce, [29, 29])
    work.produce(40, on: producer)
    work.awaitReports(80, from: producer)
    let codes = Set(work.reports.compactMap { $0.error?.name })
    #expect(codes.contains("TOPIC_AUTHORIZATION_FAILED"), "\(codes)")
    #expect(producer.fatalError?.description.contains("Topic authorization failed") == true)
    producer.close(timeout: .seconds(5))
  }

  /// What librdkafka tries again for ever is told with the broker's own code, and when it is over.
  @Test(arguments: [(19, "NOT_ENOUGH_REPLICAS"), (56, "KAFKA_STORAGE_ERROR")])
  func refusalThatIsTriedAgainIsTold(code: Int32, name: String) throws {
    var (producer, work) = try started()
    #expect(producer.refusal == nil)
    cluster.pushErrors(.produce, [Int32](repeating: code, count: 10_000))
    work.produce(1, on: producer)
    var end = ContinuousClock.now + .seconds(20)
    while producer.refusal == nil, ContinuousClock.now < end {
      awaitReadable(producer.eventDescriptor)
      work.poll(producer)
    }
    let refusal = try #require(producer.refusal)
    #expect(refusal.name == name)
    #expect(refusal.description.contains("topic orders ["))
    cluster.clearErrors(.produce)
    work.awaitReports(41, from: producer)
    #expect(work.isExact)
    end = ContinuousClock.now + .seconds(20)
    while producer.refusal != nil, ContinuousClock.now < end {
      awaitReadable(producer.eventDescriptor)
    }
    #expect(producer.refusal == nil)
    producer.close(timeout: .seconds(5))
  }

  /// Fault B24: the address that a broker advertises and that leads nowhere is named.
  @Test(
    .enabled(
      if: KafkaVersion.number < 0x020a_0000,
      "the mock cluster of newer versions does not name a broker that is down"))
  func unreachableBrokerIsNamed() throws {
    let producer = try Producer(
      configuration: .producer(bootstrapServers: cluster.bootstrapServers))
    try producer.checkConnection(timeout: .seconds(5))
    #expect(try producer.unreachableBrokers(timeout: .seconds(5)).isEmpty)
    try cluster.setBrokerDown(2)
    // A question that goes to the one that is down is lost: it is asked again.
    var errors: [KafkaError] = []
    for attempt in 1...4 where errors.isEmpty {
      do { errors = try producer.unreachableBrokers(timeout: .seconds(20)) } catch {
        if attempt == 4 { throw error }
      }
    }
    #expect(errors.count == 1)
    let error = errors.first
    #expect(error?.text.contains("broker 2 advertises 127.0.0.1:") == true)
    #expect(error?.text.contains("Connection refused") == true)
    #expect(error?.remedy?.contains("advertised.listeners") == true)
    #expect(error?.category == .unreachable)
    producer.close(timeout: .seconds(5))
  }
}
