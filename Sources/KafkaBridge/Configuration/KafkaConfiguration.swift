import CRdKafka

/// The properties of one Kafka client: our defaults, then the user's, verbatim and in order.
///
/// Every property of librdkafka may be set; only a value that breaks what psql-streamer promises is
/// refused, unless ``allowLoss`` says otherwise. Nothing is checked before a client is made of it or
/// ``validate()`` is called.
public struct KafkaConfiguration: Sendable {
  /// What the client is for.
  public enum Role: Hashable, Sendable {
    /// Writes records.
    case producer
    /// Reads records as a member of a group.
    case consumer
    /// Creates and describes topics.
    case admin
  }

  /// One property with its value.
  public struct Property: Hashable, Sendable {
    /// The name as librdkafka knows it, "linger.ms".
    public let name: String
    /// The value, as text.
    public let value: String

    /// Makes a property.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// What the client is for.
  public let role: Role
  /// What we set before the user's properties.
  public private(set) var defaults: [Property]
  /// What the user set, in order; a later one of the same name wins.
  public private(set) var properties: [Property] = []
  /// Whether values that can lose or reorder records are accepted.
  public var allowLoss = false
  /// Where librdkafka's log goes; nil drops it.
  public var log: KafkaLogHandler?
  /// The transactional.id of a producer that writes in transactions; nil of any other.
  public private(set) var transactionalID: String?

  /// How many requests may be under way to one broker: more, and an idempotent producer could not
  /// tell their order.
  static let requestsInFlight = 5

  /// Makes the configuration of a producer that loses and reorders nothing.
  public static func producer(bootstrapServers: String) -> KafkaConfiguration {
    KafkaConfiguration(
      role: .producer,
      defaults: common(bootstrapServers) + [
        Property("enable.idempotence", "true"),
        Property("enable.gapless.guarantee", "true"),
        Property("acks", "all"),
        Property("max.in.flight.requests.per.connection", "\(requestsInFlight)"),
        // A timeout would drop records, and the gapless guarantee does not cover that.
        Property("message.timeout.ms", "0"),
        Property("partitioner", "murmur2_random"),
        // Batches form while five requests are in flight: waiting gains nothing.
        Property("linger.ms", "1"),
        Property("compression.type", "lz4"),
        // Above the in-flight budget of any pipeline, so that a full queue is a bug.
        Property("queue.buffering.max.messages", "2000000"),
        Property("queue.buffering.max.kbytes", "1048576"),
      ])
  }

  /// Makes the configuration of a member of the consumer group `group`.
  public static func consumer(bootstrapServers: String, group: String) -> KafkaConfiguration {
    KafkaConfiguration(
      role: .consumer,
      defaults: common(bootstrapServers) + [
        Property("group.id", group),
        Property("enable.auto.commit", "false"),
        Property("enable.auto.offset.store", "false"),
        Property("partition.assignment.strategy", "cooperative-sticky"),
        Property("isolation.level", "read_committed"),
        Property("auto.offset.reset", "earliest"),
        // The default is 64 MiB a partition, too much for a daemon that reads many.
        Property("queued.max.messages.kbytes", "16384"),
      ])
  }

  /// Makes the configuration of a client that creates and describes topics.
  public static func admin(bootstrapServers: String) -> KafkaConfiguration {
    KafkaConfiguration(role: .admin, defaults: common(bootstrapServers))
  }

  private init(role: Role, defaults: [Property]) {
    self.role = role
    self.defaults = defaults
  }

  private static func common(_ bootstrapServers: String) -> [Property] {
    [
      Property("bootstrap.servers", bootstrapServers),
      Property("client.id", "psql-streamer"),
      Property("client.software.name", "psql-streamer"),
      // Without it 2.0.2 stalls for 40 ms at a time.
      Property("socket.nagle.disable", "true"),
      // The producer's default would create a deleted topic again with the broker's defaults.
      Property("allow.auto.create.topics", "false"),
      // The default of 10 s doubles the time of recovery after a short outage.
      Property("reconnect.backoff.max.ms", "1000"),
    ]
  }

  /// Makes the configuration one of a producer that writes in transactions under that name, each open
  /// for at most `timeout`.
  ///
  /// A record that is not delivered fails its transaction, so it may time out: it cannot be lost.
  public mutating func writeInTransactions(as id: String, timeout: Duration) {
    precondition(role == .producer, "only a producer has transactions")
    transactionalID = id
    defaults.removeAll {
      ["enable.gapless.guarantee", "message.timeout.ms", "linger.ms"].contains($0.name)
    }
    let milliseconds = timeout.components.seconds * 1000
    defaults += [
      Property("transactional.id", id),
      Property("transaction.timeout.ms", "\(milliseconds)"),
      Property("linger.ms", "0"),
      // Longer than a commit takes: one that took less was certainly not repeated.
      Property("retry.backoff.ms", "\(KafkaConfiguration.transactionRetryMilliseconds)"),
    ]
  }

  /// After what time a request of a transaction's is repeated, at the earliest.
  static let transactionRetryMilliseconds = 1000

  /// Adds a property of the user; the name and the value are checked when the client is made.
  public mutating func set(_ name: String, _ value: String) {
    properties.append(Property(name, value))
  }

  /// The value a property was given last, by the user or by us; nil when librdkafka's own holds.
  public func value(of name: String) -> String? {
    let names = KafkaConfiguration.spellings(of: name)
    return properties.last { names.contains($0.name) }?.value
      ?? defaults.last { names.contains($0.name) }?.value
  }

  /// Whether the user wants librdkafka's own lines for developers, which we read otherwise.
  var isDebugged: Bool { !(value(of: "debug") ?? "").isEmpty }

  /// Checks every property and every guarantee.
  ///
  /// Throws a ``KafkaError`` of the category `configuration` that names the property.
  public func validate() throws(KafkaError) {
    let conf = try unsafe makeConf()
    // SAFETY: the object is ours and not used again.
    unsafe rd_kafka_conf_destroy(conf)
  }
}

extension KafkaConfiguration: CustomStringConvertible {
  /// The properties, "name=value" and separated by blanks, with the secret ones hidden.
  public var description: String {
    (defaults + properties).map(\.description).joined(separator: " ")
  }
}

extension KafkaConfiguration.Property: CustomStringConvertible {
  /// Whether the value must not be shown.
  public var isSecret: Bool {
    let name = name.lowercased()
    return name.hasSuffix("password") || name.contains("secret") || name.hasSuffix("key.pem")
      || name == "sasl.oauthbearer.config"
  }

  /// The property as "name=value", a secret's value as "[redacted]".
  public var description: String { "\(name)=\(isSecret ? "[redacted]" : value)" }
}
