// Short texts of the row path: what `append(_: RawSpan)` would copy with a call of memcpy is
// copied here in two registers.
extension ByteWriter {
  /// Appends a signed number in decimal digits.
  @inlinable public mutating func append(decimal value: Int64) {
    if value < 0 { append(0x2D as UInt8) }
    append(decimal: value.magnitude)
  }

  /// Appends the low `digits` decimal digits of a number, with leading zeros.
  ///
  /// `digits` is 1 to 20.
  @inlinable public mutating func append(decimal value: UInt64, digits: Int) {
    precondition(digits > 0 && digits <= 20, "a number has 1 to 20 digits")
    reserve(digits)
    var rest = value
    var at = length &+ digits
    while at > length {
      at &-= 1
      // SAFETY: reserve made room for the digits.
      unsafe base.storeBytes(
        of: UInt8(truncatingIfNeeded: rest % 10) &+ 0x30, toByteOffset: at, as: UInt8.self)
      rest /= 10
    }
    length &+= digits
  }

  /// Appends the low `digits` hexadecimal digits of a number, in lower case, with leading zeros.
  ///
  /// `digits` is 1 to 16.
  @inlinable public mutating func append(hexadecimal value: UInt64, digits: Int) {
    precondition(digits > 0 && digits <= 16, "a number has 1 to 16 hexadecimal digits")
    append(hexadecimal: value, digits: digits, letters: 0x61)
  }

  @inlinable mutating func append(hexadecimal value: UInt64, digits: Int, letters: UInt8) {
    reserve(digits)
    var rest = value
    var at = length &+ digits
    while at > length {
      at &-= 1
      let nibble = UInt8(truncatingIfNeeded: rest & 0xF)
      // SAFETY: reserve made room for the digits.
      unsafe base.storeBytes(
        of: nibble < 10 ? 0x30 &+ nibble : letters &+ nibble &- 10, toByteOffset: at,
        as: UInt8.self)
      rest >>= 4
    }
    length &+= digits
  }

  /// Appends a log position as PostgreSQL writes it, "16/B374D848".
  @inlinable public mutating func append(_ lsn: LSN) {
    append(shortHexadecimal: lsn.value >> 32)
    append(0x2F as UInt8)
    append(shortHexadecimal: lsn.value & 0xFFFF_FFFF)
  }

  @inlinable mutating func append(shortHexadecimal value: UInt64) {
    let digits = max(1, (64 &- value.leadingZeroBitCount &+ 3) / 4)
    append(hexadecimal: value, digits: digits, letters: 0x41)
  }

  /// Appends bytes that are mostly few; up to 16 are copied without a call.
  @inlinable public mutating func append(short span: RawSpan) {
    let count = span.byteCount
    guard count <= 16 else { return append(span) }
    reserve(16)
    if count >= 8 {
      // SAFETY: count is 8 to 16, so both loads lie in the span; reserve made room for 16.
      unsafe base.storeBytes(
        of: span.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt64.self),
        toByteOffset: length, as: UInt64.self)
      unsafe base.storeBytes(
        of: span.unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 8, as: UInt64.self),
        toByteOffset: length &+ count &- 8, as: UInt64.self)
    } else {
      // SAFETY: reserve made room for 16 bytes; the surplus is overwritten by what follows.
      unsafe base.storeBytes(of: span.word(at: 0, count), toByteOffset: length, as: UInt64.self)
    }
    length &+= count
  }

  /// Overwrites one byte written before.
  @inlinable public mutating func set(byte: UInt8, at offset: Int) {
    precondition(offset >= 0 && offset < length, "an offset lies outside what was written")
    // SAFETY: checked above.
    unsafe base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
  }

  /// Moves everything from `start` on by a few bytes: back over what stood there, or onwards.
  public mutating func move(from start: Int, by distance: Int) {
    precondition(start >= 0 && start <= length && start + distance >= 0, "nothing stands there")
    if distance > 0 { reserve(distance) }
    // SAFETY: reserve made room, and both places may overlap.
    unsafe (base + start + distance).copyMemory(from: base + start, byteCount: length - start)
    length += distance
  }
}

extension RawSpan {
  /// Up to 8 bytes from `offset` as the low bytes of a little-endian word; the others are zero.
  ///
  /// Never reads beyond the span: fewer than 8 bytes are put together from overlapping loads.
  @inlinable public func word(at offset: Int, _ count: Int) -> UInt64 {
    precondition(
      offset >= 0 && count >= 0 && count <= 8 && offset <= byteCount &- count,
      "a word lies outside its span")
    // SAFETY: every load below starts at or after offset and ends at or before offset + count.
    if count == 8 {
      return unsafe UInt64(
        littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }
    if count >= 4 {
      let low = unsafe UInt32(
        littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
      let high = unsafe UInt32(
        littleEndian: unsafeLoadUnaligned(
          fromUncheckedByteOffset: offset &+ count &- 4, as: UInt32.self))
      return UInt64(low) | UInt64(high) &<< UInt64((count &- 4) &* 8)
    }
    if count >= 2 {
      let low = unsafe UInt16(
        littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
      let high = unsafe UInt16(
        littleEndian: unsafeLoadUnaligned(
          fromUncheckedByteOffset: offset &+ count &- 2, as: UInt16.self))
      return UInt64(low) | UInt64(high) &<< UInt64((count &- 2) &* 8)
    }
    return count == 1
      ? unsafe UInt64(unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)) : 0
  }
}
