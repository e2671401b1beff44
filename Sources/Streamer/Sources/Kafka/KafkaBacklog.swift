import KafkaBridge
import PGWire

/// Records that were read and cannot be taken yet, copied, in their order.
///
/// It is bounded by what one poll brings; nothing is polled while it holds something.
struct KafkaBacklog: ~Copyable {
  /// One record: places in the backlog's bytes.
  struct Entry {
    let partition: Int
    let offset: Int64
    let key: Range<Int>?
    let value: Range<Int>?
    let headers: [RecordHeader]
  }

  private var bytes = ByteWriter(capacity: 4096)
  private var entries: [Entry] = []
  private var first = 0

  /// Whether it holds no record.
  var isEmpty: Bool { first == entries.count }

  /// The record that waits longest; nil when there is none.
  var next: Entry? { isEmpty ? nil : entries[first] }

  /// The bytes at a place; nil for what is null.
  @_lifetime(borrow self)
  func part(_ range: Range<Int>?) -> RawSpan? {
    guard let range else { return nil }
    return bytes.bytes(range)
  }

  /// Adds a record.
  mutating func append(
    partition: Int, offset: Int64, key: RawSpan?, value: RawSpan?, headers: [RecordHeader]
  ) {
    let keyRange = append(key)
    let valueRange = append(value)
    entries.append(
      Entry(
        partition: partition, offset: offset, key: keyRange, value: valueRange, headers: headers))
  }

  private mutating func append(_ part: RawSpan?) -> Range<Int>? {
    guard let part else { return nil }
    let start = bytes.count
    bytes.append(part)
    return start..<bytes.count
  }

  /// The record that waited longest was taken.
  mutating func removeFirst() {
    first += 1
    if isEmpty { removeAll() }
  }

  /// Forgets the records of a partition, which somebody else reads from now on.
  mutating func forget(_ partition: Int) {
    entries.removeFirst(first)
    first = 0
    entries.removeAll { $0.partition == partition }
    if entries.isEmpty { removeAll() }
  }

  /// Forgets all records: they will be read again.
  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    first = 0
    bytes.removeAll()
    bytes.shrink(to: Limits.batchBytes)
  }
}
