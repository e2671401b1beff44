import PGWire

/// Records that were read and cannot be taken yet, copied, in their order.
///
/// It is bounded by what one poll brings; nothing is polled while it holds something.
struct KafkaBacklog: ~Copyable {
  private struct Entry {
    let partition: Int
    let offset: Int64
    let key: Range<Int>?
    let value: Range<Int>?
  }

  private var bytes = ByteWriter(capacity: 4096)
  private var entries: [Entry] = []
  private var first = 0

  /// Whether it holds no record.
  var isEmpty: Bool { first == entries.count }

  /// Adds a record.
  mutating func append(partition: Int, offset: Int64, key: RawSpan?, value: RawSpan?) {
    let keyRange = append(key)
    let valueRange = append(value)
    entries.append(Entry(partition: partition, offset: offset, key: keyRange, value: valueRange))
  }

  private mutating func append(_ part: RawSpan?) -> Range<Int>? {
    guard let part else { return nil }
    let start = bytes.count
    bytes.append(part)
    return start..<bytes.count
  }

  /// Gives the records to `take`, in order, until it refuses one, which stays.
  mutating func drain(
    _ take: (_ partition: Int, _ offset: Int64, _ key: RawSpan?, _ value: RawSpan?) -> Bool
  ) {
    while first < entries.count {
      let entry = entries[first]
      let isTaken =
        switch (entry.key, entry.value) {
        case (let key?, let value?):
          take(entry.partition, entry.offset, bytes.bytes(key), bytes.bytes(value))
        case (let key?, nil): take(entry.partition, entry.offset, bytes.bytes(key), nil)
        case (nil, let value?): take(entry.partition, entry.offset, nil, bytes.bytes(value))
        case (nil, nil): take(entry.partition, entry.offset, nil, nil)
        }
      guard isTaken else { return }
      first += 1
    }
    removeAll()
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
