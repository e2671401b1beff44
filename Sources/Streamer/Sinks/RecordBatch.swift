import KafkaBridge
import PGWire

/// Encoded records on their way to one sink, gathered over one window of received bytes.
///
/// Keys and values stand in one reused buffer; an entry names their places. Once a sink has taken
/// the batch it is cleared and its memory serves the next window.
struct RecordBatch: ~Copyable {
  /// One record: places in the batch's bytes, and where it goes.
  struct Entry {
    /// The key's bytes; nil for a record without a key.
    var key: Range<Int>?
    /// The value's bytes; nil for a record without a value, a tombstone.
    var value: Range<Int>?
    /// The record's headers among the batch's.
    var headers: Range<Int>
    /// The sink's number of the topic.
    var topic: TopicID
    /// What decides the partition: murmur2 of the key, or of the table's name without one.
    var partitionHash: Int32
    /// The transaction that waits for the record's delivery.
    var ticket: UInt64

    /// Key and value together, in bytes: what the record costs of the in-flight budget.
    var size: Int { (key?.count ?? 0) + (value?.count ?? 0) }
  }

  /// The bytes that the entries' ranges refer to.
  var bytes = ByteWriter(capacity: Limits.batchBytes * 2)
  /// The records in reading order.
  private(set) var entries: [Entry] = []
  /// A header of a record.
  private struct Header {
    let name: String
    /// The value's bytes; nil for null.
    let value: Range<Int>?
  }
  /// The headers of all records, one after the other.
  private var headers: [Header] = []
  /// The records that have a time of their own, by their first headers, in milliseconds since 1970.
  private var times: [(header: Int, time: Int64)] = []

  /// How many records it holds.
  var count: Int { entries.count }

  /// Whether it holds no record.
  var isEmpty: Bool { entries.isEmpty }

  /// Whether it should be handed over before more is added.
  var isLarge: Bool { bytes.count >= Limits.batchBytes }

  /// Adds a record whose key and value were written to ``bytes`` before.
  @inline(__always)
  mutating func add(
    key: Range<Int>?, value: Range<Int>?, route: borrowing Route, ticket: UInt64,
    headers own: [RecordHeader] = [], partitionHash: Int32? = nil
  ) {
    let firstHeader = headers.count
    if !own.isEmpty { append(own) }
    add(
      key: key, value: value, route: route, ticket: ticket, headersFrom: firstHeader,
      partitionHash: partitionHash)
  }

  /// Adds a record whose key, value and headers were written before, the headers from that one on.
  @inline(__always)
  mutating func add(
    key: Range<Int>?, value: Range<Int>?, route: borrowing Route, ticket: UInt64,
    headersFrom firstHeader: Int, partitionHash: Int32? = nil
  ) {
    let hash = partitionHash ?? key.map { Murmur2.hash(bytes.bytes($0)) } ?? route.keylessHash
    entries.append(
      Entry(
        key: key, value: value, headers: firstHeader..<headers.count, topic: route.topic,
        partitionHash: hash, ticket: ticket))
  }

  /// How many headers all records have.
  var headerCount: Int { headers.count }

  /// Adds a header of the record that is added next; its value was written to ``bytes`` before.
  mutating func addHeader(_ name: String, _ value: Range<Int>?) {
    headers.append(Header(name: name, value: value))
  }

  /// Takes back headers of a record that is not added.
  mutating func dropHeaders(from first: Int) {
    headers.removeSubrange(first...)
    if !times.isEmpty { times.removeAll { $0.header >= first } }
  }

  /// The record whose first header is added next has a time of its own, in milliseconds since 1970.
  mutating func stamp(_ time: Int64) { times.append((headers.count, time)) }

  /// A record's own time; nil for none, as for all that have no header.
  func time(of entry: Entry) -> Int64? {
    guard !times.isEmpty, !entry.headers.isEmpty else { return nil }
    // They lie in the order of the records.
    let header = entry.headers.lowerBound
    var range = times.indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if times[middle].header == header { return times[middle].time }
      range =
        times[middle].header < header
        ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return nil
  }

  /// Copies of a record's headers.
  func headers(of entry: Entry) -> [RecordHeader] {
    headers[entry.headers].map { header in
      RecordHeader(name: header.name, value: header.value.map { bytes.bytes($0).copied })
    }
  }

  private mutating func append(_ own: [RecordHeader]) {
    for header in own {
      headers.append(Header(name: header.name, value: header.value.map { append($0) }))
    }
  }

  /// Adds a record without a value under the key of another one, whose bytes are written once more.
  mutating func add(
    tombstoneOf key: Range<Int>?, route: borrowing Route, ticket: UInt64,
    headers: [RecordHeader], partitionHash: Int32?
  ) {
    let start = bytes.count
    if let key { bytes.append(copyOf: key) }
    add(
      key: key == nil ? nil : start..<bytes.count, value: nil, route: route, ticket: ticket,
      headers: headers, partitionHash: partitionHash)
  }

  /// Adds a record whose key and value are at hand elsewhere; not for the row path.
  mutating func add(key: [UInt8]?, value: [UInt8], route: borrowing Route, ticket: UInt64) {
    let keyPlace = key.map { append($0) }
    let valuePlace = append(value)
    add(key: keyPlace, value: valuePlace, route: route, ticket: ticket)
  }

  /// Adds a copy of another batch's record; not for the row path.
  mutating func add(_ entry: Entry, of other: borrowing RecordBatch) {
    add(
      HeldRecord(entry, of: other, topic: ""), topic: entry.topic, ticket: entry.ticket)
  }

  /// Adds a record that was held; not for the row path.
  mutating func add(_ record: HeldRecord, topic: TopicID, ticket: UInt64) {
    let (key, value) = (record.key.map { append($0) }, record.value.map { append($0) })
    let firstHeader = headers.count
    if let time = record.time { stamp(time) }
    append(record.headers)
    entries.append(
      Entry(
        key: key, value: value, headers: firstHeader..<headers.count, topic: topic,
        partitionHash: record.partitionHash, ticket: ticket))
  }

  /// Puts another key and value, and another topic, in place of a record's; its bytes stay until the
  /// batch is cleared.
  mutating func replace(_ index: Int, key: [UInt8]?, value: [UInt8], route: borrowing Route) {
    let ticket = entries[index].ticket
    let later = Array(entries[(index + 1)...])
    entries.removeSubrange(index...)
    add(key: key, value: value, route: route, ticket: ticket)
    entries += later
  }

  /// Copies of a record's key and value.
  func parts(_ index: Int) -> (key: [UInt8]?, value: [UInt8]?) {
    var parts: (key: [UInt8]?, value: [UInt8]?) = (nil, nil)
    // SAFETY: the pointers do not leave the closure.
    unsafe withParts(of: entries[index]) { key, value in
      parts = unsafe (key.map { unsafe Array($0) }, value.map { unsafe Array($0) })
    }
    return parts
  }

  private mutating func append(_ array: [UInt8]) -> Range<Int> {
    let start = bytes.count
    bytes.append(array: array)
    return start..<bytes.count
  }

  /// A record's size in bytes: its payload, and the whole with its headers.
  @inline(__always)
  func size(_ index: Int) -> (payload: Int, whole: Int) {
    let entry = entries[index]
    var whole = entry.size
    for header in headers[entry.headers] {
      whole += header.name.utf8.count + (header.value?.count ?? 0)
    }
    return (entry.size, whole)
  }

  /// Gives a record's key and value, nil for null; they stand still during the call.
  func withParts(
    of entry: Entry,
    _ body: (_ key: UnsafeRawBufferPointer?, _ value: UnsafeRawBufferPointer?) -> Void
  ) {
    // SAFETY: the pointers do not leave the closures.
    unsafe bytes.bytes.withUnsafeBytes { all in
      let key = unsafe entry.key.map { unsafe UnsafeRawBufferPointer(rebasing: all[$0]) }
      let value = unsafe entry.value.map { unsafe UnsafeRawBufferPointer(rebasing: all[$0]) }
      unsafe body(key, value)
    }
  }

  /// Forgets all records but the first `count`.
  mutating func truncate(to count: Int) {
    guard count < entries.count else { return }
    let first = entries[count]
    headers.removeSubrange(first.headers.lowerBound...)
    if !times.isEmpty { times.removeAll { $0.header >= first.headers.lowerBound } }
    let start = min(first.key?.lowerBound ?? .max, first.value?.lowerBound ?? .max)
    if start < bytes.count { bytes.truncate(to: start) }
    entries.removeSubrange(count...)
  }

  /// Forgets the records and keeps the memory, but for what one large row has taken.
  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    headers.removeAll(keepingCapacity: true)
    if !times.isEmpty { times.removeAll(keepingCapacity: true) }
    bytes.removeAll()
    bytes.shrink(to: Limits.batchBytes * 4)
  }
}

/// A sink's number of a topic.
typealias TopicID = Int32
