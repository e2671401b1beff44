import PGWire

/// Writes texts and numbers as Connect's JSON converter does: by Jackson's rules and Java's.
///
/// The bytes matter: they are keys, which decide partitions and what compaction keeps.
enum ConnectText {
  /// Appends a text as a JSON string: like ``JSONEscape``, but hexadecimal digits are in upper case,
  /// and what lies beyond 16 bits is escaped as a pair of surrogates.
  @inline(__always)
  static func append(_ text: RawSpan, to json: inout ByteWriter) {
    if isPlain(text) { JSONEscape.append(text, to: &json) } else { appendEscaped(text, to: &json) }
  }

  /// Appends a text, made once and not for each row.
  static func append(string: String, to json: inout ByteWriter) {
    var bytes = ByteWriter(capacity: max(string.utf8.count, 1))
    bytes.append(string: string)
    append(bytes.bytes, to: &json)
  }

  /// Whether no byte is a control character or begins a character of four bytes.
  ///
  /// May say no of a text that is plain, never yes of one that is not.
  private static func isPlain(_ text: RawSpan) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let high = ones &* 0x80
    var at = 0
    while at < text.byteCount {
      let count = min(8, text.byteCount &- at)
      var word = text.word(at: at, count)
      // What a short word lacks is filled up with spaces.
      if count < 8 { word |= (ones &* 0x20) &<< UInt64(count &* 8) }
      let controls = (word &- ones &* 0x20) & ~word
      let fours = word & (word &<< 1) & (word &<< 2) & (word &<< 3)
      if (controls | fours) & high != 0 { return false }
      at &+= count
    }
    return true
  }

  private static func appendEscaped(_ text: RawSpan, to json: inout ByteWriter) {
    json.append(0x22 as UInt8)
    var at = 0
    while at < text.byteCount {
      let byte = text[at]
      switch byte {
      case 0x22, 0x5C:
        json.append(0x5C as UInt8)
        json.append(byte)
      case 0x0A: json.append("\\n")
      case 0x0D: json.append("\\r")
      case 0x09: json.append("\\t")
      case 0x08: json.append("\\b")
      case 0x0C: json.append("\\f")
      case 0..<0x20: append(unit: UInt32(byte), to: &json)
      case 0xF0... where at &+ 4 <= text.byteCount:
        let scalar =
          UInt32(byte & 7) &<< 18 | UInt32(text[at &+ 1] & 0x3F) &<< 12
          | UInt32(text[at &+ 2] & 0x3F) &<< 6 | UInt32(text[at &+ 3] & 0x3F)
        let rest = scalar &- 0x10000
        append(unit: 0xD800 | (rest &>> 10) & 0x3FF, to: &json)
        append(unit: 0xDC00 | rest & 0x3FF, to: &json)
        at &+= 3
      default: json.append(byte)
      }
      at &+= 1
    }
    json.append(0x22 as UInt8)
  }

  private static func append(unit: UInt32, to json: inout ByteWriter) {
    json.append("\\u")
    var shift: UInt32 = 16
    while shift > 0 {
      shift &-= 4
      let nibble = UInt8((unit &>> shift) & 0xF)
      json.append(nibble < 10 ? 0x30 &+ nibble : 0x37 &+ nibble)
    }
  }
}
