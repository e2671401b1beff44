import Glibc
import PGWire

/// Tells whether a text may stand in JSON as a number (RFC 8259 §6).
enum JSONNumber {
  /// Whether the text is an integer of at most 20 digits, without leading zeros.
  static func isInteger(_ text: RawSpan) -> Bool {
    var start = 0
    if text.byteCount > 0, text[0] == 0x2D { start = 1 }
    let digits = text.byteCount &- start
    guard digits > 0, digits <= 20, digits == 1 || text[start] != 0x30 else { return false }
    var at = start
    while at < text.byteCount {
      let count = min(8, text.byteCount &- at)
      guard areDigits(text.word(at: at, count), count) else { return false }
      at &+= count
    }
    return true
  }

  /// Whether the low `count` bytes of the word are digits.
  @inline(__always)
  private static func areDigits(_ word: UInt64, _ count: Int) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    // The bytes beyond count become the digit zero; a shift by 64 gives nothing to fill in.
    let filled = count == 8 ? word : word | (ones &* 0x30) << UInt64(count &* 8)
    let high = ones &* 0xF0
    return filled & high == ones &* 0x30 && (filled &+ ones &* 6) & high == ones &* 0x30
  }

  /// Whether the text is a JSON number: digits, maybe a fraction, maybe an exponent.
  static func isNumber(_ text: RawSpan) -> Bool {
    let count = text.byteCount
    var at = 0
    if at < count, text[at] == 0x2D { at &+= 1 }
    let first = at
    let whole = skipDigits(text, &at)
    guard whole > 0, whole == 1 || text[first] != 0x30 else { return false }
    if at < count, text[at] == 0x2E {
      at &+= 1
      guard skipDigits(text, &at) > 0 else { return false }
    }
    if at < count, text[at] | 0x20 == 0x65 {
      at &+= 1
      if at < count, text[at] == 0x2B || text[at] == 0x2D { at &+= 1 }
      guard skipDigits(text, &at) > 0 else { return false }
    }
    return at == count
  }

  private static func skipDigits(_ text: RawSpan, _ at: inout Int) -> Int {
    let start = at
    while at < text.byteCount, text[at] &- 0x30 < 10 { at &+= 1 }
    return at &- start
  }

  /// Appends the double nearest to a decimal text, in its shortest form; a number too large for a
  /// double becomes "Infinity", as text that is no number stays a string.
  static func append(double text: RawSpan, to json: inout ByteWriter) {
    guard isNumber(text), let value = Double(text.text) else {
      return JSONEscape.append(text, to: &json)
    }
    guard value.isFinite else {
      return json.append(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
    }
    json.append(string: value.description)
  }

  /// The longest text of a floating-point number that is read again, in bytes.
  private static let floatLimit = 64

  /// Appends the number that a floating-point text stands for, in its shortest form.
  ///
  /// For servers before 12: they print 0.1 as 0.100000000000000006 where nothing may be lost.
  static func append(shortest text: RawSpan, isSingle: Bool, to json: inout ByteWriter) {
    guard isNumber(text), text.byteCount < floatLimit else {
      return JSONEscape.append(text, to: &json)
    }
    // SAFETY: the text and a zero byte fit into the room, which strtod reads up to that zero.
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: floatLimit) { room in
      for offset in 0..<text.byteCount { unsafe room[offset] = CChar(bitPattern: text[offset]) }
      unsafe room[text.byteCount] = 0
      guard let start = room.baseAddress else { return }
      if isSingle {
        json.append(float: unsafe strtof(start, nil))
      } else {
        json.append(double: unsafe strtod(start, nil))
      }
    }
  }
}
