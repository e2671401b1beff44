import CRdKafka
import Synchronization

extension Producer {
  /// Waits until the cluster answers; to be called once, before anything is produced.
  ///
  /// Throws the broker's own words: wrong credentials and failed TLS handshakes after about two
  /// seconds, everything else after `timeout` (10 s is sensible: the first handshake of a cold
  /// broker takes up to three).
  public func checkConnection(timeout: Duration) throws(KafkaError) {
    precondition(inLibrary == 0, "the connection is checked before anything is produced")
    var check = StartupCheck(timeout: timeout)
    try check.run(handle) { body in
      guard let queue = unsafe wakeUp?.queue else { return }
      while let event = unsafe rd_kafka_queue_poll(queue, 0) {
        // SAFETY: the event is ours until it is destroyed.
        defer { unsafe rd_kafka_event_destroy(event) }
        guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
        body(unsafe KafkaError(event: event, operation: StartupCheck.operation))
      }
    }
  }

  /// Asks the cluster about a topic; blocks, at most for `timeout`.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func describeTopic(
    _ name: String, timeout: Duration
  ) throws(KafkaError) -> TopicDescription {
    try handle.describe(topic: name, timeout: timeout)
  }

  /// The topic by which records are produced; blocks for its description when it is new.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func topic(named name: String, timeout: Duration) throws(KafkaError) -> Topic {
    if let known = topics.withLock({ $0[name] }) { return known }
    let description = try describeTopic(name, timeout: timeout)
    // SAFETY: the handle belongs to the topic and is destroyed when the producer closes.
    guard let pointer = unsafe rd_kafka_topic_new(handle.client, name, nil) else {
      throw KafkaError(rd_kafka_last_error(), operation: "open topic \(name)", topic: name)
    }
    let topic = unsafe Topic(
      name: name, partitionCount: description.partitionCount, handle: pointer)
    // Two threads may have asked at once: the first one's topic stays.
    let kept = topics.withLock { topics in
      let kept = topics[name] ?? topic
      topics[name] = kept
      return kept
    }
    if kept !== topic { unsafe rd_kafka_topic_destroy(pointer) }
    return kept
  }
}
