import KafkaBridge
import PGWire

/// Produces records that were no events to the `deadLetterTopic` of their own cluster: key, value and
/// headers as they were.
final class KafkaDeadLetterSink: Sink {
  private let name: String
  private let properties: KafkaConfiguration
  private let topicName: String
  private let startTimeout: Duration
  private var producer: Producer?
  private var topic: Topic?
  private var failure: StreamerError?

  /// Makes a sink of the source `name` that is not connected.
  init(
    name: String, _ source: KafkaSourceConfiguration, topic: String, startTimeout: Duration,
    log: Log
  ) {
    self.name = name
    properties = KafkaProperties.deadLetters(source, log: log)
    topicName = topic
    self.startTimeout = startTimeout
  }

  var eventDescriptor: CInt? { producer?.eventDescriptor }

  var maximumRecordBytes: Int {
    (producer?.maximumMessageBytes ?? .max) - Limits.recordOverheadBytes
  }

  var queueLength: Int { producer?.queueLength ?? 0 }

  func open() throws(StreamerError) {
    guard producer == nil else { return }
    do throws(KafkaError) {
      let producer = try Producer(configuration: properties)
      do throws(KafkaError) {
        try producer.checkConnection(timeout: startTimeout)
        topic = try producer.topic(named: topicName, timeout: Limits.kafkaRequest)
      } catch {
        producer.close(timeout: .zero)
        throw error
      }
      self.producer = producer
    } catch { throw StreamerError(error, kafkaSource: name) }
  }

  func send(_ batch: borrowing RecordBatch) {
    guard let producer, let topic else {
      preconditionFailure("records are sent to a sink that is not open")
    }
    for entry in batch.entries {
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
        report(
          DeliveryReceipt(
            ticket: UInt64(delivery.opaque), count: 1, bytes: delivery.byteCount))
      } else {
        fail(delivery)
      }
    }
    if let fatal = producer.fatalError, failure == nil {
      failure = StreamerError(fatal, kafkaSource: name)
    }
    if let failure { throw failure }
  }

  private func fail(_ report: DeliveryReport) {
    guard failure == nil, let error = report.error else { return }
    failure = StreamerError(error, kafkaSource: name)
  }

  func close(within timeout: Duration) {
    topic = nil
    if let producer { producer.close(timeout: timeout) }
    producer = nil
  }
}
