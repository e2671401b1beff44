import PGWire
import Support
import Testing

@testable import Streamer

/// What commands read of records that name their schemas: the same as the JSON of Debezium's format.
@Suite struct RecordTextTests {
  private static let oid: UInt32 = 16_384

  /// A column of each kind of value, by its type, with the text of a value and of an edge.
  private static let columns: [(type: UInt32, modifier: Int32, values: [String])] = [
    (16, -1, ["t", "f"]), (21, -1, ["-32768", "7"]), (20, -1, ["-9223372036854775808", "300"]),
    (700, -1, ["1.5", "0.1"]), (701, -1, ["1e+300", "-0.1"]), (1700, 655_366, ["12.50", "-0.01"]),
    (25, -1, ["é \"q\" 😀\u{1}", ""]), (17, -1, ["\\x00ff10", "\\x"]),
    (1082, -1, ["2024-02-29", "0001-01-01"]), (1083, -1, ["12:34:56.789", "00:00:00"]),
    (1114, -1, ["2024-02-29 12:00:00.123456", "1969-12-31 23:59:59"]),
    (1184, -1, ["2024-02-29 12:00:00+00", "1969-12-31 23:59:59.5+00"]),
    (2950, -1, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"]),
    (3802, -1, ["{\"a\": [1, null]}", "[]"]), (1007, -1, ["{1,2,-3}", "{}"]),
    (1009, -1, ["{a,\"b c\",\"\"}", "{x}"]), (1186, -1, ["1 mon 2 days", "-00:00:01"]),
    (600, -1, ["(1.5,-2)", "(0,0)"]),
  ]

  private static let relation = Relation(
    oid: oid, schema: "public", name: "t", replicaIdentity: .full,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)]
      + columns.enumerated().map {
        Relation.Column(
          name: "c\($0)", isKey: true, type: $1.type, modifier: $1.modifier)
      })

  private static func feed(_ setup: LaneSetup) throws -> CapturingSink {
    let pipeline = CapturingPipeline(position: LSN(0x40), setup: setup)
    pipeline.catalogKey = ["id"]
    pipeline.schemas = SchemaNumbers(key: 7, value: 9)
    let rows: [[ServerBytes.Cell]] = [0, 1].map { place in
      [.text("\(place)")] + columns.map { .text($0.values[place]) }
    }
    let empty: [ServerBytes.Cell] = [.text("2")] + columns.map { _ in .null }
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 849_202_941_561_632, xid: 978)
      server.relation(relation)
      for payload in [
        ServerBytes.insert(oid, rows[0]), ServerBytes.update(oid, old: (.full, rows[0]), rows[1]),
        ServerBytes.insert(oid, empty), ServerBytes.delete(oid, .full, rows[1]),
        ServerBytes.truncate([oid]),
      ] { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 849_202_941_561_632)
    }
    return pipeline.sink
  }

  private static func setup(_ format: FormatConfiguration.Name) -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = format
    setup.debezium.name = "dbz"
    setup.debezium.skippedOperations = []
    setup.schemas.registry = RegistryConfiguration()
    return setup
  }

  private static func texts(
    _ format: FormatConfiguration.Name, _ change: (inout LaneSetup) -> Void = { _ in }
  ) throws -> (keys: [String?], values: [String]) {
    var setup = setup(format)
    change(&setup)
    let schemas = try AvroRun.schemas(setup, relation)
    var numbers: [UInt32: RecordText] = [:]
    for schema in schemas {
      numbers[schema.isKey ? 7 : 9] = RecordText(schema.kind, schema.text)
    }
    func text(_ bytes: [UInt8]?) -> String? {
      guard let bytes else { return nil }
      var json = ByteWriter()
      let record = unsafe bytes.span.bytes
      let number = RecordText.number(in: record) ?? 0
      let isRead = numbers[number]?.append(record, to: &json) ?? false
      #expect(isRead, "\(AvroRun.hex(bytes))")
      // Whatever is cut off or follows is none of the schema.
      if format == .avro {
        var other = ByteWriter()
        #expect(
          !(numbers[number]?.append(record.extracting(0..<bytes.count - 1), to: &other) ?? true))
      }
      return json.bytes.text
    }
    let sink = try feed(setup)
    return (sink.records.map { text($0.key) }, sink.records.map { text($0.value) ?? "null" })
  }

  @Test(arguments: [FormatConfiguration.Name.avro, .jsonSchema])
  func recordsSayWhatDebeziumsJSONSays(format: FormatConfiguration.Name) throws {
    let plain = try Self.feed(Self.setup(.debezium))
    let read = try Self.texts(format)
    #expect(read.values.count == 8)
    #expect(read.values == plain.values)
    #expect(read.keys == plain.keys)
  }

  /// Protobuf has no list that is null, and tells nothing of an empty text.
  @Test func protobufSaysTheSameButForLists() throws {
    let plain = try Self.feed(Self.setup(.debezium))
    let read = try Self.texts(.protobuf)
    #expect(read.keys == plain.keys)
    #expect(read.values.count == plain.values.count)
    for (found, wanted) in zip(read.values, plain.values) where wanted != "null" {
      let (found, wanted) = (try JSON(found), try JSON(wanted))
      #expect(found["op"] == wanted["op"] && found["source"]?["lsn"] == wanted["source"]?["lsn"])
      for column in Self.relation.columns where ![1007, 1009].contains(column.type) {
        let value = found["after"]?[column.name]
        let expected = wanted["after"]?[column.name]
        // A decimal is a message of its own.
        let decimal = column.type == 1700 && expected != .null
        #expect((decimal ? value?["value"] : value) == expected, "\(column)")
      }
    }
    #expect(
      try JSON(read.values[0])["after"]?["c15"]?.elements.compactMap(\.string) == ["a", "b c", ""])
  }

  @Test(arguments: [FormatConfiguration.Name.avro, .protobuf, .jsonSchema])
  func rowsAloneAreRead(format: FormatConfiguration.Name) throws {
    let read = try Self.texts(format) {
      $0.schemas.style = .plain
      $0.schemas.isRowAlone = true
    }
    let row = try JSON(read.values[0])
    #expect(row["id"]?.int == 0 && row["c6"]?.string == Self.columns[6].values[0])
    #expect(row["c0"]?.bool == true && row["c2"] != nil)
    #expect(read.keys.allSatisfy { $0?.hasPrefix(#"{"id":"#) ?? true })
  }

  /// Schemas that others wrote: names in other namespaces, blocks with sizes, a map, an enumeration.
  @Test func othersSchemasAreRead() throws {
    let avro = try #require(
      AvroReader(
        """
        {"type": "record", "name": "a.b.R", "fields": [
          {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}},
          {"name": "again", "type": ["null", "E"]},
          {"name": "f", "type": {"type": "fixed", "name": "F", "size": 2}},
          {"name": "m", "type": {"type": "map", "values": "long"}},
          {"name": "next", "type": ["null", "a.b.R"]}
        ]}
        """))
    var json = ByteWriter()
    let bytes: [UInt8] = [2, 2, 0, 1, 2, 1, 6, 2, 0x6B, 0xAC, 2, 0, 0]
    #expect(avro.append(unsafe bytes.span.bytes, to: &json))
    #expect(
      json.bytes.text == #"{"e":"Y","again":"X","f":"AQI=","m":{"k":150},"next":null}"#)
    #expect(AvroReader(#"{"type": "record", "fields": [{"name": "a", "type": "none"}]}"#) == nil)

    let protobuf = try #require(
      ProtobufReader(
        """
        syntax = "proto3"; package p;
        message Other { int32 x = 1; }
        message M { // a comment
          map<string, int64> m = 1; repeated sint32 packed = 2; oneof o { string s = 3; }
          Inner inner = 4; enum E { A = 0; } E e = 5; fixed32 z = 6;
          message Inner { Other other = 1; }
        }
        """))
    // The second message; a pair, two packed numbers, a message in a message.
    let message: [UInt8] = [
      2, 2, 0x0A, 5, 0x0A, 1, 0x6B, 0x10, 5, 0x12, 2, 1, 4, 0x22, 4, 0x0A, 2, 8, 9, 0x35, 1, 0, 0,
      0,
    ]
    json.removeAll()
    #expect(protobuf.append(unsafe message.span.bytes, to: &json))
    #expect(
      json.bytes.text
        == #"{"m":[{"key":"k","value":5}],"packed":[-1,2],"s":"","inner":{"other":{"x":9}},"e":0,"z":1}"#
    )
  }

  /// Bytes by chance are read, or refused, and nothing worse.
  @Test func anyBytesAreReadOrRefused() throws {
    var random = SeededRandom("record texts")
    for format in [FormatConfiguration.Name.avro, .protobuf] {
      let setup = Self.setup(format)
      let schemas = try AvroRun.schemas(setup, Self.relation)
      let text = try #require(schemas.last.flatMap { RecordText($0.kind, $0.text) })
      let records = try Self.feed(setup).records.compactMap(\.value)
      for _ in 0..<2_000 {
        var bytes = try #require(records.randomElement(using: &random))
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[Int.random(in: 5..<bytes.count, using: &random)] = .random(
            in: 0...255, using: &random)
        }
        var json = ByteWriter()
        _ = text.append(unsafe bytes.span.bytes, to: &json)
      }
    }
  }
}
