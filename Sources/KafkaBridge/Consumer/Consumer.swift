import CRdKafka
import Glibc

// A class because librdkafka's callbacks refer to one instance.
// SAFETY: confined to the thread that polls, but for the handle, which any thread may use.

/// Reads records as a member of a consumer group.
///
/// Nothing is committed by itself: the owner commits, per partition, what is done with. Partitions
/// that the group gives and takes come out of ``poll(limit:_:)`` like everything else and wait for
/// the owner's answer, so that nothing happens behind its back. One thread polls, commits and closes.
@safe public final class Consumer: @unchecked Sendable {
  /// What one ``Consumer/poll(limit:_:)`` brought.
  public struct PollOutcome: Sendable {
    /// How many records were handed to the handler.
    public let records: Int
    /// What has to be known or answered before going on, if anything.
    public let event: ConsumerEvent?
  }

  let handle: ClientHandle
  let context: ConsumerContext
  var wakeUp: WakeUp?
  // Whether a group may know this member.
  var isSubscribed = false
  // The last record's topic, so that a run of records of one topic makes one String.
  private var topicName: (bytes: [CChar], text: String) = ([0], "")

  /// Makes a consumer, which connects in the background and joins its group by
  /// ``subscribe(_:)``.
  public init(configuration: KafkaConfiguration) throws(KafkaError) {
    precondition(configuration.role == .consumer, "a consumer wants a consumer's configuration")
    let context = ConsumerContext(log: configuration.log)
    self.context = context
    handle = try unsafe ClientHandle(
      RD_KAFKA_CONSUMER, configuration: configuration, context: context
    ) { conf in
      unsafe ConsumerContext.setCallbacks(on: conf)
    }
    unsafe rd_kafka_poll_set_consumer(handle.client)
    guard let queue = unsafe rd_kafka_queue_get_consumer(handle.client) else {
      preconditionFailure("every member of a group has a queue")
    }
    wakeUp = unsafe WakeUp(queue)
  }

  deinit { if wakeUp != nil { _ = close(timeout: .zero) } }

  /// Readable when ``poll(limit:_:)`` has something to do; for an epoll set, level-triggered.
  ///
  /// It belongs to the consumer and is -1 after closing.
  public var eventDescriptor: CInt { wakeUp?.descriptor ?? -1 }

  /// Waits until the cluster answers; to be called once, before subscribing.
  ///
  /// Throws like ``Producer/checkConnection(timeout:)``.
  public func checkConnection(timeout: Duration) throws(KafkaError) {
    var check = StartupCheck(timeout: timeout)
    try check.run(handle) { body in
      // SAFETY: nothing is subscribed, so what comes is no record; it is destroyed at once.
      while let message = unsafe rd_kafka_consumer_poll(handle.client, 0) {
        unsafe rd_kafka_message_destroy(message)
      }
      for event in context.events {
        if case .error(let error) = event { body(error) }
      }
      context.events.removeAll()
    }
  }

  /// Asks the cluster about a topic; blocks, at most for `timeout`; callable from any thread.
  public func describeTopic(
    _ name: String, timeout: Duration
  ) throws(KafkaError) -> TopicDescription {
    try handle.describe(topic: name, timeout: timeout)
  }

  /// Joins the group and asks for partitions of these topics; a name that begins with "^" is a
  /// pattern.
  public func subscribe(_ topics: [String]) throws(KafkaError) {
    isSubscribed = true
    let list = PartitionList(topics.map { TopicPartition(topic: $0, partition: -1) })
    let code = unsafe rd_kafka_subscribe(handle.client, list.pointer)
    try check(code, "subscribe to \(topics.joined(separator: ", "))")
  }

  /// Hands over the records that have arrived, without waiting, until there are none, `limit` is
  /// reached or an event comes.
  ///
  /// The records before the event were handed over, those after it come with the next call. It must
  /// be called at least every `max.poll.interval.ms`, or the group takes the partitions away.
  public func poll(
    limit: Int = 10_000, _ body: (borrowing ConsumedRecord) -> Void
  ) -> PollOutcome {
    // Cleared first: what comes while the queue is drained makes it readable again.
    wakeUp?.clear()
    var count = 0
    while context.events.isEmpty, count < limit {
      guard let message = unsafe rd_kafka_consumer_poll(handle.client, 0) else {
        if context.events.isEmpty { return PollOutcome(records: count, event: nil) }
        break
      }
      // SAFETY: the message is ours until it is destroyed; the record does not leave the call.
      defer { unsafe rd_kafka_message_destroy(message) }
      if unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
        count += 1
        let record = unsafe ConsumedRecord(message, topic: topic(of: message))
        body(record)
      } else {
        unsafe note(message)
      }
    }
    // Something may be left in the queue, which does not signal it a second time.
    wakeUp?.signal()
    let event = context.events.isEmpty ? nil : context.events.removeFirst()
    return PollOutcome(records: count, event: event)
  }

  private func topic(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> String {
    // SAFETY: the topic lives as long as the message.
    guard let topic = unsafe message.pointee.rkt, let name = unsafe rd_kafka_topic_name(topic)
    else { return "" }
    if unsafe strcmp(name, topicName.bytes) != 0 {
      let text = unsafe String(cString: name)
      topicName = (Array(text.utf8CString), text)
    }
    return topicName.text
  }

  private func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
    let code = unsafe message.pointee.err
    let topic = unsafe topic(of: message)
    let partition = unsafe TopicPartition(topic: topic, partition: message.pointee.partition)
    if code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
      let place = unsafe PartitionOffset(partition, message.pointee.offset)
      context.events.append(.endOfPartition(place))
      return
    }
    let text = unsafe rd_kafka_message_errstr(message).map { unsafe String(cString: $0) }
    let operation = topic.isEmpty ? "read from Kafka" : "read from \(partition)"
    context.events.append(
      .error(
        KafkaError(code, text: text, operation: operation, topic: topic.isEmpty ? nil : topic)))
  }

  func check(_ code: rd_kafka_resp_err_t, _ operation: String) throws(KafkaError) {
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, operation: operation) }
  }
}
