import KafkaBridge
import Synchronization
import Testing

/// Looking for many topics, and for new ones.
@Suite(.serialized) struct TopicTests {
  /// How often metadata was asked for by us, and what happens at the third time.
  private final class Requests: Sendable {
    private let count = Atomic(0)
    private let atTheThird: @Sendable () -> Void

    init(atTheThird: @escaping @Sendable () -> Void = {}) { self.atTheThird = atTheThird }

    var number: Int { count.load(ordering: .relaxed) }

    /// librdkafka logs each request with its reason.
    func note(_ line: KafkaLogLine) {
      guard line.text.contains("application requested"), line.text.contains("Request metadata")
      else { return }
      if count.add(1, ordering: .relaxed).newValue == 3 { atTheThird() }
    }
  }

  private func producer(_ cluster: MockCluster, _ requests: Requests) throws -> Producer {
    var configuration = KafkaConfiguration.producer(bootstrapServers: cluster.bootstrapServers)
    configuration.set("debug", "metadata")
    configuration.log = { requests.note($0) }
    return try Producer(configuration: configuration)
  }

  /// Fault S15: one request for each of 3 000 topics.
  @Test func manyTopicsAreAskedForInOneRequest() throws {
    let cluster = try MockCluster()
    let names = (0..<300).map { "t\($0)" }
    for (number, name) in names.enumerated() {
      try cluster.createTopic(name, partitions: number % 3 + 1)
    }
    cluster.setTopicError("missing", code: 3)
    let requests = Requests()
    let producer = try producer(cluster, requests)
    let found = producer.topics(named: names + ["missing", "t7"], timeout: .seconds(10))
    #expect((1...2).contains(requests.number))
    #expect(found.count == 302)
    for (number, topic) in found.prefix(300).enumerated() {
      #expect(try topic.get().name == "t\(number)")
      #expect(try topic.get().partitionCount == number % 3 + 1)
    }
    let error = #expect(throws: KafkaError.self) { try found[300].get() }
    #expect(error?.category == .missingTopic && error?.topic == "missing")
    #expect(try found[301].get() === found[7].get())
    // What is known is not asked for again, and one that is new is asked for alone.
    #expect(try producer.topic(named: "t9", timeout: .seconds(5)) === found[9].get())
    #expect((1...2).contains(requests.number))
    #expect(producer.topics(named: [], timeout: .seconds(5)).isEmpty)
    try cluster.createTopic("new", partitions: 5)
    #expect(try producer.topic(named: "new", timeout: .seconds(5)).partitionCount == 5)
    #expect(requests.number == 2)
    producer.close(timeout: .seconds(5))
  }

  /// Faults A3 and B18: brokers learn of a new topic one after the other.
  @Test func topicThatIsUnknownForAMomentIsFound() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("late", partitions: 2)
    try cluster.createTopic("there", partitions: 1)
    cluster.setTopicError("late", code: 3)
    let requests = Requests { cluster.setTopicError("late", code: 0) }
    let producer = try producer(cluster, requests)
    let atOnce = producer.topics(named: ["late", "there"], timeout: .seconds(10))
    let error = #expect(throws: KafkaError.self) { try atOnce[0].get() }
    #expect(error?.category == .missingTopic)
    #expect(throws: Never.self) { try atOnce[1].get() }
    #expect((1...2).contains(requests.number))
    let found = producer.topics(
      named: ["late", "there"], timeout: .seconds(20), missingFor: .seconds(20))
    #expect(try found[0].get().partitionCount == 2)
    #expect(try found[1].get() === atOnce[1].get())
    #expect(requests.number >= 3)
    producer.close(timeout: .seconds(5))
  }

  /// A topic that is there is waited for, when its broker only says "not now".
  @Test(
    .enabled(
      if: KafkaVersion.number < 0x0203_0000 || KafkaVersion.number >= 0x020a_0000,
      "librdkafka 2.3 to 2.9 end on their own mock's answer, which no broker gives"))
  func temporaryRefusalIsAskedAgain() throws {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 2)
    cluster.setTopicError("orders", code: 5)  // LEADER_NOT_AVAILABLE
    let requests = Requests { cluster.setTopicError("orders", code: 0) }
    let producer = try producer(cluster, requests)
    #expect(try producer.topic(named: "orders", timeout: .seconds(20)).partitionCount == 2)
    #expect(requests.number >= 3)
    producer.close(timeout: .seconds(5))
  }
}
