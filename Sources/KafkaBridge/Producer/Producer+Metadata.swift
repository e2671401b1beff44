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
    try unsafe check.run(handle, eventsOf: wakeUp?.queue)
  }

  /// Asks the cluster about a topic; blocks, at most for `timeout`.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func describeTopic(
    _ name: String, timeout: Duration
  ) throws(KafkaError) -> TopicDescription {
    try handle.describe(topic: name, timeout: timeout)
  }

  /// Topics whose number of partitions is not the one that records are spread over, with the number
  /// now; nil when the cluster does not answer.
  ///
  /// Blocks, from any thread. Where no topic was asked for, nobody answers.
  public func changedTopics(timeout: Duration) -> [(topic: Topic, partitionCount: Int)]? {
    let known = topics.withLock { Array($0.values) }
    guard !known.isEmpty else { return nil }
    var query = TopicQuery(timeout: timeout)
    query.known = known.count
    let answers = handle.describe(topics: known.map(\.name), query)
    guard answers.contains(where: { (try? $0.get()) != nil }) else { return nil }
    return zip(known, answers).compactMap { topic, answer in
      // One that is missing or without a leader for a moment is another matter.
      guard let found = try? answer.get(), found.partitionCount != topic.partitionCount else {
        return nil
      }
      return (topic, found.partitionCount)
    }
  }

  /// The topic by which records are produced; blocks for its description when it is new.
  ///
  /// Throws an error of the category `missingTopic` when there is none.
  public func topic(named name: String, timeout: Duration) throws(KafkaError) -> Topic {
    try topics(named: [name], timeout: timeout)[0].get()
  }

  /// The topics by which records are produced, in the order of `names`, or what the cluster says
  /// against each; blocks for the new ones, which are asked for together.
  ///
  /// A topic that does not exist is asked for again for `missingFor`, before its error of the
  /// category `missingTopic` counts: brokers learn of a new topic one after the other.
  public func topics(
    named names: [String], timeout: Duration, missingFor: Duration = .zero
  ) -> [Result<Topic, KafkaError>] {
    var found: [String: Result<Topic, KafkaError>] = [:]
    var new: [String] = []
    let known = topics.withLock { topics in
      for name in names where found[name] == nil {
        if let topic = topics[name] {
          found[name] = .success(topic)
        } else {
          // Held until the answer: a name that comes twice is asked for once.
          found[name] = .failure(.missing(name))
          new.append(name)
        }
      }
      return topics.count
    }
    if !new.isEmpty {
      var query = TopicQuery(timeout: timeout)
      query.missingUntil = Deadline(min(missingFor, timeout))
      query.known = known
      let answers = handle.describe(topics: new, query)
      let limits = handle.batchLimits(
        of: zip(new, answers).filter { (try? $1.get()) != nil }.map(\.0),
        timeout: min(timeout, Producer.limitsTimeout))
      for (name, answer) in zip(new, answers) {
        found[name] = answer.flatMap { description in
          Result { () throws(KafkaError) in try open(description, limit: limits[name]) }
        }
      }
    }
    return names.map { found[$0] ?? .failure(.missing($0)) }
  }

  /// How long the brokers may take to say how large a topic's batches may be.
  private static let limitsTimeout = Duration.seconds(5)

  private func open(
    _ description: TopicDescription, limit: Int?
  ) throws(KafkaError) -> Topic {
    let name = description.name
    // SAFETY: the handle belongs to the topic and is destroyed when the producer closes.
    guard let pointer = unsafe rd_kafka_topic_new(handle.client, name, nil) else {
      throw KafkaError(rd_kafka_last_error(), operation: "open topic \(name)", topic: name)
    }
    let topic = unsafe Topic(
      name: name, partitionCount: description.partitionCount, maximumBatchBytes: limit,
      producerBatchBytes: handle.maximumBatchBytes, handle: pointer)
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

extension KafkaError {
  fileprivate static func missing(_ topic: String) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, operation: "describe topic \(topic)", topic: topic)
  }
}
