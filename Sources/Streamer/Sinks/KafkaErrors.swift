import KafkaBridge

extension StreamerError {
  /// What a failure of Kafka means for a sink.
  ///
  /// A broker that cannot be reached, and whatever a fresh producer may overcome, is tried again;
  /// a refusal and a missing topic are an operator's to mend.
  init(_ error: KafkaError, sink: String) {
    let isRefusal: Bool
    switch error.category {
    case .authentication, .tls, .authorization, .missingTopic, .configuration,
      .recordTooLarge:
      isRefusal = true
    default: isRefusal = false
    }
    let isMissing = error.category == .missingTopic
    self.init(
      what: "sink \(sink)", why: "\(error)",
      hint: isMissing ? "createTopics = \"create\" lets psql-streamer create it." : "",
      exit: isRefusal ? .preflight : .failure,
      retryable: !isRefusal)
  }
}
