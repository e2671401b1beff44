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

extension ClientHandle {
  /// Asks the cluster about a topic, again while the answer is only temporary.
  func describe(topic name: String, timeout: Duration) throws(KafkaError) -> TopicDescription {
    let operation = "describe topic \(name)"
    // SAFETY: the handle is destroyed on every path.
    guard let topic = unsafe rd_kafka_topic_new(client, name, nil) else {
      throw KafkaError(rd_kafka_last_error(), operation: operation, topic: name)
    }
    defer { unsafe rd_kafka_topic_destroy(topic) }
    let deadline = Deadline(timeout)
    while true {
      do throws(KafkaError) {
        return try unsafe describeOnce(topic, name: name, deadline: deadline)
      } catch {
        guard error.isRetriable, !deadline.isPast else { throw error }
        // A refusal that is temporary comes at once: do not spin.
        pause(milliseconds: 20)
      }
    }
  }

  private func describeOnce(
    _ topic: OpaquePointer, name: String, deadline: Deadline
  ) throws(KafkaError) -> TopicDescription {
    let operation = "describe topic \(name)"
    var answer: UnsafePointer<rd_kafka_metadata>?
    // SAFETY: the answer is read before it is destroyed; its arrays have the counts it names.
    let code = unsafe rd_kafka_metadata(client, 0, topic, &answer, deadline.milliseconds())
    guard let metadata = unsafe answer, code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaError(code, operation: operation, topic: name).explained(for: self)
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    guard unsafe metadata.pointee.topic_cnt == 1 else {
      throw KafkaError(
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, operation: operation, topic: name)
    }
    let found = unsafe metadata.pointee.topics[0]
    guard unsafe found.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw unsafe KafkaError(found.err, operation: operation, topic: name)
    }
    guard unsafe found.partition_cnt > 0 else {
      throw KafkaError(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, operation: operation, topic: name)
    }
    var leaderless = 0
    var replicas = Int.max
    for index in 0..<Int(unsafe found.partition_cnt) {
      let partition = unsafe found.partitions[index]
      if unsafe partition.leader < 0 { leaderless += 1 }
      replicas = min(replicas, Int(unsafe partition.replica_cnt))
    }
    return TopicDescription(
      name: name, partitionCount: Int(unsafe found.partition_cnt), leaderlessCount: leaderless,
      replicationFactor: replicas)
  }
}
