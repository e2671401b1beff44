import CRdKafka

/// Creates and describes topics.
///
/// Every call blocks, at most for its timeout, and may be made on any thread.
@safe public final class Admin: Sendable {
  let handle: ClientHandle

  /// The first offset that a partition still has and the one that its next record gets.
  public struct Watermarks: Hashable, Sendable {
    /// The first offset that is still there.
    public let low: Int64
    /// The next record's offset.
    public let high: Int64
  }

  /// Makes a client, which connects in the background.
  public init(configuration: KafkaConfiguration) throws(KafkaError) {
    precondition(configuration.role == .admin, "an admin client wants its own configuration")
    handle = try unsafe ClientHandle(
      RD_KAFKA_PRODUCER, configuration: configuration,
      context: ClientContext(log: configuration.log)
    ) { conf in unsafe rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR) }
  }

  /// Waits until the cluster answers; throws like ``Producer/checkConnection(timeout:)``.
  public func checkConnection(timeout: Duration) throws(KafkaError) {
    var check = StartupCheck(timeout: timeout)
    guard let queue = unsafe rd_kafka_queue_get_main(handle.client) else { return }
    // SAFETY: the reference is destroyed on every path.
    defer { unsafe rd_kafka_queue_destroy(queue) }
    try unsafe check.run(handle, eventsOf: queue)
  }

  /// Asks the cluster about a topic.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func describeTopic(
    _ name: String, timeout: Duration
  ) throws(KafkaError) -> TopicDescription {
    try handle.describe(topic: name, timeout: timeout)
  }

  /// Asks the leader of a partition for its first and its next offset.
  public func watermarks(
    _ partition: TopicPartition, timeout: Duration
  ) throws(KafkaError) -> Watermarks {
    var low: Int64 = 0
    var high: Int64 = 0
    let milliseconds = Deadline(timeout).milliseconds()
    let code = unsafe rd_kafka_query_watermark_offsets(
      handle.client, partition.topic, partition.partition, &low, &high, milliseconds)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaError(
        code, operation: "read the offsets of \(partition)", topic: partition.topic)
    }
    return Watermarks(low: low, high: high)
  }

  /// Ends the instance; returns whether it ended within `timeout`.
  ///
  /// To be called once, after all other calls have returned; otherwise it ends on its own when the
  /// last reference goes.
  @discardableResult
  public func close(timeout: Duration) -> Bool { handle.destroy(within: timeout) }
}
