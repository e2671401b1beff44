import Support
import Testing

/// What the mock cluster cannot show, on a real Kafka with all its listeners.
///
/// One test after the other: some kill the broker, or stop its process.
@Suite(.serialized, .needsKafka, .ownThread) enum OnRealKafka {
  /// The broker that they share; each has topics of its own there.
  static var broker: KafkaBroker { get throws { try shared.get() } }

  /// After this time a client with SASL/PLAIN has to prove itself again.
  static let session = Duration.seconds(2)

  private static let shared = Result {
    try KafkaBroker(
      secure: true,
      properties: [
        "listener.name.sasl_plaintext.plain.connections.max.reauth.ms=\(Int(session / .milliseconds(1)))"
      ])
  }
}
