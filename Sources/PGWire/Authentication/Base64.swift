/// Base64 with padding (RFC 4648, section 4), as SCRAM's messages carry it.
enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  /// The text of the bytes.
  static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    var at = 0
    while at < bytes.count {
      let taken = min(3, bytes.count - at)
      var group: UInt32 = 0
      for i in 0..<3 { group = group << 8 | (i < taken ? UInt32(bytes[at + i]) : 0) }
      for i in 0..<4 {
        text.append(i <= taken ? alphabet[Int(group >> (18 - 6 * UInt32(i)) & 0x3F)] : padding)
      }
      at += 3
    }
    return text
  }

  /// The bytes of the text; nil when it is not exactly what ``encode(_:)`` writes.
  static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    var digits: [UInt32] = []
    var padded = 0
    for byte in text {
      if byte == padding {
        padded += 1
      } else {
        guard padded == 0, let digit = alphabet.firstIndex(of: byte) else { return nil }
        digits.append(UInt32(digit))
      }
    }
    guard padded <= 2 else { return nil }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for digit in digits {
      bits = bits << 6 | digit
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        bits &= (1 << UInt32(count)) - 1
      }
    }
    // Bits left over must be zero, else two texts would mean the same bytes.
    return bits == 0 ? bytes : nil
  }
}
