/// One row image of a pgoutput message, checked whole when it was decoded.
///
/// ```
/// Int16  number of columns, then for each
///   Byte1  'n' NULL | 'u' unchanged TOASTed value | 't' text | 'b' binary
///   Int32  length   ('t' and 'b' only)
///   Byten  value
/// ```
/// Manual: "Logical Replication Message Formats", TupleData.
@safe public struct TupleData: ~Escapable {
  /// The columns' bytes, without the count before them.
  @usableFromInline let bytes: RawSpan
  /// How many columns the image has.
  public let count: Int
  /// Whether a column's value is ``ColumnValue/binary(_:)``.
  public let hasBinary: Bool

  @inlinable @_lifetime(copy bytes)
  init(checked bytes: RawSpan, count: Int, hasBinary: Bool = false) {
    self.bytes = bytes
    self.count = count
    self.hasBinary = hasBinary
  }

  /// Reads a tuple and checks every length in it, so that walking it later cannot fail.
  @inlinable @_lifetime(copy reader)
  init(from reader: inout ByteReader) throws(DecodingError) {
    let count = Int(try reader.integer(Int16.self))
    guard count >= 0 else { throw DecodingError(.badLength(count), at: reader.offset - 2) }
    let start = reader.offset
    var hasBinary = false
    for _ in 0..<count {
      switch try reader.byte() {
      case UInt8(ascii: "t"):
        try reader.skipSized()
      case UInt8(ascii: "b"):
        hasBinary = true
        try reader.skipSized()
      case UInt8(ascii: "n"), UInt8(ascii: "u"):
        break
      case let kind:
        throw DecodingError(.unknownCode(UInt32(kind)), at: reader.offset - 1)
      }
    }
    // SAFETY: the reader just walked exactly this range.
    let walked = unsafe reader.bytes.extracting(unchecked: start..<reader.offset)
    self.init(checked: walked, count: count, hasBinary: hasBinary)
  }

  /// How many bytes the columns take.
  public var byteCount: Int { bytes.byteCount }

  /// Walks the columns from the first.
  @inlinable public var columns: TupleCursor {
    @_lifetime(copy self) get { TupleCursor(bytes) }
  }

  /// The value of the column at `index`; it walks the columns before it.
  @inlinable @_lifetime(copy self)
  public func value(at index: Int) -> ColumnValue {
    precondition(index >= 0 && index < count, "a tuple has no column of that number")
    var cursor = columns
    for _ in 0..<index { cursor.skip() }
    return cursor.next()
  }
}

/// Walks the columns of a ``TupleData``; the owner counts, the cursor does not.
@safe public struct TupleCursor: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline var offset: Int

  @inlinable @_lifetime(copy bytes)
  init(_ bytes: RawSpan) {
    self.bytes = bytes
    self.offset = 0
  }

  /// The next column's value.
  ///
  /// Calling it past the last column is a programming error.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func next() -> ColumnValue {
    let kind = bytes[offset]
    offset &+= 1
    switch kind {
    case UInt8(ascii: "t"): return .text(body())
    case UInt8(ascii: "b"): return .binary(body())
    case UInt8(ascii: "u"): return .unchangedToast
    default: return .null
    }
  }

  /// Passes over one column.
  @inlinable @_lifetime(self: copy self)
  public mutating func skip() { _ = next() }

  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  mutating func body() -> RawSpan {
    // SAFETY: the tuple was checked whole when it was decoded.
    let length = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Int32.self)
    let start = offset &+ 4
    offset = start &+ Int(Int32(bigEndian: length))
    return unsafe bytes.extracting(unchecked: start..<offset)
  }
}
