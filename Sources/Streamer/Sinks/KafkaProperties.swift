import KafkaBridge

/// The properties of librdkafka that a configuration leads to.
enum KafkaProperties {
  /// Those of a sink's producer; the file's own `librdkafka` table comes last and wins.
  ///
  /// With a transactional.id it writes in transactions.
  static func producer(
    _ sink: KafkaSinkConfiguration, transactionalID: String? = nil, log: Log
  ) -> KafkaConfiguration {
    var properties = KafkaConfiguration.producer(bootstrapServers: hosts(sink.hosts))
    properties.allowLoss = sink.allowLoss
    properties.log = handler(log)
    if let transactionalID {
      properties.writeInTransactions(as: transactionalID, timeout: Limits.transactionTimeout)
    }
    properties.set("linger.ms", milliseconds(sink.batchTimeout ?? .zero))
    properties.set("request.timeout.ms", milliseconds(max(sink.timeout, Limits.shortestRequest)))
    if let batchSize = sink.batchSize { properties.set("batch.num.messages", "\(batchSize)") }
    if sink.requiredAcks != -1 {
      properties.set("enable.idempotence", "false")
      properties.set("enable.gapless.guarantee", "false")
      properties.set("acks", "\(sink.requiredAcks)")
    }
    apply(sink.librdkafka, to: &properties)
    return properties
  }

  /// Those of the client that creates a sink's topics.
  static func admin(_ sink: KafkaSinkConfiguration, log: Log) -> KafkaConfiguration {
    var properties = KafkaConfiguration.admin(bootstrapServers: hosts(sink.hosts))
    properties.log = handler(log)
    for (name, value) in sink.librdkafka.sorted(by: { $0.key < $1.key })
    where isConnection(name) {
      properties.set(name, value.revealed)
    }
    return properties
  }

  /// Those of the client that reads a sink's positions back.
  static func reader(_ sink: KafkaSinkConfiguration, log: Log) -> KafkaConfiguration {
    var properties = KafkaConfiguration.consumer(
      bootstrapServers: hosts(sink.hosts), group: "psql-streamer-positions")
    properties.log = handler(log)
    for (name, value) in sink.librdkafka.sorted(by: { $0.key < $1.key })
    where isConnection(name) {
      properties.set(name, value.revealed)
    }
    return properties
  }

  /// Applies verbatim properties, in the order of their names.
  static func apply(_ own: [String: Secret], to properties: inout KafkaConfiguration) {
    for (name, value) in own.sorted(by: { $0.key < $1.key }) {
      properties.set(name, value.revealed)
    }
  }

  /// What librdkafka logs: warnings and worse as warnings, the rest for debugging.
  ///
  /// So are its remarks on our own settings (it calls the gapless guarantee experimental).
  static func handler(_ log: Log) -> KafkaLogHandler {
    { line in
      let pairs: Log.Pairs = ["facility": line.facility, "text": line.text]
      if line.level <= .warning, line.facility != "CONFWARN" {
        log.warning("librdkafka says", pairs)
      } else {
        log.debug("librdkafka says", pairs)
      }
    }
  }

  /// "a:9092,b:9092", as bootstrap.servers wants it.
  static func hosts(_ hosts: [String]) -> String { hosts.joined(separator: ",") }

  private static func milliseconds(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)"
  }

  /// Whether a property says how to reach and authenticate, not how to produce.
  static func isConnection(_ name: String) -> Bool {
    [
      "security.", "sasl.", "ssl.", "enable.ssl.", "broker.", "socket.", "client.", "reconnect.",
      "debug",
    ].contains { name.hasPrefix($0) }
  }
}

extension KafkaSinkConfiguration.NewTopics {
  /// A name for asking whether topics could be made, under which none is.
  private static let trial = "psql-streamer-validates-only"

  /// Asks whether topics can be made like this; throws what concerns every name.
  ///
  /// What the broker leaves to itself it has checked itself, so only what is set is asked about.
  func validate(
    timeout: Duration, _ ask: (NewTopic, Duration) throws(KafkaError) -> Void
  ) throws(KafkaError) {
    guard partitions != -1 || replication != -1 || !config.isEmpty else { return }
    let topic = NewTopic(
      Self.trial, partitions: partitions, replicationFactor: replication, config: config)
    do throws(KafkaError) { try ask(topic, timeout) } catch {
      // A right or a policy may depend on the name.
      guard error.category == .creationRefused, error.name != "POLICY_VIOLATION" else { return }
      throw error.with(operation: "create topics as `topics` says")
    }
  }
}
