import CRdKafka

// Transactions: records that become visible together, or not at all.
//
// The calls block and may be made from any thread, one at a time; nothing may be produced while
// one of them is under way.
extension Producer {
  /// Takes the transactional.id over: whoever had it can do nothing any more, and what it left open
  /// is aborted when this returns.
  ///
  /// To be called once, before the first transaction. On a new cluster the coordinator's topic is
  /// made first, which takes a second. Throws `_TIMED_OUT` (retriable) when no coordinator answers.
  public func initTransactions(timeout: Duration) throws(KafkaError) {
    let milliseconds = Deadline(timeout).milliseconds()
    try unsafe check(
      rd_kafka_init_transactions(handle.client, milliseconds),
      "take over the transactional.id \(transactionalID)")
  }

  /// Begins a transaction; it costs nothing before the first record.
  public func beginTransaction() throws(KafkaError) {
    try unsafe check(rd_kafka_begin_transaction(handle.client), "begin a transaction")
    written.removeAll()
  }

  /// Commits the transaction, whose records must all have been reported as delivered.
  ///
  /// An error that ``KafkaError/isRetriable`` leaves the outcome open; the same call asks for it
  /// again. One that ``KafkaError/requiresAbort`` says that nothing was committed.
  public func commitTransaction(timeout: Duration) throws(KafkaError) {
    let milliseconds = Deadline(timeout).milliseconds()
    try unsafe check(
      rd_kafka_commit_transaction(handle.client, milliseconds), "commit a transaction")
  }

  /// Gives the transaction up; its records are never seen by who reads what is committed.
  public func abortTransaction(timeout: Duration) throws(KafkaError) {
    let milliseconds = Deadline(timeout).milliseconds()
    try unsafe check(
      rd_kafka_abort_transaction(handle.client, milliseconds), "abort a transaction")
  }

  /// Whether it is known of everything in a partition below an offset what became of its transaction, and
  /// on every replica in sync: so far can be read by who reads only what is committed.
  ///
  /// Throws what the broker says, or `_TIMED_OUT`.
  public func isDecided(
    _ partition: TopicPartition, before end: Int64, timeout: Duration
  ) throws(KafkaError) -> Bool {
    var (low, high) = (Int64(0), Int64(0))
    // It asks with the default of isolation.level, which is read_committed.
    let code = unsafe rd_kafka_query_watermark_offsets(
      handle.client, partition.topic, partition.partition, &low, &high,
      Deadline(timeout).milliseconds())
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaError(
        code, operation: "look for the end of \(partition)", topic: partition.topic)
    }
    return high >= end
  }

  /// What the transaction has written so far, as its delivery reports say.
  public var writtenPartitions: [WrittenPartition] { written.all }

  private func check(_ error: OpaquePointer?, _ operation: String) throws(KafkaError) {
    guard let error = unsafe error else { return }
    throw unsafe KafkaError(consuming: error, operation: operation)
  }
}
