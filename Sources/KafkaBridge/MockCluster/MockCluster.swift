import CRdKafka

// A class because it owns a running instance.
// SAFETY: librdkafka's mock functions may be called from any thread.

/// librdkafka's cluster in a process: real sockets, no storage; for tests and the demo.
///
/// Any client may connect, also one of another process. It is no evidence for transactions that
/// abort, fencing, administration, security or retention.
@safe public final class MockCluster: @unchecked Sendable {
  private let handle: ClientHandle
  private let cluster: OpaquePointer
  /// How many brokers it has; they are numbered from 1.
  public let brokerCount: Int

  /// Starts a cluster of `brokers` brokers on ports that are free.
  public init(brokers: Int = 1) throws(KafkaError) {
    precondition(brokers > 0, "a cluster has at least one broker")
    handle = try unsafe ClientHandle(
      RD_KAFKA_PRODUCER, configuration: .admin(bootstrapServers: ""),
      context: ClientContext(log: nil)
    ) { _ in }
    // SAFETY: the cluster is destroyed before its instance.
    guard let cluster = unsafe rd_kafka_mock_cluster_new(handle.client, Int32(brokers)) else {
      throw KafkaError(rd_kafka_last_error(), operation: "start a mock cluster")
    }
    unsafe self.cluster = cluster
    brokerCount = brokers
  }

  deinit { unsafe rd_kafka_mock_cluster_destroy(cluster) }

  /// The addresses of its brokers, for `bootstrap.servers`.
  public var bootstrapServers: String {
    // SAFETY: a text that lives as long as the cluster.
    unsafe rd_kafka_mock_cluster_bootstraps(cluster).map { unsafe String(cString: $0) } ?? ""
  }

  /// Creates a topic; one that is used without is created with four partitions.
  public func createTopic(
    _ name: String, partitions: Int, replicationFactor: Int = 1
  ) throws(KafkaError) {
    let code = unsafe rd_kafka_mock_topic_create(
      cluster, name, Int32(partitions), Int32(replicationFactor))
    try check(code, "create topic \(name) on the mock cluster")
  }

  /// Makes metadata and produce requests answer with an error code for this topic; 0 ends that.
  public func setTopicError(_ name: String, code: Int32) {
    unsafe rd_kafka_mock_topic_set_error(cluster, name, rd_kafka_resp_err_t(rawValue: code))
  }

  /// The requests into which errors can be pushed, with their number in Kafka's protocol.
  public enum Request: Int16, Sendable {
    /// Produce.
    case produce = 0
    /// Fetch.
    case fetch = 1
    /// Metadata.
    case metadata = 3
    /// OffsetCommit.
    case offsetCommit = 8
    /// FindCoordinator.
    case findCoordinator = 10
    /// JoinGroup.
    case joinGroup = 11
    /// Heartbeat.
    case heartbeat = 12
    /// SyncGroup.
    case syncGroup = 14
    /// InitProducerId.
    case initProducerID = 22
  }

  /// Makes the next requests of a kind fail, one with each code; -195 (`_TRANSPORT`) disconnects.
  public func pushErrors(_ request: Request, _ codes: [Int32]) {
    let errors = codes.map { rd_kafka_resp_err_t(rawValue: $0) }
    // SAFETY: the codes are copied.
    unsafe rd_kafka_mock_push_request_errors_array(
      cluster, request.rawValue, errors.count, errors)
  }

  /// Takes back the errors that were pushed and not yet answered.
  public func clearErrors(_ request: Request) {
    unsafe rd_kafka_mock_clear_request_errors(cluster, request.rawValue)
  }

  /// Closes a broker's connections and refuses new ones.
  public func setBrokerDown(_ broker: Int) throws(KafkaError) {
    try check(
      unsafe rd_kafka_mock_broker_set_down(cluster, Int32(broker)), "stop mock broker \(broker)")
  }

  /// Lets a broker accept connections again.
  public func setBrokerUp(_ broker: Int) throws(KafkaError) {
    try check(
      unsafe rd_kafka_mock_broker_set_up(cluster, Int32(broker)), "start mock broker \(broker)")
  }

  /// Delays every answer of a broker by `milliseconds`.
  public func setRoundTrip(_ broker: Int, milliseconds: Int) throws(KafkaError) {
    try check(
      unsafe rd_kafka_mock_broker_set_rtt(cluster, Int32(broker), Int32(milliseconds)),
      "delay mock broker \(broker)")
  }

  /// Makes a broker the leader of a partition.
  public func setLeader(topic: String, partition: Int32, broker: Int) throws(KafkaError) {
    try check(
      unsafe rd_kafka_mock_partition_set_leader(cluster, topic, partition, Int32(broker)),
      "move the leader of topic \(topic)")
  }

  private func check(_ code: rd_kafka_resp_err_t, _ operation: String) throws(KafkaError) {
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, operation: operation) }
  }
}
