import PGWire
import Support
import Testing

@testable import Streamer

/// Values type by type, as protoc and Google's library read them.
@Suite(
  .enabled(if: ProtobufReader.isThere, "no Python packages protobuf and grpcio-tools: make readers")
)
struct ProtobufValuesTests {
  /// A type that a test's catalog has beside the built-in ones.
  private static let types: TypeCatalog = {
    var types = TypeCatalog()
    types.learn(
      ["hstore", "halfvec", "vector", "sparsevec", "geometry", "ltree"].enumerated().map {
        TypeDescription(
          oid: 20_000 + UInt32($0), schema: "any", name: $1, kind: .base(.userDefined))
      }
        + [
          TypeDescription(
            oid: 20_010, schema: "any", name: "_vector",
            kind: .array(element: 20_002, delimiter: 0x2C))
        ])
    return types
  }()

  struct Sample: Sendable {
    let type: UInt32
    let modifier: Int32
    let text: String
    let json: String
    let style: SchemaStyle
    let change: @Sendable (inout DebeziumOptions) -> Void

    init(
      _ type: UInt32, _ text: String, _ json: String, _ style: SchemaStyle = .debezium,
      _ change: @escaping @Sendable (inout DebeziumOptions) -> Void = { _ in }
    ) {
      self.init(type, -1, text, json, style, change)
    }

    init(
      _ type: UInt32, _ modifier: Int32, _ text: String, _ json: String,
      _ style: SchemaStyle = .debezium,
      _ change: @escaping @Sendable (inout DebeziumOptions) -> Void = { _ in }
    ) {
      self.type = type
      self.modifier = modifier
      self.text = text
      self.json = json
      self.style = style
      self.change = change
    }
  }

  private static let long = String(repeating: "x", count: 300)
  private static let wkb = "0x0101000000000000000000f03f0000000000000040"
  private static let samples: [Sample] =
    [
      Sample(16, "t", "true"), Sample(16, "f", "false"), Sample(21, "-32768", "-32768"),
      Sample(23, "2147483647", "2147483647"), Sample(23, "0", "0"),
      Sample(20, "-9223372036854775808", "-9223372036854775808"),
      Sample(20, "9223372036854775807", "9223372036854775807"),
      Sample(26, "4294967295", "4294967295"), Sample(700, "1.5", "1.5"),
      Sample(701, "-0.1", "-0.1"), Sample(701, "NaN", "NaN"), Sample(701, "-Infinity", "-Infinity"),
      Sample(25, "", #""""#), Sample(25, "é\n", #""é\n""#),
      Sample(25, long, "\"\(long)\""),
      Sample(3802, #"{"a": 1}"#, #""{\"a\": 1}""#), Sample(17, #"\x00ff"#, #""0x00ff""#),
      Sample(17, #"\x"#, #""0x""#), Sample(1700, 0xA_0006, "1.50", #""1.50""#),
      Sample(1700, 0xA_0006, "-0.01", #""-0.01""#), Sample(1700, 0xA_0006, "0.00", #""0.00""#),
      Sample(1700, 0x5_07FE + 4, "1200", #""1200""#),
      Sample(
        1700, 0x28_0006, "12345678901234567890123456789012345678.25",
        #""12345678901234567890123456789012345678.25""#),
      Sample(1700, "-0.5", #"{"scale":1,"value":"0xfb"}"#),
      Sample(1700, "123", #"{"scale":0,"value":"0x7b"}"#),
      Sample(1700, "1.50", #""1.50""#, .debezium) { $0.decimal = .string },
      Sample(1700, "1.50", "1.5", .debezium) { $0.decimal = .double },
      Sample(790, "-$1,234.56", #""-1234.56""#), Sample(790, "$0.00", #""0.00""#),
      Sample(1082, "2024-02-29", "19782"), Sample(1083, "00:00:01", "1000000"),
      Sample(1083, 0, "00:00:01", "1000"), Sample(1114, 3, "1969-12-31 23:59:59.999", "-1"),
      Sample(1184, 0, "2024-02-29 10:34:57+00", #""2024-02-29T10:34:57Z""#),
      Sample(1266, "00:00:01+01", #""23:00:01Z""#), Sample(1186, "00:00:01", "1000000"),
      Sample(1082, "2024-02-29", #"{"year":2024,"month":2,"day":29}"#) { $0.time = .connect },
      Sample(1083, "01:00:03.004005", #"{"hours":1,"minutes":0,"seconds":3,"nanos":4000000}"#) {
        $0.time = .connect
      },
      Sample(1114, "1969-12-31 23:59:59.9995", #"{"seconds":-1,"nanos":999000000}"#) {
        $0.time = .connect
      },
      Sample(1560, 1, "1", "true"), Sample(1560, 11, "10101010101", #""0x5505""#),
      Sample(600, "(1,2)", #"{"x":1.0,"y":2.0,"wkb":"\#(wkb)","srid":null}"#),
      Sample(
        20_004, "0101000020E6100000000000000000F03F0000000000000040",
        #"{"wkb":"0x0101000020e6100000000000000000f03f0000000000000040","srid":4326}"#),
      Sample(1007, "{1,-3}", "[1,-3]"), Sample(1007, "{}", "[]"),
      Sample(1009, #"{"a\"b",c}"#, #"["a\"b","c"]"#),
      Sample(1231, 0xA_0006, "{1.50,-2}", #"["1.50","-2.00"]"#),
      Sample(1000, "{t,f}", "[true,false]"),
      Sample(22, "1 -2", "[1,-2]"), Sample(22, "", "[]"),
      Sample(20_000, #""a"=>"1", "b"=>NULL"#, #""{\"a\":\"1\",\"b\":null}""#),
      Sample(
        20_000, #""a"=>"1", "b\""=>NULL"#, #"[{"key":"a","value":"1"},{"key":"b\"","value":null}]"#
      ) { $0.hstore = .map },
      Sample(20_001, "[1,-2.5]", "[1.0,-2.5]"), Sample(20_002, "[1]", "[1.0]"),
      Sample(20_010, #"{"[1,2]"}"#, #"["[1,2]"]"#),
      Sample(
        20_003, "{1:1.5,5:-2}/7",
        #"{"dimensions":7,"vector":[{"key":1,"value":1.5},{"key":5,"value":-2.0}]}"#),
      Sample(20_003, "{}/7", #"{"dimensions":7,"vector":[]}"#), Sample(20_005, "a.b", #""a.b""#),
      Sample(1082, "2024-02-29", "19782", .plain), Sample(1083, "00:00:01", "1000000", .plain),
      Sample(1184, "1970-01-01 01:00:01.5+01", #"{"seconds":1,"nanos":500000000}"#, .plain),
      Sample(1184, "1969-12-31 23:59:59.5+00", #"{"seconds":-1,"nanos":500000000}"#, .plain),
      Sample(1700, 0xA_0006, "1.50", #""1.50""#, .plain), Sample(1700, "NaN", #""NAN""#, .plain),
      Sample(790, "-$1,234.56", #""-1234.56""#, .plain),
      Sample(
        1007, "{1,NULL,3}", #"{"elements":[{"value":1},{"value":null},{"value":3}]}"#, .plain),
      Sample(1007, "{}", #"{"elements":[]}"#, .plain),
      Sample(1009, "{NULL,\"\"}", #"{"elements":[{"value":null},{"value":""}]}"#, .plain),
      Sample(
        1185, "{\"1970-01-01 00:00:01+00\",NULL}",
        #"{"elements":[{"value":{"seconds":1,"nanos":0}},{"value":null}]}"#, .plain),
      Sample(
        20_000, #""a"=>NULL"#, #"{"entries":[{"key":"a","value":null}]}"#, .plain
      ) { $0.hstore = .map },
      Sample(20_002, "[1]", "[1.0]", .plain),
    ]
    // Lists of Debezium's style hold no NULL.
    + StructuredSamples.all.filter { !$0.text.contains("NULL") }.map { sample in
      Sample(sample.type, sample.text, sample.json, sample.style) { $0.time = .structured }
    }

  private func record(
    _ type: UInt32, _ modifier: Int32, _ payload: [UInt8], _ style: SchemaStyle,
    _ change: (inout DebeziumOptions) -> Void
  ) throws -> (schema: String, bytes: [UInt8]) {
    let setup = ProtobufRun.setup(style, isRowAlone: true) { change(&$0.debezium) }
    let relation = Relation(
      oid: FormatRun.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "c", isKey: false, type: type, modifier: modifier),
      ])
    let pipeline = try AvroRun.feed(setup, relation, types: Self.types, [payload])
    let record = try #require(pipeline.sink.records.first, "\(type)")
    let schemas = try AvroRun.schemas(setup, relation, types: Self.types)
    return (schemas[1].text, try ProtobufRun.body(record.value, schema: 9))
  }

  @Test func aValueIsReadBack() throws {
    let values = try ProtobufReader.values(
      Self.samples.map { sample in
        try record(
          sample.type, sample.modifier,
          ServerBytes.insert(FormatRun.oid, [.text("0"), .text(sample.text)]), sample.style,
          sample.change)
      })
    #expect(values.count == Self.samples.count)
    for (sample, value) in zip(Self.samples, values) {
      #expect(value == #"{"id":0,"c":\#(sample.json)}"#, "\(sample.type) \(sample.text)")
    }
  }

  @Test func whatWasNotSentHasAStandIn() throws {
    let stand = "__debezium_unavailable_value"
    let codes = stand.utf8.map { "\($0)" }
    let wrapped = codes.map { "{\"value\":\($0)}" }.joined(separator: ",")
    let cases: [(UInt32, SchemaStyle, String)] = [
      (25, .debezium, #""\#(stand)""#),
      (17, .debezium, #""0x\#(AvroRun.hex(Array(stand.utf8)))""#),
      (1009, .debezium, #"["\#(stand)"]"#), (1700, .debezium, "null"),
      (3802, .debezium, #""\#(stand)""#),
      (20_000, .debezium, #""{\"\#(stand)\":\"\#(stand)\"}""#),
      (1007, .debezium, "[\(codes.joined(separator: ","))]"),
      (1009, .plain, #"{"elements":[{"value":"\#(stand)"}]}"#),
      (1007, .plain, #"{"elements":[\#(wrapped)]}"#),
    ]
    let values = try ProtobufReader.values(
      cases.map { type, style, _ in
        try record(
          type, -1, ServerBytes.update(FormatRun.oid, old: nil, [.text("0"), .unchanged]), style
        ) { _ in }
      })
    for (expected, value) in zip(cases, values) {
      #expect(value == #"{"id":0,"c":\#(expected.2)}"#, "\(expected.0)")
    }
  }

  /// The room for a length is what most lengths take; the others are moved.
  @Test func rowsOfEveryLengthAreReadBack() throws {
    let lengths = [0, 100, 117, 118, 119, 120, 127, 128, 16_370, 16_380, 16_384, 2_097_152]
    let setup = ProtobufRun.setup()
    let relation = FormatRun.orders()
    let schemas = try AvroRun.schemas(setup, relation)
    let pipeline = try AvroRun.feed(
      setup, relation,
      lengths.map {
        ServerBytes.insert(
          FormatRun.oid, [.text("1"), .text(String(repeating: "y", count: $0)), .null])
      })
    let values = try ProtobufReader.values(
      pipeline.sink.records.map { (schemas[1].text, try ProtobufRun.body($0.value, schema: 9)) })
    #expect(values.count == lengths.count)
    for (length, value) in zip(lengths, values) {
      let note = String(repeating: "y", count: length)
      #expect(value.contains(#""after":{"id":1,"note":"\#(note)","price":null}"#), "\(length)")
    }
  }
}
