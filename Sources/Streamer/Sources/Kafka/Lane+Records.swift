import KafkaBridge
import PGWire

/// A place in a partition: the offset of the record that is read next.
struct KafkaOffset: TrackedPosition, Hashable {
  static let zero = KafkaOffset(0)

  /// The offset.
  let value: Int64

  init(_ value: Int64) { self.value = value }

  static func < (a: KafkaOffset, b: KafkaOffset) -> Bool { a.value < b.value }
}

/// Records of partitions, each a transaction of its own that ends at the next offset: what a strand
/// has confirmed is the offset that may be committed.
extension Lane where Position == KafkaOffset {
  /// Whether a record was taken before.
  private func has(_ partition: Int, _ offset: Int64) -> Bool {
    end(of: partition).map { offset < $0.value } ?? false
  }

  /// Begins with a record; nothing below the first one of a reading is ours to deliver.
  private mutating func begin(_ partition: Int, at offset: Int64) -> UInt64 {
    if confirmed(of: partition) == nil { place(partition, at: KafkaOffset(max(offset, 0))) }
    return begin(strand: partition)
  }

  /// Passes a record over that does not concern this lane.
  mutating func pass(_ partition: Int, at offset: Int64) {
    guard !has(partition, offset) else { return }
    _ = begin(partition, at: offset)
    commit(strand: partition, end: KafkaOffset(offset + 1))
  }

  /// Takes a record, unless it was taken before; without a route it is excluded.
  ///
  /// Key, value and headers go into the sink's batch as they are.
  mutating func take(
    _ partition: Int, at offset: Int64, key: RawSpan?, value: RawSpan?, headers: [RecordHeader],
    route: Route?
  ) {
    guard !has(partition, offset) else {
      counts.repeated += 1
      return
    }
    guard let route else {
      counts.excluded += 1
      return pass(partition, at: offset)
    }
    let ticket = begin(partition, at: offset)
    let first = batch.count
    let keyRange = append(key)
    let valueRange = append(value)
    batch.add(key: keyRange, value: valueRange, route: route, ticket: ticket, headers: headers)
    produced(from: first, strand: partition, table: route.table, place: "offset \(offset)")
    commit(strand: partition, end: KafkaOffset(offset + 1))
  }

  private mutating func append(_ part: RawSpan?) -> Range<Int>? {
    guard let part else { return nil }
    let start = batch.bytes.count
    batch.bytes.append(part)
    return start..<batch.bytes.count
  }
}
