import KafkaBridge
import PGWire

/// The topic in which an exactly-once sink keeps its position of one source: one partition, compacted,
/// and written by nobody else.
struct PositionTopic: Sendable {
  /// Its name.
  let name: String
  /// The sink's name, for errors.
  let sink: String
  /// The key of the position's records.
  let key: [UInt8]
  /// How to reach the cluster for reading.
  let properties: KafkaConfiguration
  let log: Log

  /// How the topic is made where it does not exist.
  func new(replication: Int) -> NewTopic {
    NewTopic(
      name, partitions: 1, replicationFactor: replication,
      config: [
        "cleanup.policy": "compact", "segment.bytes": "\(Limits.positionSegmentBytes)",
      ])
  }

  private var partition: TopicPartition { TopicPartition(topic: name, partition: 0) }

  /// The position that was committed last, as far as what it led to is there; nil when there is none.
  ///
  /// Blocks, and must be called when no transaction of its writer's can be open any more.
  func last() throws(StreamerError) -> PositionRecord? {
    do throws(KafkaError) {
      guard let bytes = try lastValue() else { return nil }
      if let record = PositionRecord(bytes) { return try checked(record) }
    } catch {
      // Made at the first start, and not deleted since.
      if error.category == .missingTopic { return nil }
      throw StreamerError(error, sink: sink)
    }
    throw StreamerError(
      what: "sink \(sink)", why: "the last position in topic \(name) cannot be read",
      hint: "A newer psql-streamer may have written it.", exit: .preflight)
  }

  private func lastValue() throws(KafkaError) -> [UInt8]? {
    let reader = try PartitionReader(configuration: properties)
    defer { reader.close(timeout: .zero) }
    let bounds = try reader.bounds(of: partition, timeout: Limits.positionRead)
    let tail = max(bounds.lowerBound, bounds.upperBound - Limits.positionTail)
    var found = try last(from: tail, to: bounds.upperBound, reader)
    if found == nil, tail > bounds.lowerBound {
      found = try last(from: bounds.lowerBound, to: bounds.upperBound, reader)
    }
    return found
  }

  private func last(
    from start: Int64, to end: Int64, _ reader: PartitionReader
  ) throws(KafkaError) -> [UInt8]? {
    guard start < end else { return nil }
    var found: [UInt8]?
    try reader.read(from: [PartitionOffset(partition, start)], timeout: Limits.positionRead) {
      record in
      if let recordKey = record.key, recordKey.bytes == key { found = record.value?.bytes }
      return true
    }
    return found
  }

  /// Compares a position with what its transaction has written: where a committed record is missing,
  /// the transaction was torn, and reading begins again before it.
  ///
  /// The protocol that librdkafka speaks allows that when a request is delayed (KIP-890).
  private func checked(
    _ record: PositionRecord
  ) throws(KafkaError) -> PositionRecord {
    let committed = try PartitionReader(configuration: properties)
    defer { committed.close(timeout: .zero) }
    let lasts = record.written.filter { $0.lastOffset >= 0 }.map {
      PartitionOffset($0.partition, $0.lastOffset)
    }
    let missing = try missing(lasts, committed)
    guard !missing.isEmpty else { return record }
    // What is not there at all was deleted, or compacted away, since.
    let everything = try PartitionReader(configuration: properties, committedOnly: false)
    defer { everything.close(timeout: .zero) }
    let gone = Set(try self.missing(missing, everything))
    guard let torn = missing.first(where: { !gone.contains($0) }) else { return record }
    log.error(
      "the last transaction was torn: its position was committed, and records of it were not",
      [
        "partition": "\(torn.partition)", "offset": torn.offset, "position": record.position.lsn,
        "again": record.from.lsn,
      ])
    var before = record
    before.position.lsn = record.from.lsn
    before.cut = record.from.cut
    return before
  }

  /// The places at which no record can be read, among those whose topics are still there.
  private func missing(
    _ places: [PartitionOffset], _ reader: PartitionReader
  ) throws(KafkaError) -> [PartitionOffset] {
    var there: [PartitionOffset] = []
    var missing: [PartitionOffset] = []
    for place in places {
      do throws(KafkaError) {
        let bounds = try reader.bounds(of: place.partition, timeout: Limits.positionRead)
        if bounds.contains(place.offset) { there.append(place) } else { missing.append(place) }
      } catch {
        guard error.category == .missingTopic else { throw error }
      }
    }
    var found: Set<TopicPartition> = []
    let offsets = Dictionary(there.map { ($0.partition, $0.offset) }) { $1 }
    try reader.read(from: there, timeout: Limits.positionRead) { record in
      let partition = TopicPartition(topic: record.topic, partition: record.partition)
      if offsets[partition] == record.offset { found.insert(partition) }
      return false
    }
    return missing + there.filter { !found.contains($0.partition) }
  }
}

extension RawSpan {
  /// A copy of the bytes.
  fileprivate var bytes: [UInt8] {
    (0..<byteCount).map { self[$0] }
  }
}
