import PGWire
import Support
import Testing

@testable import Streamer

/// Values as a real Debezium 3.6 wrote them, type by type.
@Suite struct DebeziumValuesTests {
  private func value(
    _ text: String, _ oid: UInt32, _ modifier: Int32 = -1,
    _ change: (inout DebeziumOptions) -> Void = { _ in }
  ) -> String? {
    var options = DebeziumOptions()
    change(&options)
    guard let encoder = DebeziumEncoder(oid, modifier, TypeCatalog(), options) else { return nil }
    var scratch = DebeziumScratch()
    let bytes = Array(text.utf8)
    return written { encoder.encode(unsafe bytes.span.bytes, &scratch, into: &$0) }
  }

  @Test(
    arguments: [
      (701, -1, "1e+30", "1.0E30"), (701, -1, "0.0001", "1.0E-4"), (701, -1, "0.001", "0.001"),
      (701, -1, "1000000", "1000000.0"), (701, -1, "10000000", "1.0E7"), (701, -1, "-0", "-0.0"),
      (701, -1, "123456789012345680", "1.2345678901234568E17"), (701, -1, "5e-324", "4.9E-324"),
      (701, -1, "4.35", "4.35"), (701, -1, "NaN", #""NaN""#), (700, -1, "1e-45", "1.4E-45"),
      (1700, -1, "1.50", #"{"scale":1,"value":"Dw=="}"#), (1700, 0xA_0006, "1.50", #""AJY=""#),
      (1700, -1, "0.000", #"{"scale":0,"value":"AA=="}"#), (1700, 0xA_0006, "-0.01", #""/w==""#),
      (1700, -1, "-0.5", #"{"scale":1,"value":"+w=="}"#), (1700, -1, "NaN", #""NaN""#),
      (1700, 0x26_0004, "99999999999999999999999999999999999999", #""SztMqFqGxHoJiiI//////w==""#),
      (790, -1, "-$1,234,567.89", #""+KQy6w==""#), (790, -1, "$0.00", #""AA==""#),
      (1082, -1, "2024-02-29", "19782"), (1082, -1, "0044-03-15 BC", "-735160"),
      (1082, -1, "4713-11-24 BC", "-2440222"), (1082, -1, "5874897-12-31", "2145042905"),
      (1083, -1, "24:00:00", "86400000000"), (1083, 3, "12:34:56.789", "45296789"),
      (1266, -1, "12:34:56.5+05:30", #""07:04:56.5Z""#), (1266, 0, "24:00:00-02", #""02:00:00Z""#),
      (1114, -1, "2024-02-29 12:34:56.789", "1709210096789000"),
      (1114, 3, "1969-12-31 23:59:59.999", "-1"), (1114, 0, "infinity", "9223372036825200"),
      (1184, -1, "2024-02-29 12:34:56.789+01", #""2024-02-29T11:34:56.789000Z""#),
      (1184, 0, "2024-02-29 10:34:57+00", #""2024-02-29T10:34:57Z""#),
      (1184, -1, "4713-11-24 00:00:00+00 BC", #""-4712-11-24T00:00:00.000000Z""#),
      (1184, -1, "294276-12-31 23:59:59.999999+00", #""+294276-12-31T23:59:59.999999Z""#),
      (1186, -1, "1 year 2 mons 3 days 04:05:06.7", "37091106700000"),
      (1186, -1, "-178000000 years", "-9223372036854775808"),
      (17, -1, #"\x00ff"#, #""AP8=""#), (1560, 1, "1", "true"),
      (1560, 11, "10101010101", #""VQU=""#),
      (1562, -1, "00000000", #""""#), (1562, -1, "111111110", #""/gE=""#),
      (600, -1, "(1,2)", #"{"x":1.0,"y":2.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null}"#),
      (1007, -1, "{1,NULL,3}", "[1,null,3]"), (1009, -1, #"{"a\"b",NULL}"#, #"["a\"b",null]"#),
      (1231, 0xA_0006, "{1.50}", #"["AJY="]"#), (1182, -1, "{2024-02-29}", "[19782]"),
      (25, -1, "\u{1F600}\u{1F}é", #""\uD83D\uDE00\u001Fé""#),
      (3802, -1, #"{"a": 1}"#, #""{\"a\": 1}""#),
      (16, -1, "t", "true"), (20, -1, "9007199254740993", "9007199254740993"),
    ] as [(UInt32, Int32, String, String)])
  func aValueIsWrittenAsDebeziumDoes(
    _ oid: UInt32, _ modifier: Int32, _ text: String, _ json: String
  ) {
    #expect(value(text, oid, modifier) == json)
  }

  @Test func typesThatDebeziumDoesNotKnowAreLeftOut() {
    for oid in [3220, 3615, 4451, 718, 1187] as [UInt32] {
      #expect(value("x", oid) == nil, "type \(oid)")
    }
    #expect(value("16/B374D848", 3220, -1) { $0.unknown = .text } == #""16/B374D848""#)
    #expect(value("a", 3220, -1) { $0.unknown = .bytes } == #""YQ==""#)
  }

  /// The unscaled bytes lead back to the digits.
  @Test func decimalsOfAnyLengthLeadBack() throws {
    var random = SeededRandom("DebeziumValuesTests")
    let seed = random.seed
    for _ in 0..<2_000 {
      let most = Int.random(in: 0..<8, using: &random) == 0 ? 400 : 40
      let count = Int.random(in: 1...most, using: &random)
      var digits = (0..<count).map { _ in Int.random(in: 0..<3, using: &random) == 0 ? 0 : 9 }
      if Bool.random(using: &random) { digits[0] = 1 }
      let point = Int.random(in: 0..<count, using: &random)
      let isNegative = Bool.random(using: &random)
      let whole = digits.prefix(count - point).map(String.init).joined()
      let fraction = digits.suffix(point).map(String.init).joined()
      let text = (isNegative ? "-" : "") + whole + (point > 0 ? "." + fraction : "")
      let json = try #require(value(text, 1700, Int32(count << 16 | point) + 4))
      let number = String((whole + fraction).drop { $0 == "0" })
      let expected = number.isEmpty ? "0" : (isNegative ? "-" : "") + number
      #expect(try Self.decimal(json) == expected, "\(text), seed \(seed)")
    }
  }

  /// The decimal digits of bytes in two's complement, in base 64.
  private static func decimal(_ json: String) throws -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var bits: [UInt8] = []
    for character in json where character != "\"" && character != "=" {
      let value = try #require(alphabet.firstIndex(of: character))
      for shift in (0..<6).reversed() { bits.append(UInt8(value >> shift & 1)) }
    }
    bits.removeLast(bits.count % 8)
    let isNegative = bits[0] == 1
    if isNegative, bits.count > 8 {
      #expect(bits[0...8].contains(0), "a byte more than it takes")
    } else if bits.count > 8 {
      #expect(bits[0...8].contains(1), "a byte more than it takes")
    }
    if isNegative {
      bits = bits.map { 1 - $0 }
      for index in bits.indices.reversed() {
        bits[index] = 1 - bits[index]
        if bits[index] == 1 { break }
      }
    }
    var digits: [Int] = [0]
    for bit in bits {
      var carry = Int(bit)
      for index in digits.indices {
        let sum = digits[index] * 2 + carry
        digits[index] = sum % 10
        carry = sum / 10
      }
      if carry > 0 { digits.append(carry) }
    }
    while digits.count > 1, digits.last == 0 { digits.removeLast() }
    return (isNegative ? "-" : "") + digits.reversed().map(String.init).joined()
  }

  /// Every day of some centuries, counted one by one, has its number and its date.
  @Test func daysAreCountedOneByOne() throws {
    var number: Int64 = -719_528
    for year in 0...2_500 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      for (month, days) in lengths.enumerated() {
        for day in [1, days] {
          func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
          let years = String("0000\(year)".suffix(4))
          let text = "\(years)-\(two(month + 1))-\(two(day))"
          let bytes = Array(text.utf8)
          if year > 0 {
            let moment = try #require(CalendarText(unsafe bytes.span.bytes))
            #expect(moment.days == number + Int64(day - 1), "\(text)")
            #expect(written { moment.append(date: &$0) } == text)
          }
        }
        number += Int64(days)
      }
    }
  }

  /// Numbers that no date or time has; the server does not send them.
  @Test(
    arguments: [
      (1184, "2024-02-29 9999999999:34:56+00"), (1184, "2024-02-29 12:34:56+9999999999"),
      (1266, "12:34:56-9999999999"),
    ] as [(UInt32, String)])
  func aTimeBeyondAllIsATextOfItsOwn(_ oid: UInt32, _ text: String) {
    #expect(value(text, oid) == "\"\(text)\"")
  }

  /// No text breaks anything, and every value is JSON.
  @Test func everyTextBecomesJSON() throws {
    var random = SeededRandom("DebeziumValuesTests")
    let seed = random.seed
    let pieces = [
      "", "-", "1", "9", ".", "e", "E+", ":", " ", "BC", "{", "}", "\"", "\\", ",", "(", ")", "/",
      "=>",
      "NULL", "inf", "T", "+05", "\u{1F600}", "\u{1}", "x", "year", "mons", "days", "$", "é",
    ]
    let oids: [UInt32] = [
      16, 17, 20, 22, 25, 114, 600, 700, 701, 790, 869, 1007, 1009, 1015, 1082, 1083, 1114, 1182,
      1184,
      1186, 1231, 1266, 1560, 1562, 1700, 3802, 3904,
    ]
    for _ in 0..<4_000 {
      let text = (0..<Int.random(in: 0...8, using: &random)).map { _ in
        pieces[Int.random(in: 0..<pieces.count, using: &random)]
      }.joined()
      let oid = oids[Int.random(in: 0..<oids.count, using: &random)]
      // The server sends integers as integers: they are not looked at.
      if oid == 20 { continue }
      let time = try #require(DebeziumOptions.Time.allCases.randomElement(using: &random))
      let modifier = Int32.random(in: -1...8, using: &random)
      let json = try #require(value(text, oid, modifier) { $0.time = time })
      #expect(throws: Never.self, "\(text) of \(oid), \(time): \(json), seed \(seed)") {
        try JSON(json)
      }
    }
  }
}
