import Support
import Testing

@testable import PGWire

/// Our digits of floating-point numbers against the standard library's.
@Suite struct ShortestDecimalTests {
  private func written(_ write: (inout ByteWriter) -> Void) -> String {
    var output = ByteWriter(capacity: 1)
    write(&output)
    return output.bytes.text
  }

  /// Swift takes a decimal halfway between two numbers for the even one; PostgreSQL does not. All
  /// other numbers have the same digits.
  @Test func doublesAreTheStandardLibrarys() {
    var random = SeededRandom("doubles")
    var differ = 0
    for round in 0..<200_000 {
      var value = Double(bitPattern: random.next()).magnitude
      // Every fourth is a power of two: the numbers below it lie closer.
      if round % 4 == 0 {
        value = Double(sign: .plus, exponent: Int(random.next() % 2046) - 1022, significand: 1)
      }
      guard value.isFinite, value != 0 else { continue }
      let own = ShortestDecimal(value)
      let back = Double("\(own.digits)e\(own.exponent)")
      #expect(back == value)
      let (digits, exponent) = parts("\(value)")
      guard own.digits != digits || own.exponent != exponent else { continue }
      differ += 1
      #expect("\(own.digits)".utf8.count > "\(digits)".utf8.count)
    }
    #expect(differ < 200)
  }

  @Test func floatsAreTheStandardLibrarys() {
    var random = SeededRandom("floats")
    var differ = 0
    for _ in 0..<200_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next())).magnitude
      guard value.isFinite, value != 0 else { continue }
      let own = ShortestDecimal(value)
      #expect(Float("\(own.digits)e\(own.exponent)") == value)
      let (digits, exponent) = parts("\(value)")
      guard own.digits != digits || own.exponent != exponent else { continue }
      differ += 1
      #expect("\(own.digits)".utf8.count > "\(digits)".utf8.count)
    }
    #expect(differ < 2000)
  }

  @Test func formsArePostgreSQLs() {
    let doubles: [(Double, String)] = [
      (0, "0"), (-0.0, "-0"), (1, "1"), (-1.5, "-1.5"), (1e14, "100000000000000"), (1e15, "1e+15"),
      (123_456_789_012_345, "123456789012345"), (1_234_567_890_123_456, "1.234567890123456e+15"),
      (0.0001, "0.0001"), (0.00012, "0.00012"), (0.00001, "1e-05"), (1e23, "9.999999999999999e+22"),
      (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
      (1e100, "1e+100"),
      (.nan, "NaN"), (.infinity, "Infinity"), (-.infinity, "-Infinity"),
      (0.1 + 0.2, "0.30000000000000004"),
    ]
    for (value, text) in doubles {
      let own = written { $0.append(double: value) }
      #expect(own == text)
    }
    let floats: [(Float, String)] = [
      (0.1, "0.1"), (100_000, "100000"), (1e6, "1e+06"), (16_777_216, "1.6777216e+07"),
      (.leastNonzeroMagnitude, "1e-45"),
      (3.4028235e38, "3.4028235e+38"), (0.0001, "0.0001"), (1e-5, "1e-05"),
    ]
    for (value, text) in floats {
      let own = written { $0.append(float: value) }
      #expect(own == text)
    }
  }

  /// The digits and the exponent of the standard library's text.
  private func parts(_ text: String) -> (UInt64, Int) {
    let halves = text.split(separator: "e")
    var exponent = halves.count > 1 ? Int(halves[1]) ?? 0 : 0
    var digits = String(halves[0])
    if let point = digits.firstIndex(of: ".") {
      exponent -= digits.distance(from: point, to: digits.endIndex) - 1
      digits.remove(at: point)
    }
    while digits.hasSuffix("0"), digits.count > 1 {
      digits.removeLast()
      exponent += 1
    }
    return (UInt64(digits) ?? 0, exponent)
  }
}
