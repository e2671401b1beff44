import Foundation
import PGWire
import Testing

@testable import Streamer

/// The writers that take several bytes per step against ones that take one.
@Suite struct JSONEscapeTests {
  /// RFC 8259 §7, byte by byte.
  private func model(_ bytes: [UInt8]) -> [UInt8] {
    var json: [UInt8] = [0x22]
    for byte in bytes {
      switch byte {
      case 0x22: json += Array(#"\""#.utf8)
      case 0x5C: json += Array(#"\\"#.utf8)
      case 0x08: json += Array(#"\b"#.utf8)
      case 0x09: json += Array(#"\t"#.utf8)
      case 0x0A: json += Array(#"\n"#.utf8)
      case 0x0C: json += Array(#"\f"#.utf8)
      case 0x0D: json += Array(#"\r"#.utf8)
      case ..<0x20:
        let hex = String(byte, radix: 16)
        json += Array((#"\u00"# + (byte < 16 ? "0" : "") + hex).utf8)
      default: json.append(byte)
      }
    }
    return json + [0x22]
  }

  private func escaped(_ bytes: [UInt8]) -> [UInt8] {
    var json = ByteWriter(capacity: 1)
    json.append(0x2C as UInt8)
    JSONEscape.append(unsafe bytes.span.bytes, to: &json)
    return array(json.bytes).dropFirst().map { $0 }
  }

  private func array(_ bytes: RawSpan) -> [UInt8] { (0..<bytes.byteCount).map { bytes[$0] } }

  @Test func everyByteAtEveryPlace() {
    for byte in UInt8.min...UInt8.max {
      for count in 1...20 {
        for place in 0..<count {
          var bytes = [UInt8](repeating: 0x61, count: count)
          bytes[place] = byte
          #expect(escaped(bytes) == model(bytes), "byte \(byte) at \(place) of \(count)")
        }
      }
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func randomBytes(seed: UInt64) {
    var generator = SeededNumbers(seed: seed)
    for _ in 0..<2000 {
      let count = Int.random(in: 0...70, using: &generator)
      // Few specials, many, or anything.
      let limit: UInt8 = [0x24, 0x7F, 0xFF][Int.random(in: 0..<3, using: &generator)]
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...limit, using: &generator) }
      #expect(escaped(bytes) == model(bytes))
    }
  }

  /// Text longer than a chunk, with specials around the seams and everywhere.
  @Test func longTexts() {
    let size = JSONEscape.chunkSize
    for count in [size - 1, size, size + 1, 2 * size, 2 * size + 9] {
      var bytes = [UInt8](repeating: 0x61, count: count)
      bytes[size - 2] = 0x22
      if count > size { bytes[size] = 0x0A }
      bytes[count - 1] = 0x5C
      #expect(escaped(bytes) == model(bytes))
      let controls = [UInt8](repeating: 1, count: count)
      #expect(escaped(controls) == model(controls))
    }
  }

  @Test func base64IsFoundations() throws {
    var generator = SeededNumbers(seed: 5)
    for count in 0..<100 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let expected = "\"" + Data(bytes).base64EncodedString() + "\""
      #expect(written { Base64.append(unsafe bytes.span.bytes, to: &$0) } == expected)
      let hex = #"\x"# + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      #expect(try json(hex, 17) == expected)
    }
  }

  @Test func onlyHexadecimalDigitsPass() {
    for byte in UInt8.min...UInt8.max {
      let word = 0x3061_4639_6641_3030 & ~(0xFF << 24) | UInt64(byte) << 24
      let isDigit = Character(UnicodeScalar(byte)).isHexDigit && byte < 0x80
      #expect(Base64.areHexadecimal(word) == isDigit, "byte \(byte)")
    }
  }

  @Test(arguments: [
    ("0", true), ("-0", true), ("10", true), ("-1.50", true), ("1e+30", true), ("1E-7", true),
    ("0.0", true), ("", false), ("-", false), ("01", false), ("-01", false), ("1.", false),
    (".5", false), ("+1", false), ("1e", false), ("1e+", false), ("NaN", false), ("1 ", false),
    ("1x", false), ("0x1", false), ("--1", false), ("1.5.2", false), ("Infinity", false),
  ])
  func numbers(_ text: String, _ isNumber: Bool) {
    let bytes = [UInt8](text.utf8)
    #expect(JSONNumber.isNumber(unsafe bytes.span.bytes) == isNumber)
    let isInteger = isNumber && !text.contains { ".eE".contains($0) }
    #expect(JSONNumber.isInteger(unsafe bytes.span.bytes) == isInteger)
  }

  /// A wrong character at every place of a number of every length.
  @Test func integersOfDigitsOnly() {
    for count in 1...20 {
      let digits = [UInt8](repeating: 0x39, count: count)
      #expect(JSONNumber.isInteger(unsafe digits.span.bytes))
      for place in 0..<count {
        for wrong in [0x2F, 0x3A, 0x20, 0x00, 0xB9, 0xFF, 0x2D] as [UInt8] {
          if wrong == 0x2D, place == 0, count > 1 { continue }
          var bytes = digits
          bytes[place] = wrong
          #expect(!JSONNumber.isInteger(unsafe bytes.span.bytes), "\(wrong) at \(place)")
        }
      }
    }
  }
}
