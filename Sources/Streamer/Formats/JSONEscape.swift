import PGWire

/// Writes text as JSON strings, eight bytes per step.
///
/// Quotes, backslashes and control characters are escaped, as RFC 8259 §7 demands; everything
/// else passes as it is, so bytes that are no UTF-8 stay what they are.
enum JSONEscape {
  /// How many bytes are escaped at a time: room for their worst case is made beforehand, and six
  /// times a long value would be too much.
  static let chunkSize = Limits.escapeChunkBytes

  /// Appends `text` as a JSON string with its quotes.
  static func append(_ text: RawSpan, to json: inout ByteWriter) {
    let count = text.byteCount
    guard count <= chunkSize else { return appendLong(text, to: &json) }
    unsafe json.append(upTo: worstCase(count) + 2) { room in
      unsafe text.withUnsafeBytes { source in
        guard let target = room.baseAddress else { return 0 }
        unsafe target.storeBytes(of: 0x22, as: UInt8.self)
        // SAFETY: one byte of the room is used, the worst case and one more are left.
        let written = 1 &+ (unsafe escape(source.baseAddress, count, to: target + 1))
        unsafe target.storeBytes(of: 0x22, toByteOffset: written, as: UInt8.self)
        return written &+ 1
      }
    }
  }

  private static func appendLong(_ text: RawSpan, to json: inout ByteWriter) {
    json.append(0x22 as UInt8)
    var start = 0
    while start < text.byteCount {
      let end = min(start + chunkSize, text.byteCount)
      let part = text.extracting(start..<end)
      unsafe json.append(upTo: worstCase(end - start)) { room in
        unsafe part.withUnsafeBytes { source in
          guard let target = room.baseAddress else { return 0 }
          // SAFETY: the room is the worst case of the part.
          return unsafe escape(source.baseAddress, end - start, to: target)
        }
      }
      start = end
    }
    json.append(0x22 as UInt8)
  }

  /// Six bytes for each one, and a word's surplus that the last store may write.
  private static func worstCase(_ count: Int) -> Int { 6 &* count &+ 8 }

  /// Escapes `count` bytes and gives the length of the result.
  ///
  /// At most 6·count + 8 bytes of the target are touched: each byte of the source advances the
  /// target by six at the most, and a store of eight bytes reaches eight beyond.
  private static func escape(
    _ source: UnsafeRawPointer?, _ count: Int, to target: UnsafeMutableRawPointer
  ) -> Int {
    guard let source = unsafe source, count > 0 else { return 0 }
    var read = 0
    var written = 0
    while read &+ 8 <= count {
      // SAFETY: the loop's condition keeps the load inside the source.
      let word = unsafe UInt64(
        littleEndian: source.loadUnaligned(fromByteOffset: read, as: UInt64.self))
      unsafe target.storeBytes(of: word.littleEndian, toByteOffset: written, as: UInt64.self)
      let special = specials(word)
      if special == 0 {
        read &+= 8
        written &+= 8
      } else {
        let clean = special.trailingZeroBitCount &>> 3
        written &+= clean
        unsafe escapeByte(source, read &+ clean, target, &written)
        read &+= clean &+ 1
      }
    }
    while read < count {
      // The rest fills a word up with spaces, which are not special.
      let rest = count &- read
      let word =
        unsafe RawSpan(_unsafeStart: source + read, byteCount: rest).word(at: 0, rest)
        | (0x2020_2020_2020_2020 &<< UInt64(rest &* 8))
      unsafe target.storeBytes(of: word.littleEndian, toByteOffset: written, as: UInt64.self)
      let special = specials(word)
      if special == 0 { return written &+ rest }
      let clean = special.trailingZeroBitCount &>> 3
      written &+= clean
      unsafe escapeByte(source, read &+ clean, target, &written)
      read &+= clean &+ 1
    }
    return written
  }

  /// A word whose lowest set bit is the high bit of the first byte that needs an escape.
  ///
  /// Bits above that one may be set for bytes that need none (a borrow runs upwards).
  @inline(__always)
  private static func specials(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ (ones &* 0x22)
    let backslashes = word ^ (ones &* 0x5C)
    let found =
      ((word &- ones &* 0x20) & ~word) | ((quotes &- ones) & ~quotes)
      | ((backslashes &- ones) & ~backslashes)
    return found & (ones &* 0x80)
  }

  /// Writes the escape of the byte at `read` and advances `written` by its length.
  @inline(__always)
  private static func escapeByte(
    _ source: UnsafeRawPointer, _ read: Int, _ target: UnsafeMutableRawPointer,
    _ written: inout Int
  ) {
    let byte = unsafe source.load(fromByteOffset: read, as: UInt8.self)
    let short: UInt8
    switch byte {
    case 0x22, 0x5C: short = byte
    case 0x0A: short = 0x6E
    case 0x0D: short = 0x72
    case 0x09: short = 0x74
    case 0x08: short = 0x62
    case 0x0C: short = 0x66
    default: short = 0
    }
    if short != 0 {
      let pair = 0x5C | UInt16(short) &<< 8
      unsafe target.storeBytes(of: pair.littleEndian, toByteOffset: written, as: UInt16.self)
      written &+= 2
      return
    }
    let high = UInt64(0x30 &+ byte &>> 4)
    let low = UInt64(byte & 0xF)
    let digit = low < 10 ? 0x30 &+ low : 0x57 &+ low
    // "\u00" and two digits, the first byte lowest.
    let word = 0x3030_755C | high &<< 32 | digit &<< 40
    unsafe target.storeBytes(of: word.littleEndian, toByteOffset: written, as: UInt64.self)
    written &+= 6
  }
}
