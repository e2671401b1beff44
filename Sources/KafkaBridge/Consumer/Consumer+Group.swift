import CRdKafka

// Partitions that come and go, offsets, and the end.
extension Consumer {
  /// Answers ``ConsumerEvent/assigned(_:)``: reading starts at the committed offsets, or where
  /// `startingAt` says.
  public func assign(
    _ partitions: [TopicPartition], startingAt: [TopicPartition: Int64] = [:]
  ) throws(KafkaError) {
    context.unanswered = nil
    let list = PartitionList(partitions, offsets: startingAt)
    guard unsafe isCooperative(handle.client) else {
      return try check(unsafe rd_kafka_assign(handle.client, list.pointer), "take partitions")
    }
    if let error = unsafe rd_kafka_incremental_assign(handle.client, list.pointer) {
      throw unsafe KafkaError(consuming: error, operation: "take partitions")
    }
  }

  /// Answers ``ConsumerEvent/revoked(_:isLost:)``, after what was done has been committed.
  public func unassign(_ partitions: [TopicPartition]) throws(KafkaError) {
    context.unanswered = nil
    guard unsafe isCooperative(handle.client) else {
      return try check(unsafe rd_kafka_assign(handle.client, nil), "give partitions back")
    }
    let list = PartitionList(partitions)
    if let error = unsafe rd_kafka_incremental_unassign(handle.client, list.pointer) {
      throw unsafe KafkaError(consuming: error, operation: "give partitions back")
    }
  }

  /// Stops reading these partitions; records that were fetched already are fetched again later.
  public func pause(_ partitions: [TopicPartition]) throws(KafkaError) {
    let list = PartitionList(partitions)
    try check(unsafe rd_kafka_pause_partitions(handle.client, list.pointer), "pause partitions")
  }

  /// Goes on reading these partitions.
  public func resume(_ partitions: [TopicPartition]) throws(KafkaError) {
    let list = PartitionList(partitions)
    try check(unsafe rd_kafka_resume_partitions(handle.client, list.pointer), "resume partitions")
  }

  /// Commits offsets and waits for the broker's answer, at most for `timeout`.
  ///
  /// Throws the first error, `_TIMED_OUT` when no answer came: then they may or may not count.
  public func commit(_ places: [PartitionOffset], timeout: Duration) throws(KafkaError) {
    guard !places.isEmpty else { return }
    let list = Consumer.list(places)
    let operation = "commit offsets"
    guard let queue = unsafe rd_kafka_queue_new(handle.client) else {
      throw KafkaError(rd_kafka_last_error(), operation: operation)
    }
    // SAFETY: the queue and its event are destroyed on every path; a late answer finds no queue.
    defer { unsafe rd_kafka_queue_destroy(queue) }
    let code = unsafe rd_kafka_commit_queue(handle.client, list.pointer, queue, nil, nil)
    try check(code, operation)
    let milliseconds = Deadline(timeout).milliseconds()
    guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds) else {
      throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation)
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    let answers = unsafe PartitionList.elements(
      UnsafePointer(rd_kafka_event_topic_partition_list(event)))
    let failure = ConsumerContext.commitError(unsafe rd_kafka_event_error(event), answers)
    if let failure { throw failure }
  }

  /// Commits offsets without waiting; ``ConsumerEvent/committed(_:_:)`` tells the end.
  public func commitLater(_ places: [PartitionOffset]) throws(KafkaError) {
    guard !places.isEmpty else { return }
    let list = Consumer.list(places)
    try check(unsafe rd_kafka_commit(handle.client, list.pointer, 1), "commit offsets")
  }

  /// The offsets that the group has committed for these partitions; those without one are left out.
  public func committed(
    _ partitions: [TopicPartition], timeout: Duration
  ) throws(KafkaError) -> [PartitionOffset] {
    let list = PartitionList(partitions)
    let milliseconds = Deadline(timeout).milliseconds()
    let code = unsafe rd_kafka_committed(handle.client, list.pointer, milliseconds)
    try check(code, "read committed offsets")
    return unsafe PartitionList.elements(UnsafePointer(list.pointer)).map(\.place)
      .filter { $0.offset >= 0 }
  }

  /// Gives the partitions back, leaves the group and ends the instance.
  ///
  /// What was not committed comes again. All of it takes at most `timeout`; it says whether the
  /// instance ended in time; if not, its threads end on their own. A member that never
  /// got a partition leaves its group, but librdkafka before 2.3.0 cannot end it: it is left behind.
  @discardableResult
  public func close(timeout: Duration) -> Bool {
    precondition(wakeUp != nil, "a consumer is closed once")
    let deadline = Deadline(timeout)
    context.isClosing = true
    answerForOwner()
    // The reference to the queue has to go before the consumer closes.
    wakeUp = nil
    let departure = unsafe Departure(handle.client, context)
    let hasLeft = departure.run(until: deadline)
    if isSubscribed, !context.wasAssigned, !KafkaVersion.destroysUnassignedMembers {
      handle.abandon()
      return false
    }
    guard hasLeft else {
      // Destroyed now, librdkafka would turn without a pause until the group lets it go.
      return handle.destroy(within: .zero) { _ = departure.run(until: nil) }
    }
    return handle.destroy(within: .milliseconds(Int64(deadline.milliseconds())))
  }

  // A group that waits for an answer would keep the instance from leaving it.
  private func answerForOwner() {
    do throws(KafkaError) {
      switch context.unanswered {
      case .assigned(let partitions): try assign(partitions)
      case .revoked(let partitions, _): try unassign(partitions)
      default: break
      }
    } catch {
      // What cannot be answered now is answered by the end of the session.
    }
  }

  private static func list(_ places: [PartitionOffset]) -> PartitionList {
    PartitionList(
      places.map(\.partition),
      offsets: Dictionary(places.map { ($0.partition, $0.offset) }) { max($0, $1) })
  }
}

/// A member's way out of its group.
///
/// Everything that is on its way to the owner comes to the queue that closing uses, records that were
/// fetched too. Those have no callback, and serving the queue by callbacks ends the process when it
/// meets one (an assertion of librdkafka): so everything is taken as an event, and a rebalance, whose
/// callback does not run then, is answered here.
// SAFETY: used by one thread after the other, the owner's and then the one that destroys the instance.
@safe private final class Departure: @unchecked Sendable {
  private let client: OpaquePointer
  private let context: ConsumerContext
  /// Where what is on its way comes; nil when there is nothing to leave.
  private let queue: OpaquePointer?

  /// Asks the instance to leave.
  init(_ client: OpaquePointer, _ context: ConsumerContext) {
    unsafe self.client = client
    self.context = context
    let queue = unsafe rd_kafka_queue_new(client)
    if let error = unsafe rd_kafka_consumer_close_queue(client, queue) {
      // There is nothing to leave.
      unsafe rd_kafka_error_destroy(error)
      unsafe rd_kafka_queue_destroy(queue)
      unsafe self.queue = nil
    } else {
      unsafe self.queue = queue
    }
  }

  /// Serves what comes until the group has been left, or until `deadline`, and says whether it has.
  func run(until deadline: Deadline?) -> Bool {
    guard let queue = unsafe queue else { return true }
    while unsafe rd_kafka_consumer_closed(client) == 0 {
      if let deadline, deadline.isPast { return false }
      let wait = deadline?.milliseconds(atMost: 50) ?? 1000
      // SAFETY: every event is destroyed after its last use.
      guard let event = unsafe rd_kafka_queue_poll(queue, wait) else { continue }
      defer { unsafe rd_kafka_event_destroy(event) }
      guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE else { continue }
      unsafe context.rebalance(
        client, rd_kafka_event_error(event), rd_kafka_event_topic_partition_list(event))
    }
    unsafe rd_kafka_queue_destroy(queue)
    return true
  }
}
