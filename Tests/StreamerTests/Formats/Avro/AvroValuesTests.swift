import PGWire
import Support
import Testing

@testable import Streamer

/// Values type by type: their bytes, and what fastavro reads in them.
@Suite struct AvroValuesTests {
  /// A type that a test's catalog has beside the built-in ones.
  private static let types: TypeCatalog = {
    var types = TypeCatalog()
    types.learn(
      ["hstore", "halfvec", "vector", "sparsevec", "geometry", "ltree"].enumerated().map {
        TypeDescription(
          oid: 20_000 + UInt32($0), schema: "any", name: $1, kind: .base(.userDefined))
      })
    return types
  }()

  struct Sample: Sendable {
    let type: UInt32
    var modifier: Int32 = -1
    let text: String
    /// The bytes in the column's union.
    let bytes: String
    /// What fastavro makes of them.
    let json: String
    var style = SchemaStyle.debezium
    var change: @Sendable (inout DebeziumOptions) -> Void = { _ in }

    init(
      _ type: UInt32, _ text: String, _ bytes: String, _ json: String,
      _ style: SchemaStyle = .debezium,
      _ change: @escaping @Sendable (inout DebeziumOptions) -> Void = { _ in }
    ) {
      self.init(type, -1, text, bytes, json, style, change)
    }

    init(
      _ type: UInt32, _ modifier: Int32, _ text: String, _ bytes: String, _ json: String,
      _ style: SchemaStyle = .debezium,
      _ change: @escaping @Sendable (inout DebeziumOptions) -> Void = { _ in }
    ) {
      self.type = type
      self.modifier = modifier
      self.text = text
      self.bytes = bytes
      self.json = json
      self.style = style
      self.change = change
    }
  }

  private static let samples: [Sample] =
    [
      Sample(16, "t", "01", "true"), Sample(16, "f", "00", "false"),
      Sample(21, "-32768", "ffff03", "-32768"),
      Sample(23, "2147483647", "feffffff0f", "2147483647"),
      Sample(20, "-9223372036854775808", "ffffffffffffffffff01", "-9223372036854775808"),
      Sample(20, "9223372036854775807", "feffffffffffffffff01", "9223372036854775807"),
      Sample(26, "4294967295", "feffffff1f", "4294967295"),
      Sample(700, "1.5", "0000c03f", "1.5"), Sample(701, "-0.1", "9a9999999999b9bf", "-0.1"),
      Sample(701, "NaN", "000000000000f87f", "NaN"),
      Sample(701, "-Infinity", "000000000000f0ff", "-Infinity"),
      Sample(25, "", "00", #""""#), Sample(25, "é\n", "06c3a90a", #""é\n""#),
      Sample(3802, #"{"a": 1}"#, "107b2261223a20317d", #""{\"a\": 1}""#),
      Sample(17, #"\x00ff"#, "0400ff", #""0x00ff""#), Sample(17, #"\x"#, "00", #""0x""#),
      Sample(1700, 0xA_0006, "1.50", "040096", #""1.50""#),
      Sample(1700, 0xA_0006, "-0.01", "02ff", #""-0.01""#),
      Sample(1700, "-0.5", "0202fb", #"{"scale":1,"value":"0xfb"}"#),
      Sample(1700, "123", "00027b", #"{"scale":0,"value":"0x7b"}"#),
      Sample(1700, "1.50", "08312e3530", #""1.50""#, .debezium) { $0.decimal = .string },
      Sample(1700, "1.50", "000000000000f83f", "1.5", .debezium) { $0.decimal = .double },
      Sample(790, "-$1,234.56", "06fe1dc0", #""-1234.56""#),
      Sample(1082, "2024-02-29", "8cb502", "19782"),
      Sample(1083, "00:00:01", "80897a", "1000000"), Sample(1083, 0, "00:00:01", "d00f", "1000"),
      Sample(1114, 3, "1969-12-31 23:59:59.999", "01", "-1"),
      Sample(1114, "1970-01-01 00:00:00.000001", "02", "1"),
      Sample(
        1184, 0, "2024-02-29 10:34:57+00", "28" + "323032342d30322d32395431303a33343a35375a",
        #""2024-02-29T10:34:57Z""#),
      Sample(1266, "00:00:01+01", "12" + "32333a30303a30315a", #""23:00:01Z""#),
      Sample(1186, "00:00:01", "80897a", "1000000"),
      Sample(1186, "1 day", "1c" + "503059304d3144543048304d3053", #""P0Y0M1DT0H0M0S""#) {
        $0.interval = .string
      },
      Sample(1560, 1, "1", "01", "true"), Sample(1560, 11, "10101010101", "045505", #""0x5505""#),
      Sample(
        600, "(1,2)",
        "000000000000f03f0000000000000040" + "02" + "2a"
          + "0101000000000000000000f03f0000000000000040" + "00",
        #"{"x":1.0,"y":2.0,"wkb":"0x0101000000000000000000f03f0000000000000040","srid":null}"#),
      Sample(
        20_004, "0101000020E6100000000000000000F03F0000000000000040",
        "32" + "0101000020e6100000000000000000f03f0000000000000040" + "02cc43",
        #"{"wkb":"0x0101000020e6100000000000000000f03f0000000000000040","srid":4326}"#),
      Sample(1007, "{1,NULL,3}", "06" + "0202" + "00" + "0206" + "00", "[1,null,3]"),
      Sample(1007, "{}", "00", "[]"),
      Sample(1009, #"{"a\"b",NULL}"#, "04" + "0206612262" + "00" + "00", #"["a\"b",null]"#),
      Sample(1231, 0xA_0006, "{1.50}", "02" + "02040096" + "00", #"["1.50"]"#),
      Sample(22, "1 -2", "04" + "0203" + "00", "[1,-2]"), Sample(22, "", "00", "[]"),
      Sample(
        20_000, #""a"=>"1", "b"=>NULL"#, "24" + "7b2261223a2231222c2262223a6e756c6c7d",
        #""{\"a\":\"1\",\"b\":null}""#),
      Sample(
        20_000, #""a"=>"1", "b"=>NULL"#, "04" + "0261" + "020231" + "0262" + "00" + "00",
        #"{"a":"1","b":null}"#
      ) { $0.hstore = .map },
      Sample(20_001, "[1,-2.5]", "04" + "0000803f000020c0" + "00", "[1.0,-2.5]"),
      Sample(20_002, "[1]", "02" + "000000000000f03f" + "00", "[1.0]"),
      Sample(
        20_003, "{1:1.5,5:-2}/7",
        "0e" + "04" + "02" + "000000000000f83f" + "0a"
          + "00000000000000c0" + "00",
        #"{"dimensions":7,"vector":[{"key":1,"value":1.5},{"key":5,"value":-2.0}]}"#),
      Sample(20_003, "{}/7", "0e00", #"{"dimensions":7,"vector":[]}"#),
      Sample(20_005, "a.b", "06612e62", #""a.b""#),
      Sample(1082, "2024-02-29", "8cb502", #""2024-02-29""#, .plain),
      Sample(1083, "00:00:01", "80897a", #""00:00:01""#, .plain),
      Sample(1114, "1970-01-01 00:00:01", "80897a", #""1970-01-01 00:00:01""#, .plain),
      Sample(
        1184, "1970-01-01 01:00:01+01", "80897a", #""1970-01-01 00:00:01+00:00""#, .plain),
      Sample(
        2950, "00000000-0000-0000-0000-000000000001",
        "48" + String(repeating: "30", count: 8) + "2d" + "303030302d303030302d303030302d"
          + String(repeating: "30", count: 11) + "31",
        #""00000000-0000-0000-0000-000000000001""#, .plain),
      Sample(1700, "1.50", "08312e3530", #""1.50""#, .plain),
      Sample(1700, "NaN", "064e414e", #""NAN""#, .plain),
    ]
    + StructuredSamples.all.map { sample in
      Sample(sample.type, sample.text, sample.avro, sample.json, sample.style) {
        $0.time = .structured
      }
    }

  /// A row alone with the value, behind an id: its schema and its bytes.
  private func record(_ sample: Sample) throws -> (schema: String, bytes: [UInt8]) {
    let setup = AvroRun.setup(sample.style, isRowAlone: true) { sample.change(&$0.debezium) }
    let relation = Relation(
      oid: FormatRun.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(
          name: "c", isKey: false, type: sample.type, modifier: sample.modifier),
      ])
    let pipeline = try AvroRun.feed(
      setup, relation, types: Self.types,
      [ServerBytes.insert(FormatRun.oid, [.text("0"), .text(sample.text)])])
    let record = try #require(pipeline.sink.records.first, "\(sample.text)")
    let schemas = try AvroRun.schemas(setup, relation, types: Self.types)
    return (schemas[1].text, try AvroRun.body(record.value, schema: 9))
  }

  @Test func aValueHasItsBytes() throws {
    for sample in Self.samples {
      let bytes = AvroRun.hex(try record(sample).bytes)
      // The row's union in Debezium's style, the id, the column's union.
      let head = sample.style == .debezium ? "020002" : "0002"
      #expect(bytes == head + sample.bytes, "\(sample.type) \(sample.text)")
    }
  }

  @Test(.enabled(if: AvroReader.isThere, "no Python package fastavro: make readers"))
  func aValueIsReadBack() throws {
    let values = try AvroReader.values(Self.samples.map { try record($0) })
    #expect(values.count == Self.samples.count)
    for (sample, value) in zip(Self.samples, values) {
      #expect(value == #"{"id":0,"c":\#(sample.json)}"#, "\(sample.type) \(sample.text)")
    }
  }

  @Test(.enabled(if: AvroReader.isThere, "no Python package fastavro: make readers"))
  func whatWasNotSentHasAStandIn() throws {
    let stand = "__debezium_unavailable_value"
    let cases: [(UInt32, String)] = [
      (25, #""\#(stand)""#), (17, #""0x\#(AvroRun.hex(Array(stand.utf8)))""#),
      (1009, #"["\#(stand)"]"#), (1700, "null"), (3802, #""\#(stand)""#),
      (20_000, #""{\"\#(stand)\":\"\#(stand)\"}""#),
      (1007, "[\(stand.utf8.map { "\($0)" }.joined(separator: ","))]"),
    ]
    var records: [(schema: String, bytes: [UInt8])] = []
    for (type, _) in cases {
      let setup = AvroRun.setup(isRowAlone: true)
      let relation = Relation(
        oid: FormatRun.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
        columns: [
          Relation.Column(name: "id", isKey: true, type: 23),
          Relation.Column(name: "c", isKey: false, type: type),
        ])
      let pipeline = try AvroRun.feed(
        setup, relation, types: Self.types,
        [ServerBytes.update(FormatRun.oid, old: nil, [.text("0"), .unchanged])])
      records.append(
        (
          try AvroRun.schemas(setup, relation, types: Self.types)[1].text,
          try AvroRun.body(pipeline.sink.records.first?.value, schema: 9)
        ))
    }
    let values = try AvroReader.values(records)
    for (expected, value) in zip(cases, values) {
      #expect(value == #"{"id":0,"c":\#(expected.1)}"#)
    }
  }

  @Test func wholeNumbersAreReadExactly() {
    func integer(_ text: String) -> Int64? {
      let bytes = Array(text.utf8)
      return NumberText.integer(unsafe bytes.span.bytes)
    }
    for number in [0, 1, -1, 63, -64, 64, Int64.max, .min] {
      #expect(integer("\(number)") == number)
    }
    for text in ["", "-", "+1", "1.0", "9223372036854775808", "-9223372036854775809", " 1"] {
      #expect(integer(text) == nil, "\(text)")
    }
  }
}
