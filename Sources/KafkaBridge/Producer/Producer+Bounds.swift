import CRdKafka
import Synchronization

// Topics that take less than the producer's batches, and records that may be too large.
//
// The broker refuses a batch that is too large, and all that is under way behind it would still be
// taken: later versions of a row before an earlier one. So of such a topic no more is under way at
// once than fits into one batch, and a record that alone may be too large goes alone.
extension Producer {
  /// Whether the records of a partition may go as they come.
  func mayFlow(_ topic: Topic, _ partition: Int) -> Bool {
    topic.batches[partition].standing == .known && !topic.isNarrow
      && !topic.batches[partition].hasLarge && topic.batches[partition].underWay.count == 0
  }

  /// Whether a record of that size may follow what is under way.
  func hasRoom(_ size: Int, _ topic: Topic, _ partition: Int) -> Bool {
    let underWay = topic.batches[partition].underWay
    return underWay.count == 0 || (topic.isNarrow && underWay.bytes + size <= topic.window)
  }

  /// A record was handed over: what follows it may have to wait.
  func count(_ size: Int, _ topic: Topic, _ partition: Int) {
    guard topic.isNarrow || size > topic.window else { return }
    if topic.batches[partition].underWay.count == 0 { bounded.append((topic, partition)) }
    topic.batches[partition].underWay.count += 1
    topic.batches[partition].underWay.bytes += size
  }

  /// A report came: once all that was under way is known, the next batch may go.
  func arrived(_ message: UnsafePointer<rd_kafka_message_t>) {
    // SAFETY: handles are compared, not used.
    let place = bounded.firstIndex {
      unsafe $0.topic.handle == message.pointee.rkt
        && $0.partition == Int(message.pointee.partition)
    }
    guard let place else { return }
    let (topic, partition) = bounded[place]
    topic.batches[partition].underWay.count -= 1
    guard topic.batches[partition].underWay.count == 0 else { return }
    topic.batches[partition].underWay.bytes = 0
    bounded.swapAt(place, bounded.count - 1)
    bounded.removeLast()
  }

  /// The report of a record that the topic does not take.
  ///
  /// One that is smaller than the topic's limit as we know it shows that the limit has changed: a
  /// fresh producer learns it, so the failure may be tried again.
  func tooLarge(_ message: UnsafePointer<rd_kafka_message_t>) -> DeliveryReport {
    var report = unsafe DeliveryReport(message)
    let topic = topics.withLock { $0[report.error?.topic ?? ""] }
    guard let topic else { return report }
    report.error = .tooLarge(
      topic: topic.name, bytes: report.byteCount, limit: topic.maximumBatchBytes,
      mayHaveChanged: report.byteCount + Topic.recordOverhead <= topic.window)
    return report
  }
}

extension KafkaError {
  /// A record that is larger than its topic takes.
  static func tooLarge(
    topic: String, bytes: Int, limit: Int?, mayHaveChanged: Bool
  ) -> KafkaError {
    let takes = limit.map { "the topic takes batches of \($0) bytes at most" }
    return KafkaError(
      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
      text: "the broker refuses a record of \(bytes) bytes"
        + (takes.map { ", \($0) (max.message.bytes)" } ?? ""),
      operation: "produce to topic \(topic)", topic: topic,
      remedy: "raise max.message.bytes of topic \(topic), or leave the table out",
      isRetriable: mayHaveChanged)
  }
}
