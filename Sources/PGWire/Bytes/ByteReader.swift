/// Reads the fields of one message from borrowed bytes, in the wire's big-endian order.
///
/// Every read is checked once and throws ``DecodingError``; nothing is copied. The reader lives no
/// longer than the bytes it was made from.
@safe public struct ByteReader: ~Escapable {
  /// The bytes of the whole message.
  public let bytes: RawSpan
  /// How many bytes have been read.
  @usableFromInline var position: Int

  /// Makes a reader at the start of `bytes`.
  @inlinable @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) {
    self.bytes = bytes
    self.position = 0
  }

  /// How many bytes have been read.
  @inlinable public var offset: Int { position }

  /// How many bytes are left.
  @inlinable public var remaining: Int { bytes.byteCount &- position }

  /// Whether everything has been read.
  @inlinable public var isAtEnd: Bool { position == bytes.byteCount }

  /// Reads one integer in network order.
  @inlinable @_lifetime(self: copy self)
  public mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self
  ) throws(DecodingError) -> T {
    let size = MemoryLayout<T>.size
    guard remaining >= size else { throw truncated(size) }
    // SAFETY: the guard above keeps position + size within the span.
    let raw = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: T.self)
    position &+= size
    return T(bigEndian: raw)
  }

  /// Reads one byte.
  @inlinable @_lifetime(self: copy self)
  public mutating func byte() throws(DecodingError) -> UInt8 { try integer() }

  /// Reads a 64-bit log position.
  @inlinable @_lifetime(self: copy self)
  public mutating func lsn() throws(DecodingError) -> LSN { LSN(try integer()) }

  /// Reads `count` bytes as a view of the message's own.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func span(_ count: Int) throws(DecodingError) -> RawSpan {
    guard count >= 0 else { throw DecodingError(.badLength(count), at: position) }
    guard remaining >= count else { throw truncated(count) }
    // SAFETY: the guards above keep the range within the span.
    let part = unsafe bytes.extracting(unchecked: position..<(position &+ count))
    position &+= count
    return part
  }

  /// Reads a 32-bit length and as many bytes behind it, as a view of the message's own.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func sizedSpan() throws(DecodingError) -> RawSpan {
    let count = Int(try integer(Int32.self))
    guard count >= 0 else { throw DecodingError(.badLength(count), at: position &- 4) }
    return try span(count)
  }

  /// Skips a 32-bit length and as many bytes behind it.
  @inlinable @_lifetime(self: copy self)
  public mutating func skipSized() throws(DecodingError) {
    let count = Int(try integer(Int32.self))
    guard count >= 0 else { throw DecodingError(.badLength(count), at: position &- 4) }
    guard remaining >= count else { throw truncated(count) }
    position &+= count
  }

  /// Reads the bytes that are left, maybe none.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func rest() -> RawSpan {
    // SAFETY: position never passes the end of the span.
    let part = unsafe bytes.extracting(unchecked: position..<bytes.byteCount)
    position = bytes.byteCount
    return part
  }

  /// Skips `count` bytes.
  @inlinable @_lifetime(self: copy self)
  public mutating func skip(_ count: Int) throws(DecodingError) {
    guard count >= 0 else { throw DecodingError(.badLength(count), at: position) }
    guard remaining >= count else { throw truncated(count) }
    position &+= count
  }

  /// Reads up to the next zero byte and past it; the view is without the zero.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func stringBytes() throws(DecodingError) -> RawSpan {
    var end = position
    // SAFETY: end stays below byteCount.
    while end < bytes.byteCount,
      unsafe bytes.unsafeLoad(fromUncheckedByteOffset: end, as: UInt8.self) != 0
    {
      end &+= 1
    }
    guard end < bytes.byteCount else { throw DecodingError(.unterminatedString, at: position) }
    // SAFETY: position ≤ end < byteCount.
    let part = unsafe bytes.extracting(unchecked: position..<end)
    position = end &+ 1
    return part
  }

  /// Reads a zero-terminated string; bytes that are no UTF-8 become U+FFFD.
  @_lifetime(self: copy self)
  public mutating func string() throws(DecodingError) -> String { try stringBytes().text }

  /// Throws when bytes are left: a message is read whole or it is malformed.
  @inlinable public func finish() throws(DecodingError) {
    guard isAtEnd else { throw DecodingError(.trailingBytes(remaining), at: position) }
  }

  // Apart from the reads, so that those stay small enough to be inlined.
  @usableFromInline func truncated(_ needed: Int) -> DecodingError {
    DecodingError(.truncated(needed: needed, available: remaining), at: position)
  }
}

extension RawSpan {
  /// The bytes as text; those that are no UTF-8 become U+FFFD.
  ///
  /// It allocates: not for the row path.
  public var text: String {
    // SAFETY: the pointer does not leave the closure.
    unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// The byte at `offset`, checked.
  @inlinable public subscript(offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount, "a byte offset lies outside its span")
    // SAFETY: checked above.
    return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }
}

extension RawSpan {
  /// Whether both hold the same bytes.
  public func equals(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for offset in 0..<byteCount where self[offset] != other[offset] { return false }
    return true
  }
}
