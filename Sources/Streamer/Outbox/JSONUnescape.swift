import PGWire

/// Reads a JSON string's text.
enum JSONUnescape {
  /// Appends what a string with its quotes stands for; false when it is none.
  ///
  /// Half a surrogate pair, which no UTF-8 can say, becomes U+FFFD.
  static func append(_ string: RawSpan, to text: inout ByteWriter) -> Bool {
    let end = string.byteCount - 1
    guard end >= 1, string[0] == 0x22, string[end] == 0x22 else { return false }
    var at = 1
    var start = 1
    while at < end {
      guard string[at] == 0x5C else {
        at &+= 1
        continue
      }
      text.append(string.extracting(start..<at))
      guard at &+ 1 < end else { return false }
      switch string[at &+ 1] {
      case 0x75:
        guard let unit = unit(in: string, at: at) else { return false }
        at &+= 6
        if unit & 0xFC00 == 0xD800, let low = Self.unit(in: string, at: at), low & 0xFC00 == 0xDC00
        {
          append(scalar: 0x10000 &+ (unit & 0x3FF) &<< 10 &+ (low & 0x3FF), to: &text)
          at &+= 6
        } else {
          append(scalar: unit & 0xF800 == 0xD800 ? 0xFFFD : unit, to: &text)
        }
      case let escaped:
        guard let byte = byte(escaped) else { return false }
        text.append(byte)
        at &+= 2
      }
      start = at
    }
    text.append(string.extracting(start..<end))
    return true
  }

  /// What a character behind a backslash stands for.
  private static func byte(_ escaped: UInt8) -> UInt8? {
    switch escaped {
    case 0x22, 0x5C, 0x2F: escaped
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: nil
    }
  }

  /// The code unit of an escape `\uXXXX` at `at`; nil when no such one stands there.
  private static func unit(in text: RawSpan, at start: Int) -> UInt32? {
    guard start &+ 6 <= text.byteCount, text[start] == 0x5C, text[start &+ 1] == 0x75 else {
      return nil
    }
    var unit: UInt32 = 0
    for at in start &+ 2..<start &+ 6 {
      switch text[at] {
      case 0x30...0x39: unit = unit &<< 4 | UInt32(text[at] &- 0x30)
      case 0x41...0x46, 0x61...0x66: unit = unit &<< 4 | UInt32((text[at] | 0x20) &- 0x57)
      default: return nil
      }
    }
    return unit
  }

  private static func append(scalar: UInt32, to text: inout ByteWriter) {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | scalar &>> shift & 0x3F) }
    switch scalar {
    case 0..<0x80: text.append(UInt8(scalar))
    case 0x80..<0x800:
      text.append(UInt8(0xC0 | scalar &>> 6))
      text.append(tail(0))
    case 0x800..<0x10000:
      text.append(UInt8(0xE0 | scalar &>> 12))
      text.append(tail(6))
      text.append(tail(0))
    default:
      text.append(UInt8(0xF0 | scalar &>> 18))
      text.append(tail(12))
      text.append(tail(6))
      text.append(tail(0))
    }
  }
}
