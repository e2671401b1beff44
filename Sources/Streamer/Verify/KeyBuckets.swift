import PGWire

/// What is known of a row from one place, as it waits to be compared.
struct KeyEntry: Hashable, Sendable {
  /// Where it comes from.
  enum Origin: UInt8, Sendable {
    /// The topic, up to where it ended before the table was read.
    case before
    /// The table.
    case table
    /// The topic, behind that end.
    case since
  }

  /// Which of the tables it is of.
  var table: Int
  /// The record's key.
  var key: [UInt8]
  /// Where it comes from.
  var origin: Origin
  /// The partition that it was read from.
  var partition: Int32 = 0
  /// What it says.
  var record: RowRecord
}

/// Entries of any number, on the disk, parted by their keys.
///
/// What is said of one row lies in one bucket, in the order in which it was added. A bucket is read at once, so that memory is bounded by
/// the largest of them.
///
/// A class because whoever reads a topic, and whoever reads a table, add to the same ones.
final class KeyBuckets {
  private struct Bucket: ~Copyable {
    var extent: SpoolExtent
    /// What has not been written.
    var tail = ByteWriter(capacity: Limits.verifyTailStart)

    /// Writes what has not been written.
    mutating func flush() throws(SpoolFault) {
      var written = ByteWriter()
      swap(&written, &tail)
      try extent.append(written.bytes)
      swap(&written, &tail)
      tail.removeAll()
      tail.shrink(to: 2 * Limits.verifyTailBytes)
    }
  }

  private var buckets: OwnedArray<Bucket>

  /// Makes empty ones in a file without a name in a directory.
  init(count: Int = Limits.verifyBuckets, in directory: String) throws(SpoolFault) {
    let file = try SpoolFile(in: directory)
    buckets = OwnedArray(count: count) { _ in Bucket(extent: SpoolExtent(in: file)) }
  }

  /// How many there are.
  var count: Int { buckets.count }

  /// Adds an entry.
  func add(_ entry: KeyEntry) throws(SpoolFault) {
    var hasher = Hasher()
    hasher.combine(entry.table)
    hasher.combine(entry.key)
    let index = Int(UInt(bitPattern: hasher.finalize()) % UInt(buckets.count))
    entry.write(to: &buckets[index].tail)
    guard buckets[index].tail.count >= Limits.verifyTailBytes else { return }
    try buckets[index].flush()
  }

  /// Gives the entries of one bucket, in their order.
  func each(
    of index: Int, _ body: (KeyEntry) -> Void
  ) throws(SpoolFault) {
    try buckets[index].flush()
    let length = buckets[index].extent.length
    var bytes = [UInt8](repeating: 0, count: length)
    var done = 0
    while done < length {
      let start = done
      var fault: SpoolFault?
      unsafe bytes.withUnsafeMutableBytes { buffer in
        do throws(SpoolFault) {
          // SAFETY: start is below the buffer's length.
          done += unsafe try buckets[index].extent.read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), at: start)
        } catch { fault = error }
      }
      if let fault { throw fault }
    }
    var reader = ByteReader(unsafe bytes.span.bytes)
    // What we have written ourselves is whole.
    while !reader.isAtEnd, let entry = try? KeyEntry(from: &reader) { body(entry) }
  }
}

extension KeyEntry {
  /// Appends it.
  func write(to bytes: inout ByteWriter) {
    bytes.append(bigEndian: UInt32(table))
    bytes.append(bigEndian: UInt32(key.count))
    bytes.append(array: key)
    bytes.append(origin.rawValue)
    bytes.append(bigEndian: partition)
    bytes.append(bigEndian: record.lsn)
    bytes.append(bigEndian: record.xid.map(Int64.init) ?? -1)
    switch record.content {
    case .gone: bytes.append(bigEndian: Int32(-1))
    case .emptied: bytes.append(bigEndian: Int32(-2))
    case .row(let columns):
      bytes.append(bigEndian: Int32(columns.count))
      for column in columns {
        bytes.append(bigEndian: column.name)
        bytes.append(bigEndian: column.value)
      }
    }
  }

  /// Reads one.
  init(from reader: inout ByteReader) throws(DecodingError) {
    let number: UInt32 = try reader.integer()
    table = Int(number)
    let size: UInt32 = try reader.integer()
    let bytes = try reader.span(Int(size))
    // SAFETY: the bytes are copied.
    key = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    origin = Origin(rawValue: try reader.byte()) ?? .before
    partition = try reader.integer()
    let lsn: UInt64 = try reader.integer()
    let xid: Int64 = try reader.integer()
    let count: Int32 = try reader.integer()
    record = RowRecord(
      content: count == -2 ? .emptied : .gone, lsn: lsn, xid: UInt32(exactly: xid), table: table)
    guard count >= 0 else { return }
    var columns: [ColumnDigest] = []
    columns.reserveCapacity(Int(count))
    for _ in 0..<count {
      columns.append(ColumnDigest(name: try reader.integer(), value: try reader.integer()))
    }
    record.content = .row(columns)
  }
}
