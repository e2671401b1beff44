import KafkaBridge

extension StreamerError {
  /// What a failure of Kafka means for a sink.
  ///
  /// A broker that cannot be reached, and whatever a fresh producer may overcome, is tried again;
  /// a refusal and a missing topic are an operator's to mend. With `isDelivery` it is a record's: a
  /// topic that was there and is not any more (deleted, made again, or a broker that has not heard
  /// of it) is looked for again by a fresh producer, which makes it where `createsTopics` says so.
  init(
    _ error: KafkaError, sink: String, isDelivery: Bool = false, createsTopics: Bool = false
  ) {
    let isMissing = error.category == .missingTopic
    var cause = Cause.other
    let isRefusal: Bool
    switch error.category {
    case .authentication, .tls, .configuration, .creationRefused, .recordRefused: isRefusal = true
    case .authorization:
      isRefusal = true
      if error.topic != nil, !isDelivery { cause = .topicMissing }
    case .invalidTopic:
      isRefusal = true
      cause = .topicName
    // The topic's limit may have changed since it was asked for: a fresh producer learns it.
    case .recordTooLarge:
      isRefusal = !(isDelivery && error.isRetriable)
      cause = .recordTooLarge
    case .fenced:
      isRefusal = false
      cause = .fenced
    case .missingTopic:
      isRefusal = !isDelivery
      if !isDelivery { cause = .topicMissing }
    default: isRefusal = false
    }
    self.init(
      what: "sink \(sink)", why: "\(error)",
      hint: isMissing && !createsTopics
        ? "createTopics = \"create\" lets psql-streamer create it." : "",
      exit: isRefusal ? .preflight : .failure,
      retryable: !isRefusal, cause: cause)
    kafkaCode = error.name
    self.sink = sink
  }
}
