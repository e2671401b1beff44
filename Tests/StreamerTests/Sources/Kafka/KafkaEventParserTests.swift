import PGWire
import Testing

@testable import Streamer

/// What is an event and what is none.
@Suite struct KafkaEventParserTests {
  private struct Names: Equatable {
    let database: String
    let schema: String
    let table: String
  }

  private static func parse(
    _ bytes: [UInt8], with parser: inout KafkaEventParser
  ) throws(KafkaMalformation) -> Names {
    try unsafe parser.parse(bytes.span.bytes)
    return Names(
      database: parser.database.text, schema: parser.schema.text, table: parser.table.text)
  }

  private static func parse(_ text: String) throws(KafkaMalformation) -> Names {
    var parser = KafkaEventParser()
    return try parse(Array(text.utf8), with: &parser)
  }

  private static func malformation(_ bytes: [UInt8]) -> KafkaMalformation? {
    do throws(KafkaMalformation) {
      var parser = KafkaEventParser()
      _ = try parse(bytes, with: &parser)
      return nil
    } catch { return error }
  }

  private static func isNotJSON(_ bytes: [UInt8]) -> Bool {
    if case .notJSON = malformation(bytes) { true } else { false }
  }

  @Test func findsTheNamesWhereverTheyStand() throws {
    let names = Names(database: "d", schema: "s", table: "t")
    #expect(
      try Self.parse(
        #"{"Host":"h","Database":"d","Table":"t","Action":"insert","Columns":{"Table":"no"},"#
          + #""Schema":"s","LSN":"0/1"}"#) == names)
    #expect(try Self.parse(#" {"Schema":"s", "Table":"t","Database":"d"} "#) == names)
  }

  @Test func unescapesNamesAndTakesTheFirst() throws {
    #expect(
      try Self.parse(#"{"Table":"ü\"A\n","Database":"","Table":"second"}"#)
        == Names(database: "", schema: "public", table: "ü\"A\n"))
  }

  @Test func anEventOfTheSeedHasNoSchema() throws {
    #expect(try Self.parse(#"{"Database":"d","Table":"t"}"#).schema == "public")
  }

  @Test func aLogicalMessageHasNoTable() throws {
    #expect(try Self.parse(#"{"Table":"","Action":"message"}"#).table == "")
    #expect(Self.malformation(Array(#"{"Table":"","Action":"insert"}"#.utf8)) == .noTable)
  }

  @Test func whatIsNoEventIsSaidToBeNone() {
    let cases: [(String, KafkaMalformation)] = [
      ("{}", .noTable), (#"{"table":"t"}"#, .noTable), ("[1]", .noObject), ("7", .noObject),
      (#"{"Table":7}"#, .noString), (#"{"Table":null}"#, .noString),
      (#"{"Table":"t","Schema":[]}"#, .noString),
    ]
    for (text, expected) in cases { #expect(Self.malformation(Array(text.utf8)) == expected) }
  }

  @Test(arguments: [
    "", " ", "{", "no", "{\"Table\":\"t\"", "{\"Table\":\"t\"} x", "{\"Table\":\"t\"}{}",
    "{'Table':'t'}", "{\"Table\":\"t\",}", "{\"Table\":\"t\",\"Columns\":{\"a\":01}}",
    "{\"Table\":\"t\",\"Columns\":{\"a\":nul}}", "{\"Table\":\"a\nb\"}", "{\"Table\":\"\\ud800\"}",
    "\u{FEFF}{\"Table\":\"t\"}x",
  ])
  func brokenTextsAreNoJSON(_ text: String) {
    #expect(Self.isNotJSON(Array(text.utf8)))
  }

  @Test(arguments: [
    "66666666666666666666661", "-66666666666666666666661", "1e400", "-1.25E+4000", "1e-4000",
    "0.000000000000000000000000000000000000000000000000000000000000000001e999",
  ])
  func numbersMayBeOfAnySize(_ number: String) throws {
    let names = Names(database: "d", schema: "s", table: #"t"1e400"#)
    #expect(
      try Self.parse(
        #"{"x":\#(number),"Database":"d","Columns":{"a":[\#(number), 1,\#(number)]},"#
          + #""Table":"t\"1e400","Schema":"s"}"#) == names)
    #expect(Self.malformation(Array(number.utf8)) == .noObject)
    #expect(Self.malformation(Array(#"{"Table":\#(number)}"#.utf8)) == .noString)
  }

  /// Each stands behind a number that makes the parser read the event a second time.
  @Test(arguments: [
    "01", "--1", "-", "+1", "1.", ".5", "1.e5", "1e", "1e+", "1e--5", "1.5.5", "1-2", "1 2", "1x",
    "x1", "x--1", "1e5e5", "true1", "1true", "1\"a\"", "-01", "1[2]", "\\\"1\\\"", "\"1", "\"\\x\"",
    "1e400e400", "-1e400-1e400", "66666666666666666666661x", "066666666666666666666661",
  ])
  func brokenValuesBesideLargeNumbersAreNoJSON(_ value: String) {
    for text in [
      #"{"Table":"t","a":1e400,"b":\#(value)}"#, #"{"Table":"t","b":\#(value),"a":1e400}"#,
      #"{"Table":"t","a":1e400,"b":[\#(value)]}"#, #"{"Table":"t","a":1e400}\#(value)"#,
    ] {
      #expect(Self.isNotJSON(Array(text.utf8)), "\(text)")
    }
  }

  @Test func invalidUTF8IsNoJSONEvenBehindTheNames() {
    let head = Array(
      #"{"Table":"t","Schema":"s","Database":"d","Action":"x","Columns":{"a":""#.utf8)
    let tail = Array(#""}}"#.utf8)
    #expect(Self.malformation(head + [0xC3, 0xBC] + tail) == nil)
    for bad: [UInt8] in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] {
      #expect(Self.isNotJSON(head + bad + tail))
    }
  }

  @Test func everyPrefixAndEveryLengthIsReadWithinItsBounds() throws {
    let event = Array(#"{"Database":"d","Table":"table","Columns":{"a":[1,2.5,null,"x"]}}"#.utf8)
    var parser = KafkaEventParser()
    for count in 0..<event.count {
      // An array of its own size: what lies behind it is not the parser's to read.
      #expect(Self.isNotJSON(Array(event.prefix(count))))
    }
    for blanks in 0..<130 {
      let padded = event + [UInt8](repeating: 0x20, count: blanks)
      #expect(try Self.parse(padded, with: &parser).table == "table")
    }
  }

  @Test func depthIsBoundedAndDoesNotRecurse() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array(#"{"Table":"t","Columns":{"a":"#.utf8) + [UInt8](repeating: 0x5B, count: depth)
        + [UInt8](repeating: 0x5D, count: depth) + Array("}}".utf8)
    }
    #expect(Self.malformation(nested(10_000)) == nil)
    #expect(Self.isNotJSON(nested(100_000)))
    #expect(Self.isNotJSON([UInt8](repeating: 0x5B, count: 1 << 20)))
  }

  @Test func aLargeEventAndThenASmallOne() throws {
    var parser = KafkaEventParser()
    let large =
      Array(#"{"Columns":{"a":""#.utf8) + [UInt8](repeating: 0x78, count: 5 << 20)
      + Array(#""},"Table":"large"}"#.utf8)
    let small = Array(#"{"Table":"small"}"#.utf8)
    for _ in 0..<3 {
      #expect(try Self.parse(large, with: &parser).table == "large")
      #expect(try Self.parse(small, with: &parser).table == "small")
    }
  }
}
