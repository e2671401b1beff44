import PGWire

/// Whether a document of `json` or `jsonb` can be part of an event that every reader of JSON takes.
///
/// PostgreSQL keeps documents that other parsers refuse: half a surrogate pair, which no UTF-8 can
/// say (`json` only), thousands of levels, integers of thousands of digits. Such a document is
/// written as a string, which says the same and breaks nothing around it.
enum JSONReach {
  /// How deep a document may be nested; jq 1.6 stops at 256 with the levels of the event, Python
  /// at about 1000.
  static let depthLimit = Limits.jsonDepth
  /// How many digits a number may have in a row; Python stops at 4300.
  static let digitLimit = Limits.jsonDigits
  /// A shorter document is neither too deep nor has too long a number: each level takes two bytes.
  private static let harmless = min(2 * depthLimit, digitLimit)

  /// Whether a document may be embedded; `mayHaveSurrogates` for `json`, whose escapes are those
  /// that were written.
  ///
  /// Throws ``DecodingError`` for what cannot be a document by its first character.
  static func isEmbeddable(
    _ text: RawSpan, mayHaveSurrogates: Bool
  ) throws(DecodingError) -> Bool {
    guard startsLikeJSON(text) else {
      throw DecodingError(.violation("a JSON document does not begin with a value"), at: 0)
    }
    if mayHaveSurrogates, !hasWholePairs(text) { return false }
    return text.byteCount <= harmless || isWithinLimits(text)
  }

  /// Text that stands for bytes that are no text is no document.
  private static func startsLikeJSON(_ text: RawSpan) -> Bool {
    var at = 0
    while at < text.byteCount {
      switch text[at] {
      case 0x20, 0x09, 0x0A, 0x0D: at &+= 1
      case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "-"),
        UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        return true
      default: return false
      }
    }
    return false
  }

  /// Whether each escaped high surrogate is followed by a low one, and no low one stands alone.
  private static func hasWholePairs(_ text: RawSpan) -> Bool {
    var at = 0
    while let backslash = nextBackslash(in: text, from: at) {
      guard let unit = escapedUnit(in: text, at: backslash) else {
        at = backslash &+ 2
        continue
      }
      at = backslash &+ 6
      if unit & 0xFC00 == 0xDC00 { return false }
      guard unit & 0xFC00 == 0xD800 else { continue }
      guard let low = escapedUnit(in: text, at: at), low & 0xFC00 == 0xDC00 else { return false }
      at &+= 6
    }
    return true
  }

  private static func nextBackslash(in text: RawSpan, from start: Int) -> Int? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var at = start
    while at < text.byteCount {
      let count = min(8, text.byteCount &- at)
      let word = text.word(at: at, count) ^ (ones &* 0x5C)
      let found = (word &- ones) & ~word & (ones &* 0x80)
      // Of a short word the bytes beyond its end read as zero, which is no backslash.
      if found != 0 { return at &+ found.trailingZeroBitCount &>> 3 }
      at &+= count
    }
    return nil
  }

  /// The code unit of an escape `\uXXXX` at `at`; nil when no such one stands there.
  private static func escapedUnit(in text: RawSpan, at start: Int) -> UInt32? {
    guard start &+ 6 <= text.byteCount, text[start] == 0x5C, text[start &+ 1] == 0x75 else {
      return nil
    }
    var unit: UInt32 = 0
    for at in start &+ 2..<start &+ 6 {
      let byte = text[at]
      switch byte {
      case 0x30...0x39: unit = unit &<< 4 | UInt32(byte &- 0x30)
      case 0x41...0x46, 0x61...0x66: unit = unit &<< 4 | UInt32((byte | 0x20) &- 0x57)
      default: return nil
      }
    }
    return unit
  }

  /// Whether neither depth nor digits go beyond what readers take.
  private static func isWithinLimits(_ text: RawSpan) -> Bool {
    var depth = 0
    var digits = 0
    var isInString = false
    var at = 0
    while at < text.byteCount {
      let byte = text[at]
      at &+= 1
      if isInString {
        if byte == 0x5C { at &+= 1 }
        if byte == 0x22 { isInString = false }
        continue
      }
      if byte &- 0x30 < 10 {
        digits &+= 1
        if digits > digitLimit { return false }
        continue
      }
      digits = 0
      switch byte {
      case 0x22: isInString = true
      case 0x5B, 0x7B:
        depth &+= 1
        if depth > depthLimit { return false }
      case 0x5D, 0x7D: depth &-= 1
      default: break
      }
    }
    return true
  }
}
