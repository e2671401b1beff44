import PGWire

/// Writes a recording's bytes, without a file and without a clock.
///
/// Entries gather until their block is full or ``endBlock()`` closes it; closed blocks gather in
/// ``output`` until somebody has taken them to a file.
public struct RecordingEncoder: ~Copyable {
  /// How blocks are stored.
  public enum Compression: Hashable, Sendable {
    /// As they are, for fixtures: a diff of two recordings shows something.
    case none
    /// As zstd frames of that level, 1 to 22.
    case zstd(level: Int)
  }

  private let start: ContinuousClock.Instant
  private var compressor: ZstdCompressor?
  private var contents = ByteWriter(capacity: RecordingFormat.blockSize)
  private var closed = ByteWriter(capacity: 4 << 10)
  private var time: Int64 = 0
  private var bytes = 0
  private var connections = 0
  private var isConnected = false
  private var hasEnded = false

  /// Begins a recording at `now`: ``output`` holds its header.
  public init(
    _ header: RecordingHeader, compression: Compression, now: ContinuousClock.Instant
  ) {
    start = now
    if case .zstd(let level) = compression {
      compressor = ZstdCompressor(level: level)
    } else {
      compressor = nil
    }
    closed.append(array: RecordingFormat.magic)
    closed.append(bigEndian: RecordingFormat.version)
    closed.append(bigEndian: UInt16(0))
    header.encode(into: &contents)
    close(.header)
  }

  /// Closed blocks that nobody has taken yet; whole ones only.
  public var output: RawSpan {
    @_lifetime(borrow self) get { closed.bytes }
  }

  /// Forgets ``output``, which was taken.
  public mutating func removeOutput() { closed.removeAll() }

  /// Whether entries wait for their block to be closed.
  public var hasOpenBlock: Bool { contents.count > 0 }

  /// A connection begins to stream.
  public mutating func connected(
    _ connection: RecordedConnection, now: ContinuousClock.Instant
  ) {
    precondition(!isConnected && !hasEnded, "one connection at a time is recorded")
    isConnected = true
    connections += 1
    entry("C", now) { connection.encode(into: &$0) }
  }

  /// The server sent bytes: any piece of its stream.
  public mutating func received(_ span: RawSpan, now: ContinuousClock.Instant) {
    precondition(isConnected, "bytes come from a connection")
    var offset = 0
    while offset < span.byteCount {
      let room = max(1, RecordingFormat.blockSize - contents.count)
      let end = min(span.byteCount, offset + room)
      let piece = span.extracting(offset..<end)
      entry("R", now) { $0.append(piece) }
      offset = end
    }
    bytes += span.byteCount
  }

  /// The catalog's answer about the table whose Relation message comes next.
  ///
  /// Throws ``RecordingError`` when it is larger than a block can be.
  public mutating func relation(
    _ relation: RecordedRelation, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    precondition(isConnected, "tables are described on a connection")
    // Composite types of composite types could go on; everything else here has a limit far below.
    guard relation.types.count < 1 << 14,
      relation.types.allSatisfy({ $0.references.count < 1 << 12 })
    else { throw RecordingError(.badSize(relation.types.count), offset: 0, block: 0) }
    var body = ByteWriter(capacity: 1 << 10)
    relation.encode(into: &body)
    guard body.count < RecordingFormat.blockLimit - 2 * RecordingFormat.blockSize else {
      throw RecordingError(.badSize(body.count), offset: 0, block: 0)
    }
    append(body.bytes, now)
  }

  private mutating func append(_ body: RawSpan, _ now: ContinuousClock.Instant) {
    entry("T", now) { $0.append(body) }
  }

  /// The connection ended; `cause` says why in one line.
  public mutating func disconnected(_ cause: String, now: ContinuousClock.Instant) {
    precondition(isConnected, "a connection ends after it has begun")
    isConnected = false
    entry("X", now) { $0.append(zeroTerminated: cause) }
  }

  /// The recording ends; nothing may follow.
  ///
  /// Bytes and connections are counted here, the other totals are the caller's.
  public mutating func end(
    messages: Int, transactions: Int, now: ContinuousClock.Instant
  ) {
    let totals = RecordingTotals(
      bytes: bytes, messages: messages, transactions: transactions, connections: connections)
    entry("E", now) { totals.encode(into: &$0) }
    hasEnded = true
    endBlock()
  }

  /// Closes the block of the entries that have gathered, if any.
  public mutating func endBlock() {
    if hasOpenBlock { close(.entries) }
  }

  private mutating func entry(
    _ kind: Unicode.Scalar, _ now: ContinuousClock.Instant, _ body: (inout ByteWriter) -> Void
  ) {
    precondition(!hasEnded, "nothing follows the end")
    time = max(time, (now - start).microseconds)
    contents.append(UInt8(ascii: kind))
    contents.append(bigEndian: time)
    let size = contents.count
    contents.append(bigEndian: Int32(0))
    body(&contents)
    contents.set(bigEndian: Int32(contents.count - size - 4), at: size)
    if contents.count >= RecordingFormat.blockSize { endBlock() }
  }

  private mutating func close(_ kind: RecordingBlockHeader.Kind) {
    let header = closed.count
    closed.append(kind.rawValue)
    let encoding: RecordingBlockHeader.Encoding = compressor == nil ? .stored : .zstd
    closed.append(encoding.rawValue)
    closed.append(bigEndian: UInt16(0))
    closed.append(bigEndian: UInt32(0))
    closed.append(bigEndian: UInt32(contents.count))
    closed.append(bigEndian: UInt64(0))
    let stored = closed.count
    Self.store(contents, &compressor, into: &closed)
    let end = closed.count
    let checksum = CRC32C.checksum(of: closed.bytes(stored..<end))
    closed.set(bigEndian: Int32(end - stored), at: header + 4)
    closed.set(bigEndian: Int32(bitPattern: checksum), at: header + 12)
    let headerChecksum = CRC32C.checksum(of: closed.bytes(header..<(header + 16)))
    closed.set(bigEndian: Int32(bitPattern: headerChecksum), at: header + 16)
    contents.removeAll()
    contents.shrink(to: 2 * RecordingFormat.blockSize)
  }

  private static func store(
    _ contents: borrowing ByteWriter, _ compressor: inout ZstdCompressor?,
    into output: inout ByteWriter
  ) {
    if compressor?.compress(contents.bytes, into: &output) == nil { output.append(contents.bytes) }
  }
}

extension Duration {
  /// Whole microseconds; what does not fit becomes the largest number.
  var microseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000)
    return overflows ? .max : product + attoseconds / 1_000_000_000_000
  }
}
