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

  /// Delivers what was handed over, waiting at most `timeout`, and reports it to `body`.
  ///
  /// Returns whether nothing is left. It ends early when the producer fails.
  @discardableResult
  public func deliver(
    within timeout: Duration, _ body: (DeliveryReport) -> Void = { _ in }
  ) -> Bool {
    let deadline = Deadline(timeout)
    while true {
      for report in flushBatches().failed { body(report) }
      if inLibrary == 0 && heldCount == 0 { return true }
      guard !deadline.isPast, fatalError == nil else { return false }
      _ = drain(waiting: deadline.milliseconds(atMost: 100), body)
    }
  }

  /// Gives up what is not delivered and ends the instance, all within `timeout`.
  ///
  /// Nothing more is sent: whoever wants the rest delivered calls ``deliver(within:_:)`` before. Each
  /// report goes to `body`, those of given-up records with the error `_PURGE_QUEUE` or
  /// `_PURGE_INFLIGHT`; the latter may have reached the broker all the same. Records that were
  /// enqueued but not flushed are dropped without a report: their bytes may be gone. With a timeout
  /// of zero it returns at once, and what is left ends on its own.
  @discardableResult
  public func close(
    timeout: Duration, _ body: (DeliveryReport) -> Void = { _ in }
  ) -> Closing {
    precondition(wakeUp != nil, "a producer is closed once")
    let deadline = Deadline(timeout)
    giveUp(until: deadline, body)
    topics.withLock { topics in
      for topic in topics.values {
        topic.batches.removeAll()
        unsafe rd_kafka_topic_destroy(topic.handle)
      }
      topics.removeAll()
    }
    work.removeAll()
    wakeUp = nil
    let left = deadline.milliseconds()
    return Closing(
      unreported: inLibrary,
      isDestroyed: handle.destroy(within: .milliseconds(Int64(left))))
  }

  // Purging waits for broker threads unless told not to, and one may hang in a name look-up.
  private func giveUp(until deadline: Deadline, _ body: (DeliveryReport) -> Void) {
    unsafe rd_kafka_purge(
      handle.client,
      RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    for (topic, partition) in work {
      unsafe topic.batches[partition].messages.removeAll()
      for record in topic.batches[partition].held {
        refuse(
          RD_KAFKA_RESP_ERR__PURGE_QUEUE, topic, partition, opaque: record.opaque,
          byteCount: record.byteCount)
      }
      topic.batches[partition].held.removeAll()
    }
    heldCount = 0
    // What was delivered before comes first: its reports are in the queue already.
    _ = drain(waiting: 0, body)
    for report in refused { body(report) }
    refused.removeAll()
    while inLibrary > 0, !deadline.isPast {
      _ = drain(waiting: deadline.milliseconds(atMost: 100), body)
    }
  }
}
