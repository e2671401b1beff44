import PGWire
import Support
import Testing

@testable import Streamer

/// The JSON of Debezium's formats behind the numbers of JSON Schemas.
@Suite struct JSONSchemaFormatTests {
  private static let insert = ServerBytes.insert(
    FormatRun.oid, [.text("7"), .text("x"), .text("1.50")])

  private static func setup(
    _ style: SchemaStyle = .debezium, isRowAlone: Bool = false
  ) -> LaneSetup {
    AvroRun.setup(style, isRowAlone: isRowAlone) {
      $0.format = .jsonSchema
      $0.key = .jsonSchema
    }
  }

  private func feed(_ setup: LaneSetup, _ payloads: [UInt8]...) throws -> CapturingSink {
    try AvroRun.feed(setup, FormatRun.orders(), payloads).sink
  }

  private static func text(_ bytes: [UInt8]?, schema: UInt8) throws -> String {
    String(decoding: try AvroRun.body(bytes, schema: schema), as: UTF8.self)
  }

  @Test func aRecordIsThatOfDebeziumBehindTheNumber() throws {
    var debezium = Self.setup()
    debezium.format = .debezium
    debezium.key = .json
    let plain = try feed(debezium, Self.insert)
    let sink = try feed(Self.setup(), Self.insert)
    #expect(try Self.text(sink.records[0].key, schema: 7) == plain.keys[0])
    #expect(try Self.text(sink.records[0].value, schema: 9) == plain.values[0])
    #expect(plain.values[0].hasSuffix("}") && !plain.values[0].hasSuffix("}}"))
  }

  @Test func rowsAloneAreThoseOfFlat() throws {
    let delete = ServerBytes.delete(FormatRun.oid, .key, [.text("7"), .null, .null])
    let sink = try feed(Self.setup(.plain), Self.insert, delete)
    #expect(
      try Self.text(sink.records[0].value, schema: 9)
        == #"{"id":7,"note":"x","price":{"scale":1,"value":"Dw=="}}"#)
    #expect(sink.records[1].value == nil)
    #expect(try Self.text(sink.records[1].key, schema: 7) == #"{"id":7}"#)
  }

  @Test func schemasHaveTheMarksOfConfluentsConverter() throws {
    let schemas = try AvroRun.schemas(Self.setup(isRowAlone: true), FormatRun.orders())
    #expect(schemas.map(\.kind) == [.json, .json])
    #expect(
      schemas[0].text
        == #"{"type":"object","title":"dbz.shop.orders.Key","properties":{"#
        + #""id":{"type":"integer","connect.type":"int32","connect.index":0}}}"#)
    let price =
      #"{"type":"object","title":"io.debezium.data.VariableScaleDecimal","#
      + #""description":"Variable scaled decimal","properties":{"#
      + #""scale":{"type":"integer","connect.type":"int32","connect.index":0},"#
      + #""value":{"type":"string","connect.type":"bytes","connect.index":1}},"connect.version":1}"#
    #expect(
      schemas[1].text
        == #"{"oneOf":[{"type":"null"},{"type":"object","title":"dbz.shop.orders.Value","#
        + #""properties":{"id":{"type":"integer","connect.type":"int32","connect.index":0},"#
        + #""note":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":1},"#
        + #""price":{"oneOf":[{"type":"null"},\#(price)],"connect.index":2}}}]}"#)
  }

  @Test func plainSchemasHaveNone() throws {
    let text = try AvroRun.schemas(Self.setup(.plain), FormatRun.orders())[1].text
    #expect(!text.contains("connect.") && !text.contains("title"))
    #expect(
      text.hasPrefix(
        #"{"type":"object","properties":{"id":{"type":"integer"},"note":{"oneOf":[{"type":"null"}"#)
    )
  }

  @Test func everySchemaIsJSON() throws {
    for fixture in [UInt32(22), 1007, 600, 1186, 1184, 1700, 17] {
      let relation = Relation(
        oid: FormatRun.oid, schema: "s\"", name: "t", replicaIdentity: .primaryKey,
        columns: [
          Relation.Column(name: "i\nd", isKey: true, type: 23),
          Relation.Column(name: "c", isKey: false, type: fixture),
        ])
      for schema in try AvroRun.schemas(Self.setup(), relation, key: []) {
        #expect(throws: Never.self) { try JSON(schema.text) }
      }
    }
  }

  @Test func itIsConfigured() throws {
    let setup = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        format = "json-schema"
        registry = { urls = ["http://r:8081"] }

        """
    ).sinks[0].setup(for: "db")
    #expect(setup.format == .jsonSchema && setup.keyFormat == .jsonSchema)
    #expect(setup.schemas.registry?.urls.count == 1)
  }
}
