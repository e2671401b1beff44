import Glibc
import PGWire

/// What Avro's binary encoding consists of.
extension ByteWriter {
  /// Appends a whole number: seven bits a byte, the lowest first, its sign in the lowest bit.
  @inline(__always)
  mutating func append(zigzag value: Int64) {
    var rest = UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    while rest > 0x7F {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest &>>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  /// Appends a text, or bytes, behind their number.
  @inline(__always)
  mutating func append(avro text: RawSpan) {
    append(zigzag: Int64(text.byteCount))
    append(short: text)
  }

  /// Appends a text that is not on the row path, behind its number of bytes.
  mutating func append(avro text: String) {
    append(zigzag: Int64(text.utf8.count))
    append(string: text)
  }

  /// Appends a number in double precision, or in single.
  mutating func append(avro value: Double, isSingle: Bool) {
    if isSingle {
      append(bigEndian: Float(value).bitPattern.byteSwapped)
    } else {
      append(bigEndian: value.bitPattern.byteSwapped)
    }
  }

  /// Appends the bytes of an even number of hexadecimal digits; false for other characters.
  mutating func append(ofDigits digits: RawSpan) -> Bool {
    reserve(digits.byteCount / 2)
    var at = 0
    while at &+ 1 < digits.byteCount {
      guard let high = Self.nibble(digits[at]), let low = Self.nibble(digits[at &+ 1]) else {
        return false
      }
      append(high &<< 4 | low)
      at &+= 2
    }
    return at == digits.byteCount
  }

  @inline(__always)
  private static func nibble(_ digit: UInt8) -> UInt8? {
    if digit &- 0x30 < 10 { return digit &- 0x30 }
    let letter = (digit | 0x20) &- 0x61
    return letter < 6 ? letter &+ 10 : nil
  }
}

/// Reads what PostgreSQL writes of numbers.
enum NumberText {
  /// A whole number; nil for anything else, and for what 64 bits cannot say.
  @inline(__always)
  static func integer(_ text: RawSpan) -> Int64? {
    let isNegative = text.byteCount > 0 && text[0] == 0x2D
    var at = isNegative ? 1 : 0
    guard at < text.byteCount else { return nil }
    var value: Int64 = 0
    // Counted downwards, where one more number fits.
    while at < text.byteCount {
      let digit = text[at] &- 0x30
      guard digit < 10 else { return nil }
      let (shifted, overflows) = value.multipliedReportingOverflow(by: 10)
      let (next, exceeds) = shifted.subtractingReportingOverflow(Int64(digit))
      guard !overflows, !exceeds else { return nil }
      value = next
      at &+= 1
    }
    if isNegative { return value }
    return value == .min ? nil : -value
  }

  /// A number in single precision, NaN and the infinities too; nil for anything else.
  static func single(_ text: RawSpan) -> Float? {
    // The digits are the fewest that name the number.
    floating(text).map { Float($0) }
  }

  /// A number in double precision, NaN and the infinities too; nil for anything else.
  static func floating(_ text: RawSpan) -> Double? {
    guard let first = text.byteCount > 0 ? text[0] : nil else { return nil }
    let second = text.byteCount > 1 ? text[1] : 0
    switch (first, second) {
    case (0x4E, _): return .nan
    case (0x49, _): return .infinity
    case (0x2D, 0x49): return -.infinity
    default: return JSONNumber.isNumber(text) ? JavaNumber.double(text) : nil
    }
  }
}
