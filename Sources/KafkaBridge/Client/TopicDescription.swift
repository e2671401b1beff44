import CRdKafka

/// What the cluster says about a topic.
public struct TopicDescription: Hashable, Sendable {
  /// The topic's name.
  public let name: String
  /// How many partitions it has, at least one.
  public let partitionCount: Int
  /// How many of them have no leader at the moment.
  public let leaderlessCount: Int
  /// The least number of replicas that a partition of it has.
  public let replicationFactor: Int
}

extension TopicDescription {
  /// Reads a topic of an answer that librdkafka owns; throws what the broker says against it.
  init(_ found: rd_kafka_metadata_topic, name: String) throws(KafkaError) {
    let operation = "describe topic \(name)"
    guard unsafe found.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw unsafe KafkaError(found.err, operation: operation, topic: name)
    }
    guard unsafe found.partition_cnt > 0 else {
      throw KafkaError(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, operation: operation, topic: name)
    }
    var leaderless = 0
    var replicas = Int.max
    for index in 0..<Int(unsafe found.partition_cnt) {
      // SAFETY: the array has the count that the answer names.
      let partition = unsafe found.partitions[index]
      if unsafe partition.leader < 0 { leaderless += 1 }
      replicas = min(replicas, Int(unsafe partition.replica_cnt))
    }
    self.init(
      name: name, partitionCount: Int(unsafe found.partition_cnt), leaderlessCount: leaderless,
      replicationFactor: replicas)
  }
}

extension ClientHandle {
  /// Asks the cluster about a topic, again while the answer is only temporary.
  func describe(topic name: String, timeout: Duration) throws(KafkaError) -> TopicDescription {
    try describe(topics: [name], TopicQuery(timeout: timeout))[0].get()
  }
}
