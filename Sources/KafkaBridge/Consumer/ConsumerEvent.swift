import CRdKafka

/// What a consumer's owner has to know or to answer, besides records.
public enum ConsumerEvent: Sendable {
  /// The group gave these partitions to this member; answered by
  /// ``Consumer/assign(_:startingAt:)``, before which none of their records come.
  case assigned([TopicPartition])
  /// The group takes these partitions away and waits; they are paused already.
  ///
  /// Finish or drop what is in work, commit what is done, then answer by ``Consumer/unassign(_:)``.
  /// With `isLost` the group has given them to somebody else: nothing may be committed.
  case revoked([TopicPartition], isLost: Bool)
  /// An asynchronous commit ended.
  case committed([PartitionOffset], KafkaError?)
  /// The end of a partition was reached (with `enable.partition.eof`); the offset is the next one.
  case endOfPartition(PartitionOffset)
  /// An error of the client or of one partition; the consumer goes on unless it is fatal.
  case error(KafkaError)
}

/// What librdkafka's callbacks of a consumer leave for the next poll.
///
/// They run inside the calls that poll, on the polling thread; after `isClosing` was set they only
/// let partitions go.
final class ConsumerContext: ClientContext {
  /// What has not been returned by a poll.
  var events: [ConsumerEvent] = []
  /// The rebalance that waits for the owner's answer; the group waits with it.
  var unanswered: ConsumerEvent?
  /// Whether the group has ever given this member anything.
  var wasAssigned = false
  /// Whether nobody answers any more.
  var isClosing = false

  /// Sets the callbacks on a configuration object.
  // Not in an isolated context: a C callback formed there traps on another thread.
  static func setCallbacks(on conf: OpaquePointer) {
    unsafe rd_kafka_conf_set_rebalance_cb(conf) { client, code, list, opaque in
      guard let client = unsafe client, let context = unsafe ConsumerContext.of(opaque) else {
        return
      }
      unsafe context.rebalance(client, code, list)
    }
    unsafe rd_kafka_conf_set_offset_commit_cb(conf) { _, code, list, opaque in
      guard let context = unsafe ConsumerContext.of(opaque) else { return }
      let places = unsafe PartitionList.elements(list)
      context.events.append(
        .committed(places.map(\.place), ConsumerContext.commitError(code, places)))
    }
    unsafe rd_kafka_conf_set_error_cb(conf) { client, code, text, opaque in
      guard let context = unsafe ConsumerContext.of(opaque), !context.isClosing else { return }
      let words = unsafe text.map { unsafe String(cString: $0) }
      context.events.append(
        .error(
          KafkaError(
            rd_kafka_resp_err_t(rawValue: code), text: words, operation: "read from Kafka")))
    }
  }

  /// The first error of a commit, of the call or of one of its partitions.
  static func commitError(
    _ code: rd_kafka_resp_err_t, _ places: [(place: PartitionOffset, code: rd_kafka_resp_err_t)]
  ) -> KafkaError? {
    if code != RD_KAFKA_RESP_ERR_NO_ERROR, places.isEmpty {
      return KafkaError(code, operation: "commit offsets")
    }
    guard let bad = places.first(where: { $0.code != RD_KAFKA_RESP_ERR_NO_ERROR }) else {
      return code == RD_KAFKA_RESP_ERR_NO_ERROR
        ? nil : KafkaError(code, operation: "commit offsets")
    }
    return KafkaError(
      bad.code, operation: "commit the offset of \(bad.place.partition)",
      topic: bad.place.partition.topic)
  }

  private static func of(_ opaque: UnsafeMutableRawPointer?) -> ConsumerContext? {
    guard let opaque = unsafe opaque else { return nil }
    // SAFETY: the context is released only after the instance is gone.
    return unsafe Unmanaged<ConsumerContext>.fromOpaque(opaque).takeUnretainedValue()
  }

  private func ask(_ rebalance: ConsumerEvent) {
    unanswered = rebalance
    events.append(rebalance)
  }

  /// Takes a rebalance: asks the owner, or answers in its place while closing.
  func rebalance(
    _ client: OpaquePointer, _ code: rd_kafka_resp_err_t,
    _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
  ) {
    let partitions = unsafe PartitionList.elements(UnsafePointer(list)).map(\.place.partition)
    if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS { wasAssigned = true }
    switch code {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS where !isClosing:
      ask(.assigned(partitions))
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where !isClosing:
      // librdkafka has paused them: no record of them follows the event.
      ask(.revoked(partitions, isLost: unsafe rd_kafka_assignment_lost(client) != 0))
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where unsafe isCooperative(client):
      if let error = unsafe rd_kafka_incremental_unassign(client, list) {
        unsafe rd_kafka_error_destroy(error)
      }
    default:
      // What librdkafka asks for when it does not know how to go on.
      unsafe rd_kafka_assign(client, nil)
    }
  }
}

/// Whether the group rebalances by giving and taking single partitions.
func isCooperative(_ client: OpaquePointer) -> Bool {
  // SAFETY: a static text of the library.
  unsafe rd_kafka_rebalance_protocol(client).map { unsafe String(cString: $0) } == "COOPERATIVE"
}
