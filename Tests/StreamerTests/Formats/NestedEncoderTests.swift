import PGWire
import Testing

@testable import Streamer

/// What has to be looked up, what contradicts itself, what is malformed.
@Suite struct NestedEncoderTests {
  private func type(_ oid: UInt32, _ name: String, _ kind: TypeDescription.Kind) -> TypeDescription
  {
    TypeDescription(oid: oid, schema: "any", name: name, kind: kind)
  }

  private var catalog: TypeCatalog {
    var catalog = TypeCatalog()
    catalog.learn([
      type(20000, "hstore", .base(.userDefined)),
      type(20001, "_hstore", .array(element: 20000, delimiter: 0x2C)),
      type(20002, "vector", .base(.userDefined)),
      type(20003, "small", .domain(base: 20004)), type(20004, "smaller", .domain(base: 21)),
      type(
        20005, "pair", .composite([.init(name: "a", type: 20003), .init(name: "q\"", type: 25)])),
      type(20006, "loop", .domain(base: 20006)),
      type(20007, "self", .composite([.init(name: "me", type: 20007)])),
      type(20008, "many", .multirange(range: 29999)),
      type(20009, "hstore", .enumeration),
      type(20010, "_pair", .array(element: 20005, delimiter: 0x2C)),
    ])
    return catalog
  }

  @Test(
    arguments: [
      (20000, #""a"=>"1", "b"=>NULL"#, #"{"a":"1","b":null}"#), (20000, "", "{}"),
      (20001, #"{"\"a\"=>\"\\\"\""}"#, #"[{"a":"\""}]"#),
      (20002, "[1,2.5,-1e-05]", "[1,2.5,-1e-05]"), (20002, "[]", "[]"),
      (20002, "[1,]", #""[1,]""#), (20002, "[a]", #""[a]""#), (20002, "[1", #""[1""#),
      (20002, "[,1]", #""[,1]""#), (20002, "v", #""v""#),
      (20003, "-7", "-7"), (20005, "(1,x)", #"{"a":1,"q\"":"x"}"#),
      (20005, "(,)", #"{"a":null,"q\"":null}"#),
      (20006, "x", #""x""#), (20007, "(x)", #"{"me":"x"}"#), (20008, "{[1,2)}", #""{[1,2)}""#),
      (20009, "label", #""label""#), (29998, "(?)", #""(?)""#),
      (20010, #"{"(1,\"a \"\"b\"\"\")",NULL}"#, #"[{"a":1,"q\"":"a \"b\""},null]"#),
    ] as [(UInt32, String, String)])
  func lookedUp(_ oid: UInt32, _ text: String, _ expected: String) throws {
    #expect(try json(text, oid, ValueOptions(), catalog) == expected)
  }

  @Test(
    arguments: [
      (16, "true"), (16, ""), (23, "12x"), (23, ""), (20, "1.5"), (17, "abc"), (17, #"\x0"#),
      (17, #"\x0g"#), (17, #"\x0000000g"#), (17, ""), (114, ""), (114, "\n\n"), (3802, ""),
      (22, "1  2"), (22, "a"), (1007, ""), (1007, "{1"), (1007, "{1,}"), (1007, "{x}"),
      (1007, "{1}x"), (1007, "[0:1]"), (1009, #"{"a}"#), (3904, "[1,2"), (3904, "[1,2)x"),
      (3904, "empty "), (4451, "{[1,2)"), (4451, "{[1,2),}"), (20000, #""a"=>b"#),
      (20000, #""a""#), (20005, "(1,2,3)"), (20005, "1,2"), (20005, "(1,2"),
      (20010, #"{"(1,2,3)"}"#),
    ] as [(UInt32, String)])
  func malformedThrowsAndAppendsNothing(_ oid: UInt32, _ text: String) {
    var encoders = ValueEncoders(options: ValueOptions())
    var scratch = ValueScratch()
    let encoder = encoders.resolve(oid, in: catalog)
    var output = ByteWriter()
    output.append("kept")
    let bytes = [UInt8](text.utf8)
    #expect(throws: DecodingError.self) {
      try encoders.encode(unsafe bytes.span.bytes, as: encoder, scratch: &scratch, into: &output)
    }
    let rest = output.bytes.text
    #expect(rest == "kept")
  }

  /// One buffer is kept for each of the first depths; deeper values work all the same, and again.
  @Test func escapesAtEveryDepth() throws {
    var catalog = TypeCatalog()
    var expected = #""a\"b""#
    var text = #"a"b"#
    var last: UInt32 = 25
    for depth in 0..<7 {
      let oid = UInt32(30000 + depth)
      catalog.learn([
        TypeDescription(
          oid: oid, schema: "s", name: "r", kind: .composite([.init(name: "x", type: last)]))
      ])
      last = oid
      expected = #"{"x":"# + expected + "}"
      text =
        "(\""
        + text.replacing(#"\"#, with: #"\\"#).replacing(#"""#, with: #""""#) + "\")"
    }
    var encoders = ValueEncoders(options: ValueOptions())
    var scratch = ValueScratch()
    let encoder = encoders.resolve(last, in: catalog)
    let bytes = [UInt8](text.utf8)
    for _ in 0..<3 {
      var output = ByteWriter()
      try encoders.encode(unsafe bytes.span.bytes, as: encoder, scratch: &scratch, into: &output)
      let found = output.bytes.text
      #expect(found == expected)
    }
  }

  /// Types nested beyond the limit end in text, not in an endless descent.
  @Test func depthIsLimited() throws {
    var catalog = TypeCatalog()
    for depth in 0..<100 {
      let inner = depth == 99 ? 23 : UInt32(30001 + depth)
      catalog.learn([
        TypeDescription(
          oid: UInt32(30000 + depth), schema: "s", name: "d", kind: .domain(base: inner))
      ])
    }
    #expect(try json("7", 30000, ValueOptions(), catalog) == #""7""#)
    #expect(try json("7", 30090, ValueOptions(), catalog) == "7")
  }

  /// Bytes at random as values of every kind: an error or JSON, never a trap.
  @Test(arguments: [21, 22] as [UInt64]) func randomBytesDoNotTrap(seed: UInt64) {
    let catalog = catalog
    var encoders = ValueEncoders(options: ValueOptions(interval: .iso8601))
    var scratch = ValueScratch()
    let oids: [UInt32] = [
      16, 20, 701, 1700, 1114, 1184, 1186, 17, 114, 22, 1007, 1009, 1020, 3904, 4451, 20000, 20001,
      20002, 20005, 20010,
    ]
    let encoders2 = oids.map { encoders.resolve($0, in: catalog) }
    var generator = SeededNumbers(seed: seed)
    let alphabet = Array("{}[]()\",\\=>:-+ 0129.TxNULL\nday".utf8) + [0, 0xFF]
    var output = ByteWriter()
    for _ in 0..<50_000 {
      let count = Int.random(in: 0...24, using: &generator)
      let bytes = (0..<count).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
      }
      output.removeAll()
      let encoder = encoders2[Int.random(in: 0..<oids.count, using: &generator)]
      try? encoders.encode(unsafe bytes.span.bytes, as: encoder, scratch: &scratch, into: &output)
    }
  }
}
