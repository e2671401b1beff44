import Glibc
import PGWire

/// Writes floating-point numbers as Java prints them: `1.0E10`, `0.001`, `4.9E-324`.
enum JavaNumber {
  /// The longest text of a number that is looked at, in bytes.
  private static let longest = 400
  /// From this power of ten on, and below 10^-3, Java writes an exponent.
  private static let plainDigits = 7

  /// Appends the number that PostgreSQL's text stands for, from 12 on already in the fewest digits.
  ///
  /// NaN and the infinities are strings, as Jackson writes them; text that is no number too.
  static func append(_ text: RawSpan, to json: inout ByteWriter) {
    var number = Digits()
    guard JSONNumber.isNumber(text), text.byteCount < longest, number.read(text) else {
      return ConnectText.append(text, to: &json)
    }
    append(number, to: &json)
  }

  /// Appends a number of double precision.
  static func append(_ value: Double, to json: inout ByteWriter) {
    var text = ByteWriter(capacity: 32)
    text.append(double: value)
    append(text.bytes, to: &json)
  }

  /// Appends a number of single precision.
  static func append(_ value: Float, to json: inout ByteWriter) {
    var text = ByteWriter(capacity: 32)
    text.append(float: value)
    append(text.bytes, to: &json)
  }

  /// Appends the double nearest to the text of a `numeric`.
  static func append(numeric text: RawSpan, to json: inout ByteWriter) {
    guard JSONNumber.isNumber(text) else { return ConnectText.append(text, to: &json) }
    guard let value = double(text) else { return append(text, to: &json) }
    guard value.isFinite else {
      return json.append(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
    }
    append(value, to: &json)
  }

  /// The double nearest to a decimal text that fits into a small buffer.
  static func double(_ text: RawSpan) -> Double? {
    guard text.byteCount < longest else { return Double(text.text) }
    // SAFETY: the text and a zero byte fit into the room, which strtod reads up to that zero.
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: longest) { room in
      for offset in 0..<text.byteCount { unsafe room[offset] = CChar(bitPattern: text[offset]) }
      unsafe room[text.byteCount] = 0
      guard let start = room.baseAddress else { return nil }
      return unsafe strtod(start, nil)
    }
  }

  /// A decimal number's significant digits and where its point is.
  private struct Digits {
    var isNegative = false
    var value: UInt64 = 0
    var count = 0
    /// The power of ten of the first digit.
    var exponent = 0

    /// Reads a JSON number; false when it has more digits than fit.
    mutating func read(_ text: RawSpan) -> Bool {
      var at = 0
      if text[0] == 0x2D {
        isNegative = true
        at = 1
      }
      var point = 0
      var hasPoint = false
      var seen = 0
      var zeros = 0
      while at < text.byteCount {
        let byte = text[at]
        if byte == 0x2E {
          hasPoint = true
        } else if byte &- 0x30 < 10 {
          if !hasPoint { point &+= 1 }
          if byte == 0x30 {
            if count > 0 { zeros &+= 1 } else { seen &+= 1 }
          } else {
            guard count &+ zeros < 19 else { return false }
            while zeros > 0 {
              value &*= 10
              count &+= 1
              zeros &-= 1
            }
            value = value &* 10 &+ UInt64(byte &- 0x30)
            count &+= 1
          }
        } else {
          break
        }
        at &+= 1
      }
      exponent = point &- seen &- 1
      guard at < text.byteCount else { return true }
      return readExponent(text, at &+ 1)
    }

    private mutating func readExponent(_ text: RawSpan, _ start: Int) -> Bool {
      var at = start
      var isBelow = false
      if at < text.byteCount, text[at] == 0x2B || text[at] == 0x2D {
        isBelow = text[at] == 0x2D
        at &+= 1
      }
      var power = 0
      while at < text.byteCount {
        power = power &* 10 &+ Int(text[at] &- 0x30)
        guard power < 100_000 else { return false }
        at &+= 1
      }
      exponent &+= isBelow ? -power : power
      return true
    }
  }

  private static func append(_ number: Digits, to json: inout ByteWriter) {
    if number.isNegative { json.append(0x2D as UInt8) }
    guard number.count > 0 else { return json.append("0.0") }
    // Java has at least two digits, and for the least numbers the second one says more.
    if number.count == 1, number.value == 5, number.exponent == -324 {
      return json.append("4.9E-324")
    }
    if number.count == 1, number.value == 1, number.exponent == -45 {
      return json.append("1.4E-45")
    }
    switch number.exponent {
    case 0..<plainDigits:
      let whole = number.exponent &+ 1
      guard number.count > whole else {
        json.append(decimal: number.value)
        for _ in number.count..<whole { json.append(0x30 as UInt8) }
        return json.append(".0")
      }
      appendParted(number.value, number.count &- whole, to: &json)
    case -3..<0:
      json.append("0.")
      for _ in 0..<(-number.exponent &- 1) { json.append(0x30 as UInt8) }
      json.append(decimal: number.value)
    default:
      if number.count == 1 {
        json.append(decimal: number.value)
        json.append(".0")
      } else {
        appendParted(number.value, number.count &- 1, to: &json)
      }
      json.append(0x45 as UInt8)
      json.append(decimal: Int64(number.exponent))
    }
  }

  /// Appends digits with a point before the last `behind` of them.
  private static func appendParted(_ value: UInt64, _ behind: Int, to json: inout ByteWriter) {
    var power: UInt64 = 1
    for _ in 0..<behind { power &*= 10 }
    json.append(decimal: value / power)
    json.append(0x2E as UInt8)
    json.append(decimal: value % power, digits: behind)
  }
}
