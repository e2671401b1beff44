import PGWire

/// Finds what is no UTF-8 (RFC 3629 §4), eight bytes per step where text is ASCII.
enum UTF8Scan {
  /// The first bytes at or behind `start` that belong to no character, as many as one U+FFFD stands
  /// for: the longest beginning of a character, or else one byte (Unicode 3.9, U+FFFD Substitution
  /// of Maximal Subparts).
  static func firstInvalid(in text: RawSpan, from start: Int) -> Range<Int>? {
    var at = start
    while at < text.byteCount {
      let count = min(8, text.byteCount &- at)
      let high = text.word(at: at, count) & 0x8080_8080_8080_8080
      guard high != 0 else {
        at &+= count
        continue
      }
      at &+= high.trailingZeroBitCount &>> 3
      let (length, isWhole) = sequence(in: text, at: at)
      guard isWhole else { return at..<at &+ length }
      at &+= length
    }
    return nil
  }

  /// How many bytes at `start` are a character, or as much of one as stands there.
  private static func sequence(in text: RawSpan, at start: Int) -> (length: Int, isWhole: Bool) {
    let lead = text[start]
    let count: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: count = 2
    case 0xE0...0xEF:
      count = 3
      if lead == 0xE0 { second = 0xA0...0xBF }
      if lead == 0xED { second = 0x80...0x9F }
    case 0xF0...0xF4:
      count = 4
      if lead == 0xF0 { second = 0x90...0xBF }
      if lead == 0xF4 { second = 0x80...0x8F }
    default: return (1, false)
    }
    for offset in 1..<count {
      let at = start &+ offset
      let allowed = offset == 1 ? second : 0x80...0xBF
      guard at < text.byteCount, allowed.contains(text[at]) else { return (offset, false) }
    }
    return (count, true)
  }
}
