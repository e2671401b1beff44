import CRdKafka

/// Creates and describes topics.
///
/// Every call blocks, at most for its timeout, and may be made on any thread.
@safe public final class Admin: Sendable {
  private let handle: ClientHandle

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
    // SAFETY: the reference and the events are destroyed on every path.
    defer { unsafe rd_kafka_queue_destroy(queue) }
    try check.run(handle) { body in
      while let event = unsafe rd_kafka_queue_poll(queue, 0) {
        defer { unsafe rd_kafka_event_destroy(event) }
        guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
        body(unsafe KafkaError(event: event, operation: StartupCheck.operation))
      }
    }
  }

  /// Asks the cluster about a topic.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func describeTopic(
    _ name: String, timeout: Duration
  ) throws(KafkaError) -> TopicDescription {
    try handle.describe(topic: name, timeout: timeout)
  }

  /// Creates a topic and waits until the cluster knows it; one that exists already stays as it is.
  ///
  /// `replicationFactor` nil leaves it to the broker. `config` holds settings of the topic,
  /// "cleanup.policy" and the like. Returns whether the topic is new.
  @discardableResult
  public func createTopic(
    _ name: String, partitions: Int, replicationFactor: Int? = nil,
    config: [(name: String, value: String)] = [], timeout: Duration
  ) throws(KafkaError) -> Bool {
    let operation = "create topic \(name)"
    var text = [CChar](repeating: 0, count: 512)
    // SAFETY: the request is destroyed on every path; its strings are copied.
    guard
      let topic = unsafe rd_kafka_NewTopic_new(
        name, CInt(clamping: partitions), CInt(clamping: replicationFactor ?? -1), &text,
        text.count)
    else {
      throw KafkaError(
        RD_KAFKA_RESP_ERR__INVALID_ARG, text: String(zeroTerminated: text), operation: operation,
        topic: name)
    }
    defer { unsafe rd_kafka_NewTopic_destroy(topic) }
    for setting in config {
      let code = unsafe rd_kafka_NewTopic_set_config(topic, setting.name, setting.value)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw KafkaError(code, operation: operation, topic: name)
      }
    }
    let deadline = Deadline(timeout)
    let isNew = try unsafe request(
      operation, topic: name, deadline: deadline, accepting: RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS
    ) { options, queue in
      var topics: [OpaquePointer?] = unsafe [topic]
      unsafe rd_kafka_CreateTopics(handle.client, &topics, 1, options, queue)
    }
    if isNew { try awaitTopic(name, deadline: deadline) }
    return isNew
  }

  /// Deletes a topic with its records; one that does not exist is an error.
  public func deleteTopic(_ name: String, timeout: Duration) throws(KafkaError) {
    // SAFETY: the request is destroyed when the call ends.
    guard let topic = unsafe rd_kafka_DeleteTopic_new(name) else { return }
    defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
    _ = try unsafe request(
      "delete topic \(name)", topic: name, deadline: Deadline(timeout), accepting: nil
    ) { options, queue in
      var topics: [OpaquePointer?] = unsafe [topic]
      unsafe rd_kafka_DeleteTopics(handle.client, &topics, 1, options, queue)
    }
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

  // The controller knows a topic before every broker does.
  private func awaitTopic(_ name: String, deadline: Deadline) throws(KafkaError) {
    while true {
      do throws(KafkaError) {
        let left = deadline.milliseconds()
        _ = try handle.describe(topic: name, timeout: .milliseconds(Int64(left)))
        return
      } catch {
        guard error.category == .missingTopic, !deadline.isPast else { throw error }
        pause(milliseconds: 20)
      }
    }
  }

  // Sends one request and waits for its answer; false when it was the `accepting` error.
  private func request(
    _ operation: String, topic: String, deadline: Deadline, accepting: rd_kafka_resp_err_t?,
    _ send: (_ options: OpaquePointer?, _ queue: OpaquePointer) -> Void
  ) throws(KafkaError) -> Bool {
    guard let queue = unsafe rd_kafka_queue_new(handle.client) else {
      throw KafkaError(rd_kafka_last_error(), operation: operation, topic: topic)
    }
    let options = unsafe rd_kafka_AdminOptions_new(handle.client, RD_KAFKA_ADMIN_OP_ANY)
    // SAFETY: queue, options and event are destroyed on every path, after their last use.
    defer {
      unsafe rd_kafka_AdminOptions_destroy(options)
      unsafe rd_kafka_queue_destroy(queue)
    }
    let milliseconds = max(deadline.milliseconds(atMost: 3_600_000), 1)
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, nil, 0)
    unsafe rd_kafka_AdminOptions_set_operation_timeout(options, milliseconds, nil, 0)
    unsafe send(options, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds) else {
      throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation, topic: topic)
        .explained(for: handle)
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    guard unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw unsafe KafkaError(event: event, operation: operation, topic: topic)
        .explained(for: handle)
    }
    guard let answer = unsafe Admin.answer(of: event) else { return true }
    let code = unsafe rd_kafka_topic_result_error(answer)
    if code == RD_KAFKA_RESP_ERR_NO_ERROR { return true }
    if code == accepting { return false }
    let text = unsafe rd_kafka_topic_result_error_string(answer).map { unsafe String(cString: $0) }
    throw KafkaError(code, text: text, operation: operation, topic: topic)
  }

  private static func answer(of event: OpaquePointer) -> OpaquePointer? {
    var count = 0
    // SAFETY: the answers belong to the event.
    let answers =
      if let created = unsafe rd_kafka_event_CreateTopics_result(event) {
        unsafe rd_kafka_CreateTopics_result_topics(created, &count)
      } else {
        unsafe rd_kafka_DeleteTopics_result_topics(
          rd_kafka_event_DeleteTopics_result(event), &count)
      }
    guard count > 0, let answers = unsafe answers else { return nil }
    return unsafe answers[0]
  }

  /// Ends the instance; returns whether it ended within `timeout`.
  ///
  /// To be called once, after all other calls have returned; otherwise it ends on its own when the
  /// last reference goes.
  @discardableResult
  public func close(timeout: Duration) -> Bool { handle.destroy(within: timeout) }
}
