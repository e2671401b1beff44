import CRdKafka
import Synchronization

extension Producer {
  /// What ``close(timeout:_:)`` left behind.
  public struct Closing: Sendable {
    /// How many records never got a report; they may or may not have been delivered.
    public let unreported: Int
    /// Whether the instance ended in time; if not, its threads end on their own.
    public let isDestroyed: Bool
  }

  /// Delivers what was handed over until `timeout`, gives the rest up, and ends the instance.
  ///
  /// Every report goes to `body`, those of given-up records with the error `_PURGE_QUEUE` or
  /// `_PURGE_INFLIGHT`. Records that were enqueued but not flushed are dropped without a report:
  /// their bytes may be gone. It returns at most two seconds after `timeout`.
  @discardableResult
  public func close(
    timeout: Duration, _ body: (DeliveryReport) -> Void = { _ in }
  ) -> Closing {
    precondition(wakeUp != nil, "a producer is closed once")
    for (topic, partition) in work {
      unsafe topic.batches[partition].messages.removeAll()
    }
    let deadline = Deadline(timeout)
    repeat {
      for report in flushBatches().failed { body(report) }
      if inLibrary == 0 && heldCount == 0 { break }
      _ = drain(waiting: deadline.milliseconds(atMost: 100), body)
    } while !deadline.isPast && fatalError == nil
    let grace = Deadline(Producer.closingGrace)
    if inLibrary > 0 || heldCount > 0 { giveUp(until: grace, body) }
    topics.withLock { topics in
      for topic in topics.values {
        topic.batches.removeAll()
        unsafe rd_kafka_topic_destroy(topic.handle)
      }
      topics.removeAll()
    }
    work.removeAll()
    wakeUp = nil
    let left = grace.milliseconds()
    return Closing(
      unreported: inLibrary,
      isDestroyed: handle.destroy(within: .milliseconds(Int64(left))))
  }

  // Purging waits for broker threads unless told not to, and one may hang in a name look-up.
  private func giveUp(until grace: Deadline, _ body: (DeliveryReport) -> Void) {
    for (topic, partition) in work {
      for record in topic.batches[partition].held {
        refuse(
          RD_KAFKA_RESP_ERR__PURGE_QUEUE, topic, partition, opaque: record.opaque,
          byteCount: record.byteCount)
      }
      topic.batches[partition].held.removeAll()
    }
    heldCount = 0
    for report in refused { body(report) }
    refused.removeAll()
    unsafe rd_kafka_purge(
      handle.client,
      RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    while inLibrary > 0, !grace.isPast {
      _ = drain(waiting: grace.milliseconds(atMost: 100), body)
    }
  }
}
