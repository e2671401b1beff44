import Glibc
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
  /// How long what becomes of a transaction is waited for.
  var patience = Limits.positionRead
  /// Whether the topic is known to be there: who knows nothing of it has not heard yet.
  private(set) var isThere = false
  /// Whether nobody waits for an answer any more.
  private(set) var isAbandoned: @Sendable () -> Bool = { false }

  /// Why the last position cannot be said.
  private enum Fault: Error {
    case kafka(KafkaError)
    /// A transaction there is neither committed nor aborted.
    case undecided(TopicPartition)
  }

  /// The same for a sink that makes sure of the topic before it asks, and may be told to end meanwhile.
  func ofClaims(isAbandoned: @escaping @Sendable () -> Bool) -> Self {
    var topic = self
    topic.isThere = true
    topic.isAbandoned = isAbandoned
    return topic
  }

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
  /// Blocks, and must be called when no transaction of its writer's can be open any more. A broker that
  /// has crashed may say so before all partitions know what became of the last one: until they do, that
  /// position cannot be seen, and an earlier one is not the last.
  func last() throws(StreamerError) -> PositionRecord? {
    do throws(Fault) {
      let committed = try reader(committedOnly: true)
      defer { committed.close(timeout: .zero) }
      let everything = try reader(committedOnly: false)
      defer { everything.close(timeout: .zero) }
      guard let bytes = try lastValue(committed, everything) else { return nil }
      if let record = PositionRecord(bytes) {
        return try checked(record, committed, everything)
      }
    } catch {
      switch error {
      case .undecided(let partition): throw undecided(partition)
      case .kafka(let error) where error.category == .missingTopic:
        // Made at the first start, and not deleted since.
        guard isThere else { return nil }
        throw StreamerError(
          what: "sink \(sink)", why: "a broker does not know topic \(error.topic ?? name) yet",
          retryable: true)
      case .kafka(let error): throw StreamerError(error, sink: sink)
      }
    }
    throw StreamerError(
      what: "sink \(sink)", why: "the last position in topic \(name) cannot be read",
      hint: "A newer psql-streamer may have written it.", exit: .preflight)
  }

  private func undecided(_ partition: TopicPartition) -> StreamerError {
    StreamerError(
      what: "sink \(sink)",
      why: "a transaction in \(partition) is neither committed nor aborted, so nobody can say what "
        + "was committed last",
      hint:
        "It ends within its producer's transaction.timeout.ms; kafka-transactions.sh find-hanging "
        + "shows one that does not.", retryable: true, cause: .undecided)
  }

  /// Where a transaction of this key's writer is neither committed nor aborted: partitions of data that
  /// it has written, and then this topic's own; nothing where there is none.
  ///
  /// Once the writer is shut out that is a transaction which the cluster says is over, and has forgotten to
  /// end: see ``TransactionalKafkaSink/claim()``.
  func forgotten() throws(StreamerError) -> [[TopicPartition]] {
    do throws(Fault) {
      let committed = try reader(committedOnly: true)
      defer { committed.close(timeout: .zero) }
      let everything = try reader(committedOnly: false)
      defer { everything.close(timeout: .zero) }
      return try Self.asked { () throws(KafkaError) in
        let decided = try committed.bounds(of: partition, timeout: Limits.positionRead).upperBound
        // What is not decided begins there; behind it may lie what is.
        var first: PositionRecord?
        try everything.read(
          from: [PartitionOffset(partition, decided)], timeout: Limits.positionRead
        ) { record in
          if let recordKey = record.key, recordKey.bytes == key, let value = record.value {
            first = PositionRecord(value.bytes)
          }
          return false
        }
        guard let first else { return [] }
        var places: [TopicPartition] = []
        for piece in first.written {
          do throws(KafkaError) {
            let bounds = try committed.bounds(of: piece.partition, timeout: Limits.positionRead)
            if bounds.upperBound <= piece.lastOffset { places.append(piece.partition) }
          } catch {
            // One that was deleted since holds nothing up.
            guard error.category == .missingTopic else { throw error }
          }
        }
        return [places, [partition]]
      }
    } catch {
      switch error {
      case .undecided(let partition): throw undecided(partition)
      case .kafka(let error): throw StreamerError(error, sink: sink)
      }
    }
  }

  private static func asked<Answer>(
    _ ask: () throws(KafkaError) -> Answer
  ) throws(Fault) -> Answer {
    do throws(KafkaError) { return try ask() } catch { throw .kafka(error) }
  }

  private func reader(committedOnly: Bool) throws(Fault) -> PartitionReader {
    try Self.asked { () throws(KafkaError) in
      try PartitionReader(configuration: properties, committedOnly: committedOnly)
    }
  }

  private func lastValue(
    _ reader: PartitionReader, _ everything: PartitionReader
  ) throws(Fault) -> [UInt8]? {
    let written = try Self.asked { () throws(KafkaError) in
      try everything.bounds(of: partition, timeout: Limits.positionRead)
    }
    try wait(until: partition, isDecidedBefore: written.upperBound, reader)
    let bounds = try Self.asked { () throws(KafkaError) in
      try reader.bounds(of: partition, timeout: Limits.positionRead)
    }
    let tail = max(bounds.lowerBound, bounds.upperBound - Limits.positionTail)
    let found = try last(from: tail, to: bounds.upperBound, reader)
    guard found == nil, tail > bounds.lowerBound else { return found }
    return try last(from: bounds.lowerBound, to: bounds.upperBound, reader)
  }

  /// Waits until what is committed can be read up to an offset.
  private func wait(
    until partition: TopicPartition, isDecidedBefore end: Int64, _ reader: PartitionReader
  ) throws(Fault) {
    let deadline = ContinuousClock.now + patience
    var isTold = false
    while true {
      let bounds = try Self.asked { () throws(KafkaError) in
        try reader.bounds(of: partition, timeout: Limits.positionRead)
      }
      guard bounds.upperBound < end else { return }
      guard .now < deadline, !isAbandoned() else { throw .undecided(partition) }
      if !isTold {
        isTold = true
        log.warning(
          "waiting for what becomes of a transaction",
          ["partition": "\(partition)", "decidedBefore": bounds.upperBound, "end": end])
      }
      usleep(Limits.decisionPause)
    }
  }

  private func last(
    from start: Int64, to end: Int64, _ reader: PartitionReader
  ) throws(Fault) -> [UInt8]? {
    guard start < end else { return nil }
    var found: [UInt8]?
    let stops = try Self.asked { () throws(KafkaError) in
      try reader.read(from: [PartitionOffset(partition, start)], timeout: Limits.positionRead) {
        record in
        if let recordKey = record.key, recordKey.bytes == key { found = record.value?.bytes }
        return true
      }
    }
    // What comes of it may end before what the broker has just said.
    guard stops[partition] ?? start >= end else { throw .undecided(partition) }
    return found
  }

  /// Compares a position with what its transaction has written: where a committed record is missing,
  /// the transaction was torn, and reading begins again before it.
  ///
  /// The protocol that librdkafka speaks allows that when a request is delayed (KIP-890).
  private func checked(
    _ record: PositionRecord, _ committed: PartitionReader, _ everything: PartitionReader
  ) throws(Fault) -> PositionRecord {
    let lasts = record.written.filter { $0.lastOffset >= 0 }.map {
      PartitionOffset($0.partition, $0.lastOffset)
    }
    // What is not there at all was deleted, or compacted away, since.
    let there = try present(lasts, everything)
    for place in there {
      try wait(until: place.partition, isDecidedBefore: place.offset + 1, committed)
    }
    let found = Set(try present(there, committed))
    guard let torn = there.first(where: { !found.contains($0) }) else { return record }
    log.error(
      "the last transaction was torn: its position was committed, and records of it were not",
      [
        "partition": "\(torn.partition)", "offset": torn.offset, "position": record.position.lsn,
        "again": record.from.lsn,
      ])
    var before = record
    before.position.lsn = record.from.lsn
    before.cut = record.from.cut
    before.copied = record.copied?.before(record.from.copied)
    return before
  }

  /// The places at which a record can be read.
  private func present(
    _ places: [PartitionOffset], _ reader: PartitionReader
  ) throws(Fault) -> [PartitionOffset] {
    try Self.asked { () throws(KafkaError) in
      var within: [PartitionOffset] = []
      for place in places {
        do throws(KafkaError) {
          let bounds = try reader.bounds(of: place.partition, timeout: Limits.positionRead)
          if bounds.contains(place.offset) { within.append(place) }
        } catch {
          guard error.category == .missingTopic else { throw error }
        }
      }
      var found: Set<TopicPartition> = []
      let offsets = Dictionary(within.map { ($0.partition, $0.offset) }) { $1 }
      try reader.read(from: within, timeout: Limits.positionRead) { record in
        let partition = TopicPartition(topic: record.topic, partition: record.partition)
        if offsets[partition] == record.offset { found.insert(partition) }
        return false
      }
      return within.filter { found.contains($0.partition) }
    }
  }
}

extension RawSpan {
  /// A copy of the bytes.
  fileprivate var bytes: [UInt8] {
    (0..<byteCount).map { self[$0] }
  }
}
