import KafkaBridge

/// Produces to Kafka: idempotent, in order per key, acknowledged by all in-sync replicas.
final class KafkaSink: Sink {
  private let writer: KafkaWriter
  private let namedTopics: [String]
  private let usesNewPartitions: Bool
  private var lastLook = ContinuousClock.now
  private var failure: StreamerError?

  /// Makes a sink that is not connected; `topics` must be there, and `startTimeout` bounds one
  /// attempt to connect.
  ///
  /// Its producer is one of the `pool`.
  init(
    name: String, _ configuration: KafkaSinkConfiguration, topics: [String],
    pool: ProducerPool = ProducerPool(), startTimeout: Duration, log: Log
  ) {
    let creates = configuration.createTopics == .create
    writer = KafkaWriter(
      name: name, properties: KafkaProperties.producer(configuration, log: log), pool: pool,
      creating: creates ? configuration.newTopics : nil, startTimeout: startTimeout, log: log
    ) { error, isDelivery in
      StreamerError(error, sink: name, isDelivery: isDelivery, createsTopics: creates)
    }
    namedTopics = topics
    usesNewPartitions = configuration.onPartitionsChanged == .use
  }

  var eventDescriptor: CInt? { writer.eventDescriptor }
  var trouble: StreamerError? { writer.trouble }
  var maximumRecordBytes: Int { writer.maximumRecordBytes }
  var queueLength: Int { writer.queueLength }
  func topic(_ number: TopicID) -> SinkTopic { writer.description(of: number) }

  func open() throws(StreamerError) { try writer.open(topics: namedTopics) }

  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    writer.prepare(topics: names)
  }

  var takesMore: Bool { writer.takesMore }

  func send(_ batch: borrowing RecordBatch) { writer.send(batch) }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    try writer.poll(report)
    if let failure {
      writer.giveUp()
      throw failure
    }
  }

  /// Now and then the topics are looked at; nothing that is written waits for it.
  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    let now = ContinuousClock.now
    guard now >= lastLook + writer.pauseOfLooks else { return nil }
    lastLook = now
    return { [writer, usesNewPartitions] in
      writer.lookAtPartitions(usingNew: usesNewPartitions)
    }
  }

  // A fresh producer spreads keys over all partitions there are.
  func durabilityJobEnded(_ error: StreamerError?) { if failure == nil { failure = error } }

  func close(within timeout: Duration) { writer.close(within: timeout) }
}
