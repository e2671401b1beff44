import KafkaBridge
import PGWire
import Support
import Synchronization
import Testing

@testable import Streamer

/// A pipeline that reads a mock cluster's topic "events" on a thread of its own.
final class KafkaSourceHarness: Sendable {
  let pipeline: Driver<KafkaSource>
  let status: SourceStatus
  private let result = Mutex<[StreamerError?]>([])

  /// Makes and starts the pipeline; `lines` go into the source's table.
  init(
    _ cluster: MockCluster, sinks: [SinkPlan], lines: [String] = [],
    inFlight: Int = 16 << 20, shutdownTimeout: Duration = .seconds(20)
  ) throws {
    let source = try Self.source(cluster, lines)
    status = SourceStatus(name: "k", type: "kafka")
    let plan = DriverPlan(
      name: "k", sinks: sinks, inFlight: inFlight,
      spool: Spool.Settings(directory: "/nowhere", memory: 0),
      rules: PipelineMachine.Rules(
        startTimeout: .seconds(10), shutdownTimeout: shutdownTimeout,
        longestPause: .milliseconds(100)))
    let observer = PipelineObserver(
      source: status, sinks: sinks.map { SinkStatus(name: $0.name, type: "stub_discard") },
      metrics: Metrics())
    let log = Log(level: .error)
    pipeline = try Driver(
      KafkaSource(plan, source, observer: observer, log: log), plan, observer: observer, log: log)
    let thread = try PosixThread(name: "pipeline") { [self] in
      let error = pipeline.run()
      result.withLock { $0.append(error) }
    }
    _ = consume thread
  }

  /// The source's table, read as the program reads it.
  private static func source(
    _ cluster: MockCluster, _ lines: [String]
  ) throws -> KafkaSourceConfiguration {
    let configuration = try ConfigurationFixture.parse(
      """
      [source.k]
      type = "kafka"
      hosts = ["\(cluster.bootstrapServers)"]
      topics = ["events"]
      groupID = "g"
      \(lines.joined(separator: "\n"))
      librdkafka = { "session.timeout.ms" = 6000 }
      [sink.s]
      type = "stub_discard"
      sources = ["k"]
      """)
    guard case .kafka(let source)? = configuration.sources.first?.kind else {
      throw SupportError("the source is none of Kafka")
    }
    return source
  }

  /// Waits for the end and gives its error.
  func join() throws -> StreamerError? {
    try eventually(within: .seconds(60), "the end of the pipeline") {
      result.withLock { !$0.isEmpty }
    }
    return result.withLock { $0.first } ?? nil
  }

  /// Asks it to stop and waits.
  func stop() throws -> StreamerError? {
    pipeline.requestStop()
    return try join()
  }

  /// A sink that follows a script; every table has the topic of its own name.
  static func sink(_ script: SinkScript, name: String = "s") -> SinkPlan {
    SinkPlan(
      name: name, setup: LaneSetup(routing: TopicRouting(template: "{database}.{schema}.{table}"))
    ) { _, _ in ScriptedSink(script) }
  }
}

extension MockCluster {
  /// A record to produce.
  struct TestRecord {
    let key: String?
    let value: String
  }

  /// An event number `number` of a key; `padding` makes it longer.
  static func event(_ number: Int, keys: Int = 10, padding: Int = 0) -> TestRecord {
    let filler = String(repeating: "x", count: padding)
    return TestRecord(
      key: "k\(number % keys)",
      value:
        #"{"Database":"d","Table":"t","Action":"insert","Columns":{"id":\#(number),"f":"\#(filler)"},"Schema":"s"}"#
    )
  }

  /// Produces records, each to the partition of its key, those without one to partition 0.
  func produce(_ records: [TestRecord], to name: String = "events") throws {
    let producer = try Producer(configuration: .producer(bootstrapServers: bootstrapServers))
    let topic = try producer.topic(named: name, timeout: .seconds(5))
    for record in records {
      let key = record.key.map { Array($0.utf8) }
      let value = Array(record.value.utf8)
      unsafe value.withUnsafeBytes { value in
        func hand(_ key: UnsafeRawBufferPointer?) {
          let partition =
            unsafe key.map {
              unsafe Murmur2.partition(of: $0, partitionCount: topic.partitionCount)
            } ?? 0
          unsafe producer.produce(
            topic: topic, partition: partition, key: key, value: value, headers: [], opaque: 0)
        }
        if let key { unsafe key.withUnsafeBytes { unsafe hand($0) } } else { hand(nil) }
      }
      producer.poll { _ in }
    }
    let isDelivered = producer.deliver(within: .seconds(20))
    producer.close(timeout: .seconds(1))
    try #require(isDelivered)
  }

  /// What the group has committed, by partition of a topic.
  func committed(_ topic: String = "events", partitions: Int) throws -> [Int32: Int64] {
    let consumer = try Consumer(
      configuration: .consumer(bootstrapServers: bootstrapServers, group: "g"))
    defer { consumer.close(timeout: .seconds(1)) }
    let places = try consumer.committed(
      (0..<partitions).map { TopicPartition(topic: topic, partition: Int32($0)) },
      timeout: .seconds(10))
    return Dictionary(uniqueKeysWithValues: places.map { ($0.partition.partition, $0.offset) })
  }

  /// Everything in a topic.
  func records(of topic: String, count: Int) throws -> [TestRecord] {
    var configuration = KafkaConfiguration.consumer(
      bootstrapServers: bootstrapServers, group: "reader-\(topic)")
    configuration.set("session.timeout.ms", "6000")
    let consumer = try Consumer(configuration: configuration)
    defer { consumer.close(timeout: .seconds(2)) }
    try consumer.subscribe([topic])
    var records: [TestRecord] = []
    func text(_ part: RawSpan?) -> String? {
      guard let part else { return nil }
      return part.text
    }
    try eventually(within: .seconds(40), "\(count) records in \(topic)") {
      let outcome = consumer.poll { record in
        records.append(TestRecord(key: text(record.key), value: text(record.value) ?? "null"))
      }
      if case .assigned(let partitions)? = outcome.event { try consumer.assign(partitions) }
      return records.count >= count
    }
    return records
  }
}
