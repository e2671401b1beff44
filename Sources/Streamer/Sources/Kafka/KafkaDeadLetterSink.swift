import KafkaBridge

/// Produces records that were no events to the `deadLetterTopic` of their own cluster, as they were: key, value and
/// headers.
final class KafkaDeadLetterSink: Sink {
  private let writer: KafkaWriter
  private let topicName: String

  /// Makes a sink of the source `name` that is not connected.
  init(
    name: String, _ source: KafkaSourceConfiguration, topic: String, startTimeout: Duration,
    log: Log
  ) {
    writer = KafkaWriter(
      name: name, properties: KafkaProperties.deadLetters(source, log: log),
      startTimeout: startTimeout, log: log
    ) { error, _ in
      StreamerError(error, kafkaSource: name)
    }
    topicName = topic
  }

  var eventDescriptor: CInt? { writer.eventDescriptor }
  var trouble: StreamerError? { writer.trouble }
  var maximumRecordBytes: Int { writer.maximumRecordBytes }
  var queueLength: Int { writer.queueLength }

  func open() throws(StreamerError) { try writer.open(topics: [topicName]) }

  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    writer.prepare(topics: names)
  }

  var takesMore: Bool { writer.takesMore }

  func send(_ batch: borrowing RecordBatch) { writer.send(batch) }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) { try writer.poll(report) }

  func close(within timeout: Duration) { writer.close(within: timeout) }
}
