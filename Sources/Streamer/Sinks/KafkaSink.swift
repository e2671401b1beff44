import KafkaBridge
import PGWire

/// Produces to Kafka: idempotent, in order per key, acknowledged by all in-sync replicas.
final class KafkaSink: Sink {
  private let name: String
  private let configuration: KafkaSinkConfiguration
  private let log: Log
  private let startTimeout: Duration
  private var producer: Producer?
  // Written by `prepare` on the I/O worker while the pipeline waits for its answer, read by `send`.
  private var topics: [Topic] = []
  private var failure: StreamerError?
  /// What librdkafka reported since something was delivered.
  private(set) var trouble: StreamerError?
  private var receipts: [DeliveryReceipt] = []

  /// Makes a sink that is not connected; `startTimeout` bounds one attempt to connect.
  init(
    name: String, _ configuration: KafkaSinkConfiguration, startTimeout: Duration, log: Log
  ) {
    self.startTimeout = startTimeout
    self.name = name
    self.configuration = configuration
    self.log = log
  }

  var eventDescriptor: CInt? { producer?.eventDescriptor }

  var maximumRecordBytes: Int {
    // librdkafka counts its own overhead of a record as well.
    (producer?.maximumMessageBytes ?? .max) - Limits.recordOverheadBytes
  }

  var queueLength: Int { producer?.queueLength ?? 0 }

  // MARK: - On the I/O worker

  func open() throws(StreamerError) {
    guard producer == nil else { return }
    let properties = KafkaProperties.producer(configuration, log: log)
    do throws(KafkaError) {
      let producer = try Producer(configuration: properties)
      do throws(KafkaError) {
        try producer.checkConnection(timeout: startTimeout)
      } catch {
        producer.close(timeout: .zero)
        throw error
      }
      self.producer = producer
    } catch { throw StreamerError(error, sink: name) }
    for topic in configuration.namedTopics { _ = try prepare(topic: topic) }
  }

  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    names.map { name in
      Result { () throws(StreamerError) in try prepareOne(name) }
    }
  }

  private func prepareOne(_ topic: String) throws(StreamerError) -> TopicID {
    if let known = topics.firstIndex(where: { $0.name == topic }) { return TopicID(known) }
    guard let producer else { preconditionFailure("a topic is prepared before the sink is open") }
    do throws(KafkaError) {
      topics.append(try existing(topic, producer))
      return TopicID(topics.count - 1)
    } catch { throw StreamerError(error, sink: name) }
  }

  private func existing(_ topic: String, _ producer: Producer) throws(KafkaError) -> Topic {
    do throws(KafkaError) {
      return try producer.topic(named: topic, timeout: Limits.kafkaRequest)
    } catch  where error.category == .missingTopic && configuration.createTopics == .create {
      let admin = try Admin(configuration: KafkaProperties.admin(configuration, log: log))
      let new = configuration.newTopics
      try admin.createTopic(
        topic, partitions: new.partitions, replicationFactor: new.replication,
        config: new.config.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) },
        timeout: Limits.kafkaStart)
      log.info("created a topic", ["topic": topic])
      return try producer.topic(named: topic, timeout: Limits.kafkaRequest)
    }
  }

  func close(within timeout: Duration) {
    topics = []
    if let producer { producer.close(timeout: timeout) }
    producer = nil
  }

  // MARK: - On the pipeline's thread

  func send(_ batch: borrowing RecordBatch) {
    guard let producer else { preconditionFailure("records are sent to a sink that is not open") }
    for entry in batch.entries {
      let topic = topics[Int(entry.topic)]
      let partition = Int32(Int(entry.partitionHash & 0x7FFF_FFFF) % topic.partitionCount)
      // SAFETY: the batch's bytes stand still until flushBatches has copied them.
      unsafe batch.withParts(of: entry) { key, value in
        let opaque = UInt(entry.ticket)
        if entry.headers.isEmpty {
          unsafe producer.enqueue(
            topic: topic, partition: partition, key: key, value: value, opaque: opaque)
        } else {
          unsafe producer.produce(
            topic: topic, partition: partition, key: key, value: value,
            headers: Array(batch.headers[entry.headers]), opaque: opaque)
        }
      }
    }
    for report in producer.flushBatches().failed { fail(report) }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    guard let producer else { return }
    producer.poll { delivery in
      if delivery.error == nil {
        trouble = nil
        report(
          DeliveryReceipt(
            ticket: UInt64(delivery.opaque), count: 1, bytes: delivery.byteCount))
      } else {
        fail(delivery)
      }
    }
    if let error = producer.takeError() { trouble = StreamerError(error, sink: name) }
    if let fatal = producer.fatalError, failure == nil {
      failure = StreamerError(fatal, sink: name)
    }
    if let failure { throw failure }
  }

  private func fail(_ report: DeliveryReport) {
    guard failure == nil, let error = report.error else { return }
    failure = StreamerError(error, sink: name)
  }
}
