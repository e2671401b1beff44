/// A topic that is to be made.
public struct NewTopic: Hashable, Sendable {
  /// The topic's name.
  public var name: String
  /// How many partitions; -1 leaves it to the broker.
  public var partitions: Int
  /// How many replicas of each; nil leaves it to the broker.
  public var replicationFactor: Int?
  /// Settings of the topic by Kafka's names, "cleanup.policy" and the like.
  public var config: [String: String]

  /// Describes a topic.
  public init(
    _ name: String, partitions: Int = -1, replicationFactor: Int? = nil,
    config: [String: String] = [:]
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.config = config
  }
}

extension Admin {
  /// Creates topics in one request and waits until the brokers know them and every partition has a
  /// leader; one that exists already stays as it is.
  ///
  /// Says of each, in their order, whether it is new, or why there is none. Many are split into
  /// requests of a size that a controller takes. A name must not come twice.
  public func createTopics(
    _ topics: [NewTopic], timeout: Duration
  ) -> [Result<Bool, KafkaError>] {
    handle.createTopics(topics, timeout: timeout)
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
    let topic = NewTopic(
      name, partitions: partitions, replicationFactor: replicationFactor,
      config: Dictionary(config.map { ($0.name, $0.value) }) { $1 })
    return try createTopics([topic], timeout: timeout)[0].get()
  }

  /// Asks whether topics could be made like this one, and makes none; throws what the cluster says
  /// against it.
  public func validate(_ topic: NewTopic, timeout: Duration) throws(KafkaError) {
    try handle.validate(topic, timeout: timeout)
  }

  /// Deletes a topic with its records; one that does not exist is an error.
  public func deleteTopic(_ name: String, timeout: Duration) throws(KafkaError) {
    try handle.deleteTopic(name, timeout: timeout)
  }
}

extension Producer {
  /// Asks like ``Admin/validate(_:timeout:)``, on the producer's own connections.
  public func validate(_ topic: NewTopic, timeout: Duration) throws(KafkaError) {
    try handle.validate(topic, timeout: timeout)
  }

  /// Creates topics like ``Admin/createTopics(_:timeout:)``, on the producer's own connections;
  /// blocks, and may be called from any thread.
  public func createTopics(
    _ topics: [NewTopic], timeout: Duration
  ) -> [Result<Bool, KafkaError>] {
    handle.createTopics(topics, timeout: timeout)
  }
}
