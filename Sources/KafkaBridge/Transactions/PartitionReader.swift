import CRdKafka

// A class because librdkafka's handle has one owner that closes it.
// SAFETY: confined to the thread that reads.

/// Reads pieces of single partitions, outside any group: the end of one, or what lies at an offset.
///
/// It is for short looks, each of which asks the broker anew. One thread reads and closes.
@safe public final class PartitionReader: @unchecked Sendable {
  private let consumer: Consumer

  /// Makes a reader of what is committed, or, with `committedOnly` false, of all that was written,
  /// with the connection's properties of `configuration`.
  public init(
    configuration: KafkaConfiguration, committedOnly: Bool = true
  ) throws(KafkaError) {
    var configuration = configuration
    configuration.set("isolation.level", committedOnly ? "read_committed" : "read_uncommitted")
    configuration.set("enable.partition.eof", "true")
    // The broker answers at once when there is nothing: the end is what is looked for.
    configuration.set("fetch.wait.max.ms", "10")
    consumer = try Consumer(configuration: configuration)
  }

  /// Ends the reader in bounded time.
  public func close(timeout: Duration) { consumer.close(timeout: timeout) }

  /// The first offset of a partition and the one behind its last record that may be read.
  public func bounds(
    of partition: TopicPartition, timeout: Duration
  ) throws(KafkaError) -> Range<Int64> {
    var (low, high) = (Int64(0), Int64(0))
    let code = unsafe rd_kafka_query_watermark_offsets(
      consumer.handle.client, partition.topic, partition.partition, &low, &high,
      Deadline(timeout).milliseconds())
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaError(
        code, operation: "look for the end of \(partition)", topic: partition.topic)
    }
    return low..<max(low, high)
  }

  /// Hands over the records of partitions from given offsets on, until each has come to its end or
  /// `body` has said false of it, and gives the offset at which each stopped.
  ///
  /// Throws what the broker says, or `_TIMED_OUT`.
  @discardableResult
  public func read(
    from places: [PartitionOffset], timeout: Duration,
    _ body: (borrowing ConsumedRecord) -> Bool
  ) throws(KafkaError) -> [TopicPartition: Int64] {
    guard !places.isEmpty else { return [:] }
    let deadline = Deadline(timeout)
    let offsets = Dictionary(places.map { ($0.partition, $0.offset) }) { $1 }
    try consumer.assign(places.map(\.partition), startingAt: offsets)
    defer { try? consumer.unassign([]) }
    var ends: [TopicPartition: Int64] = [:]
    var failure: KafkaError?
    while ends.count < offsets.count, failure == nil {
      let outcome = consumer.poll { record in
        let partition = TopicPartition(topic: record.topic, partition: record.partition)
        guard ends[partition] == nil else { return }
        if !body(record) { ends[partition] = record.offset }
      }
      switch outcome.event {
      case .endOfPartition(let place): ends[place.partition] = ends[place.partition] ?? place.offset
      // It reads in no group, though librdkafka looks for the coordinator of one.
      case .error(let error) where error.name == "GROUP_AUTHORIZATION_FAILED": break
      case .error(let error) where !error.isRetriable: failure = error
      case .error, .assigned, .revoked, .committed: break
      case nil:
        guard !deadline.isPast else {
          failure = KafkaError(
            RD_KAFKA_RESP_ERR__TIMED_OUT, operation: "read \(places[0].partition)",
            topic: places[0].partition.topic)
          break
        }
        if outcome.records == 0 { pause(milliseconds: 2) }
      }
    }
    if let failure { throw failure }
    return ends
  }
}
