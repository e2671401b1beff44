import CRdKafka

/// Finds out whether a cluster can be used, in the broker's own words when it cannot.
///
/// No refusal is fatal to librdkafka: it tries again for ever and answers requests with "timed out".
/// The reason comes as an error event, once per identical error, so events are collected meanwhile.
struct StartupCheck {
  // How long a refusal may last before it is believed: a broker that is just starting may refuse
  // the first connections.
  private static let patience = Duration.seconds(2)

  private let deadline: Deadline
  private var refusal: KafkaError?
  private var refusals = 0
  private var refusedUntil: Deadline?
  private var last: KafkaError?

  /// Starts a check that ends after `timeout`.
  init(timeout: Duration) { deadline = Deadline(timeout) }

  /// Asks for metadata until the cluster answers, refuses, or time is up.
  ///
  /// `errors` takes the error events that have arrived since.
  mutating func run(
    _ handle: ClientHandle, errors: (_ body: (KafkaError) -> Void) -> Void
  ) throws(KafkaError) {
    while true {
      var metadata: UnsafePointer<rd_kafka_metadata>?
      // SAFETY: the metadata is destroyed at once, nothing of it is kept.
      let code = unsafe rd_kafka_metadata(
        handle.client, 0, nil, &metadata, deadline.milliseconds(atMost: 500))
      if let metadata = unsafe metadata {
        unsafe rd_kafka_metadata_destroy(metadata)
      }
      if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
      var arrived: [KafkaError] = []
      errors { arrived.append($0) }
      for error in arrived { note(error) }
      if let refusal, refusals >= 2 || (refusedUntil?.isPast ?? false) || deadline.isPast {
        throw refusal.explained(for: handle)
      }
      if deadline.isPast {
        let silent = KafkaError(code, operation: StartupCheck.operation)
        throw (last ?? silent).explained(for: handle)
      }
    }
  }

  /// Asks as ``run(_:errors:)`` does; the errors are the events of a queue.
  mutating func run(
    _ handle: ClientHandle, eventsOf queue: OpaquePointer?
  ) throws(KafkaError) {
    try run(handle) { body in
      guard let queue = unsafe queue else { return }
      while let event = unsafe rd_kafka_queue_poll(queue, 0) {
        // SAFETY: the event is ours until it is destroyed.
        defer { unsafe rd_kafka_event_destroy(event) }
        guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
        body(unsafe KafkaError(event: event, operation: StartupCheck.operation))
      }
    }
  }

  private mutating func note(_ error: KafkaError) {
    switch error.category {
    case .authentication, .tls, .authorization:
      refusals += 1
      refusal = error
      if refusedUntil == nil { refusedUntil = Deadline(StartupCheck.patience) }
    default:
      // "All brokers down" follows every other error and says less.
      if error.code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue || last == nil { last = error }
    }
  }

  /// What the errors of a check say was being done.
  static let operation = "connect to Kafka"
}

extension KafkaError {
  /// The error with what is known about its cause on this client.
  func explained(for handle: ClientHandle) -> KafkaError {
    switch category {
    case .authentication:
      if let mechanism = handle.mechanism, mechanism.uppercased().hasPrefix("SCRAM"),
        !KafkaVersion.scramWorks
      {
        return with(
          remedy: "librdkafka \(KafkaVersion.text) cannot do \(mechanism) with Kafka 4 even with "
            + "the right password: use librdkafka 2.6.1 or newer, or PLAIN over TLS")
      }
      return self
    case .tls where text.contains("alert"):
      return with(
        remedy: "the broker refused our side of the handshake; check ssl.certificate.location and "
          + "ssl.key.location")
    case .tls:
      return with(
        remedy: "the certificate's CA is unknown, it has expired, or it is not valid for "
          + "\(handle.bootstrapServers); check ssl.ca.location and the host name")
    case .unreachable:
      return with(
        remedy: "check that \(handle.bootstrapServers) is the broker's address and that "
          + "security.protocol is what it speaks there")
    default: return self
    }
  }
}
