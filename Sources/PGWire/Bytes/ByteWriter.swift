/// A growing buffer that owns the bytes written into it.
///
/// It is made once and reused: ``removeAll()`` keeps the memory. Appending allocates only when the
/// buffer has to grow, which doubles it.
@safe public struct ByteWriter: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  /// How many bytes have been written.
  @usableFromInline var length: Int

  /// Makes an empty writer with room for `capacity` bytes.
  public init(capacity: Int = 256) {
    precondition(capacity > 0, "a writer has room for at least one byte")
    unsafe self.base = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
    self.length = 0
  }

  deinit { unsafe base.deallocate() }

  /// How many bytes have been written.
  @inlinable public var count: Int { length }

  /// What has been written so far.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      let buffer = unsafe UnsafeRawBufferPointer(start: base, count: length)
      let span = unsafe RawSpan(_unsafeBytes: buffer)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// A part of what has been written.
  @inlinable @_lifetime(borrow self)
  public func bytes(_ range: Range<Int>) -> RawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= length, "a range lies outside")
    let buffer = unsafe UnsafeRawBufferPointer(
      start: base + range.lowerBound, count: range.count)
    let span = unsafe RawSpan(_unsafeBytes: buffer)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Forgets what was written and keeps the memory.
  @inlinable public mutating func removeAll() { length = 0 }

  /// Forgets everything after the first `count` bytes.
  @inlinable public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= length, "a writer can only become shorter")
    length = count
  }

  /// Gives memory back when the buffer has grown beyond `limit` and is empty.
  public mutating func shrink(to limit: Int) {
    guard length == 0, capacity > limit else { return }
    unsafe base.deallocate()
    unsafe base = .allocate(byteCount: limit, alignment: 16)
    capacity = limit
  }

  /// Makes room for `count` more bytes.
  @inlinable @inline(__always)
  public mutating func reserve(_ count: Int) {
    if capacity &- length < count { grow(count) }
  }

  // Apart from what asks for it, which is inlined everywhere.
  @inline(never) @usableFromInline mutating func grow(_ count: Int) {
    let needed = max(capacity * 2, length + count)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: needed, alignment: 16)
    unsafe larger.copyMemory(from: base, byteCount: length)
    unsafe base.deallocate()
    unsafe base = larger
    capacity = needed
  }

  /// Appends one byte.
  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    // SAFETY: reserve made room.
    unsafe base.storeBytes(of: byte, toByteOffset: length, as: UInt8.self)
    length &+= 1
  }

  /// Appends bytes that somebody else owns.
  @inlinable public mutating func append(_ span: RawSpan) {
    let count = span.byteCount
    reserve(count)
    // SAFETY: reserve made room; the two never overlap.
    unsafe span.withUnsafeBytes { source in
      if count > 0, let start = source.baseAddress {
        unsafe (base + length).copyMemory(from: start, byteCount: count)
      }
    }
    length &+= count
  }

  /// Appends a text known at compile time.
  ///
  /// Inlined, its length is known as well: a few stores instead of a call.
  @inlinable @inline(__always)
  public mutating func append(_ text: StaticString) {
    let count = text.utf8CodeUnitCount
    reserve(count)
    // SAFETY: reserve made room.
    unsafe (base + length).copyMemory(from: text.utf8Start, byteCount: count)
    length &+= count
  }

  /// Appends the UTF-8 of a string; for what is not on the row path.
  public mutating func append(string: String) {
    var string = string
    string.withUTF8 { utf8 in
      let count = utf8.count
      reserve(count)
      if count > 0, let start = utf8.baseAddress {
        // SAFETY: reserve made room.
        unsafe (base + length).copyMemory(from: start, byteCount: count)
      }
      length &+= count
    }
  }

  /// Appends an array of bytes; for what is not on the row path.
  public mutating func append(array: [UInt8]) {
    reserve(array.count)
    for byte in array { append(byte) }
  }

  /// Appends an integer in network order.
  @inlinable public mutating func append<T: FixedWidthInteger & BitwiseCopyable>(bigEndian value: T)
  {
    let size = MemoryLayout<T>.size
    reserve(size)
    // SAFETY: reserve made room.
    unsafe base.storeBytes(of: value.bigEndian, toByteOffset: length, as: T.self)
    length &+= size
  }

  /// Overwrites four bytes written before with an integer in network order.
  @inlinable public mutating func set(bigEndian value: Int32, at offset: Int) {
    precondition(offset >= 0 && offset + 4 <= length, "an offset lies outside what was written")
    // SAFETY: checked above.
    unsafe base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Int32.self)
  }

  /// Appends an unsigned number in decimal digits.
  @inlinable public mutating func append(decimal value: UInt64) {
    reserve(20)
    var digits = 1
    var power: UInt64 = 10
    while digits < 20, value >= power {
      digits &+= 1
      power = digits < 20 ? power &* 10 : power
    }
    var rest = value
    var at = length &+ digits
    repeat {
      at &-= 1
      // SAFETY: reserve made room for 20 digits.
      unsafe base.storeBytes(
        of: UInt8(truncatingIfNeeded: rest % 10) &+ 0x30,
        toByteOffset: at, as: UInt8.self)
      rest /= 10
    } while at > length
    length &+= digits
  }

  /// Lets `body` write up to `count` bytes itself and keeps as many as it says it wrote.
  ///
  /// For the few functions that write a run of bytes at once (JSON escapes, digests).
  @inlinable public mutating func append<E: Error>(
    upTo count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(count)
    let room = unsafe UnsafeMutableRawBufferPointer(start: base + length, count: count)
    let written = try unsafe body(room)
    precondition(written >= 0 && written <= count, "more was written than there was room for")
    length &+= written
  }
}

extension ByteWriter {
  /// Appends a copy of bytes that were written before.
  @inlinable public mutating func append(copyOf range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= length, "a range lies outside")
    reserve(range.count)
    // SAFETY: reserve made room, and what is written never overlaps what was.
    unsafe (base + length).copyMemory(from: base + range.lowerBound, byteCount: range.count)
    length &+= range.count
  }
}
