import PGWire

/// Reads a recording's bytes, without a file: whoever has some gives them to
/// ``withFreeSpace(minimum:_:)`` and asks for the ``next()`` entry.
///
/// Every block's checksums are compared before anything in it is believed. It holds one block at a
/// time, so its memory is bounded by ``RecordingFormat/blockLimit``.
public struct RecordingDecoder: ~Copyable {
  /// What comes next.
  public enum Step: Hashable, Sendable {
    /// At least that many more bytes of the file are needed.
    case needsBytes(Int)
    /// The facts of the whole recording: the first step that is no `needsBytes`.
    case header(RecordingHeader)
    /// An entry; the bytes of `received` are in ``RecordingDecoder/received``.
    case entry(RecordingEntry)
    /// The recording is over; its end marker was read.
    case end
  }

  /// How many bytes of the file belong to blocks that were read whole.
  public private(set) var offset = 0
  /// The number of the block that is read next: 0 is the header.
  public private(set) var block = 0
  /// The end marker's totals, once it was read.
  public private(set) var totals: RecordingTotals?

  private var input = InputBuffer(
    capacity: 64 << 10, limit: RecordingFormat.blockLimit + (128 << 10))
  private var decompressor = ZstdDecompressor()
  private var contents = ByteWriter(capacity: 4 << 10)
  private var position = 0
  private var blockOffset = 0
  private var receivedRange = 0..<0
  private var counted = RecordingTotals()
  private var time: Int64 = 0
  private var isConnected = false

  /// Makes a decoder for a file's first byte.
  public init() {}

  /// The bytes of the entry that ``next()`` gave last, when it is a `received` one.
  public var received: RawSpan {
    @_lifetime(borrow self) get { contents.bytes(receivedRange) }
  }

  /// Lets `body` write the file's next bytes and takes as many as it says it wrote.
  ///
  /// There are at least `minimum` bytes of room.
  public mutating func withFreeSpace<E: Error>(
    minimum: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    try unsafe input.withFreeSpace(minimum: min(minimum, 64 << 10), body)
  }

  /// The next entry, or why there is none; throws ``RecordingError`` for a malformed file.
  public mutating func next() throws(RecordingError) -> Step {
    receivedRange = 0..<0
    while position == contents.count {
      if totals != nil {
        guard input.isEmpty else { throw fault(.trailingBytes) }
        return .end
      }
      let missing = try takeBlock()
      if missing > 0 { return .needsBytes(missing) }
      if block == 1 { return .header(try takeHeader()) }
    }
    let taken: (entry: RecordingEntry, body: Range<Int>, end: Int)
    do throws(DecodingError) { taken = try Self.entry(contents.bytes, at: position) } catch {
      throw malformed(error)
    }
    try check(taken.entry, isLast: taken.end == contents.count)
    position = taken.end
    if case .received = taken.entry.content { receivedRange = taken.body }
    return .entry(taken.entry)
  }

  /// Whether nothing of a further block has been given: where a file may end.
  public var isAtBlockEnd: Bool { input.isEmpty }

  private func fault(_ reason: RecordingError.Reason) -> RecordingError {
    RecordingError(reason, offset: offset, block: block)
  }

  // MARK: - Blocks

  /// Takes the next block over; gives how many bytes are missing for that, 0 when it is done.
  private mutating func takeBlock() throws(RecordingError) -> Int {
    if offset == 0 {
      guard input.count >= RecordingFormat.preambleSize else {
        try checkMagic(input.readable)
        return RecordingFormat.preambleSize - input.count
      }
      try checkMagic(input.readable)
      try checkVersion(input.readable)
      input.consume(RecordingFormat.preambleSize)
      offset = RecordingFormat.preambleSize
    }
    guard input.count >= RecordingFormat.blockHeaderSize else {
      return RecordingFormat.blockHeaderSize - input.count
    }
    let head = try blockHeader(input.readable)
    let size = RecordingFormat.blockHeaderSize + head.storedSize
    guard input.count >= size else { return size - input.count }
    contents.removeAll()
    contents.shrink(to: 2 * RecordingFormat.blockSize)
    position = 0
    if let reason = Self.open(head, input, &decompressor, &contents) {
      throw fault(reason)
    }
    input.consume(size)
    blockOffset = offset
    offset += size
    block += 1
    return 0
  }

  /// Compares the checksum and appends the contents; says what is wrong.
  private static func open(
    _ head: RecordingBlockHeader, _ input: borrowing InputBuffer,
    _ decompressor: inout ZstdDecompressor, _ contents: inout ByteWriter
  ) -> RecordingError.Reason? {
    let start = RecordingFormat.blockHeaderSize
    let stored = input.readable.extracting(start..<(start + head.storedSize))
    guard CRC32C.checksum(of: stored) == head.checksum else { return .damagedBlock }
    switch head.encoding {
    case .stored: contents.append(stored)
    case .zstd:
      let isWhole = decompressor.decompress(stored, size: head.contentSize, into: &contents)
      guard isWhole else { return .damagedFrame }
    }
    return nil
  }

  private mutating func takeHeader() throws(RecordingError) -> RecordingHeader {
    position = contents.count
    do throws(DecodingError) { return try RecordingHeader(contents.bytes) } catch {
      throw malformed(error)
    }
  }

  private func checkMagic(_ bytes: RawSpan) throws(RecordingError) {
    for (index, byte) in RecordingFormat.magic.prefix(bytes.byteCount).enumerated()
    where bytes[index] != byte {
      throw fault(.notARecording)
    }
  }

  private func checkVersion(_ bytes: RawSpan) throws(RecordingError) {
    let version = UInt16(bytes[8]) << 8 | UInt16(bytes[9])
    guard version == RecordingFormat.version else { throw fault(.unknownVersion(version)) }
    for flags in [bytes[10], bytes[11]] where flags != 0 { throw fault(.unknownCode(flags)) }
  }

  private func blockHeader(_ bytes: RawSpan) throws(RecordingError) -> RecordingBlockHeader {
    func number(_ offset: Int) -> UInt32 {
      (offset..<offset + 4).reduce(0) { $0 << 8 | UInt32(bytes[$1]) }
    }
    guard number(16) == CRC32C.checksum(of: bytes.extracting(0..<16)) else {
      throw fault(.damagedBlockHeader)
    }
    guard let kind = RecordingBlockHeader.Kind(rawValue: bytes[0]),
      (kind == .header) == (block == 0)
    else { throw fault(.unknownCode(bytes[0])) }
    guard let encoding = RecordingBlockHeader.Encoding(rawValue: bytes[1]) else {
      throw fault(.unknownCode(bytes[1]))
    }
    for flags in [bytes[2], bytes[3]] where flags != 0 { throw fault(.unknownCode(flags)) }
    let (stored, size) = (Int(number(4)), Int(number(8)))
    for size in [stored, size] where size == 0 || size > RecordingFormat.blockLimit {
      throw fault(.badSize(size))
    }
    guard encoding == .zstd || stored == size else { throw fault(.badSize(stored)) }
    return RecordingBlockHeader(
      kind: kind, encoding: encoding, storedSize: stored, contentSize: size,
      checksum: number(12))
  }

  // MARK: - Entries

  private static func entry(
    _ contents: RawSpan, at position: Int
  ) throws(DecodingError) -> (entry: RecordingEntry, body: Range<Int>, end: Int) {
    var reader = ByteReader(contents.extracting(position..<contents.byteCount))
    do throws(DecodingError) {
      let kind = try reader.byte()
      let time = try reader.integer(Int64.self)
      let size = Int(try reader.integer(Int32.self))
      let start = position + reader.offset
      let body = try reader.span(size)
      let content = try content(kind, body, at: RecordingFormat.entryHeaderSize)
      let entry = RecordingEntry(time: .microseconds(time), content: content)
      return (entry, start..<(start + size), start + size)
    } catch { throw DecodingError(error.reason, at: position + error.offset) }
  }

  private static func content(
    _ kind: UInt8, _ body: RawSpan, at offset: Int
  ) throws(DecodingError) -> RecordingEntry.Content {
    var reader = ByteReader(body)
    do throws(DecodingError) {
      let content: RecordingEntry.Content
      switch kind {
      case UInt8(ascii: "R"): return .received(body.byteCount)
      case UInt8(ascii: "C"): content = .connected(try RecordedConnection(from: &reader))
      case UInt8(ascii: "T"): content = .relation(try RecordedRelation(from: &reader))
      case UInt8(ascii: "X"): content = .disconnected(try reader.string())
      case UInt8(ascii: "E"): content = .end(try RecordingTotals(from: &reader))
      default: throw DecodingError(.unknownCode(UInt32(kind)), at: -offset)
      }
      try reader.finish()
      return content
    } catch { throw DecodingError(error.reason, at: error.offset + offset) }
  }

  /// The order of entries: a connection, what came on it, its end; time never falls.
  private mutating func check(_ entry: RecordingEntry, isLast: Bool) throws(RecordingError) {
    let now = entry.time.microseconds
    guard now >= time else { throw violation("time runs backwards") }
    time = now
    switch entry.content {
    case .connected:
      guard !isConnected else { throw violation("a connection begins inside another") }
      isConnected = true
      counted.connections += 1
    case .received(let count):
      guard isConnected else { throw violation("bytes came without a connection") }
      counted.bytes += count
    case .relation: guard isConnected else { throw violation("a table came without a connection") }
    case .disconnected:
      guard isConnected else { throw violation("a connection ends that has not begun") }
      isConnected = false
    case .end(let totals):
      guard isLast else { throw violation("entries follow the end") }
      guard totals.bytes == counted.bytes, totals.connections == counted.connections else {
        throw RecordingError(.wrongTotals, offset: blockOffset, block: block - 1)
      }
      self.totals = totals
    }
  }

  private func violation(_ text: StaticText) -> RecordingError {
    malformed(DecodingError(.violation(text), at: position))
  }

  private func malformed(_ error: DecodingError) -> RecordingError {
    RecordingError(.malformed(error), offset: blockOffset, block: block - 1)
  }
}
