import PGWire
import Support
import Testing

@testable import Streamer

/// The texts of schemas: those that Confluent's converter registers for Debezium, and plain ones.
@Suite struct AvroSchemaTests {
  private static func relation(_ columns: [Relation.Column]) -> Relation {
    Relation(
      oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
      columns: [Relation.Column(name: "id", isKey: true, type: 23)] + columns)
  }

  /// The type of a column that may be null, without its union.
  private func type(
    _ oid: UInt32, _ modifier: Int32 = -1, _ style: SchemaStyle = .debezium,
    _ change: (inout DebeziumOptions) -> Void = { _ in }
  ) throws -> String {
    let column = Relation.Column(name: "c", isKey: false, type: oid, modifier: modifier)
    let schemas = try AvroRun.schemas(
      AvroRun.setup(style, isRowAlone: true) { change(&$0.debezium) }, Self.relation([column]))
    let text = schemas[1].text
    let start = try #require(text.firstRange(of: #"{"name":"c","type":["null","#))
    let end = try #require(text.firstRange(of: #"],"default":null}]"#))
    return String(text[start.upperBound..<end.lowerBound])
  }

  @Test func anEnvelopeIsThatOfConfluentsConverter() throws {
    let schemas = try AvroRun.schemas(
      AvroRun.setup(), Self.relation([Relation.Column(name: "note", isKey: false, type: 25)]))
    #expect(schemas.map(\.isKey) == [true, false])
    #expect(schemas.map(\.name) == ["dbz.public.orders.Key", "dbz.public.orders.Envelope"])
    #expect(
      schemas[0].text
        == #"{"type":"record","name":"Key","namespace":"dbz.public.orders","fields":["#
        + #"{"name":"id","type":"int"}],"connect.name":"dbz.public.orders.Key"}"#)
    let numbers = ["ts_ms", "ts_us", "ts_ns"]
      .map { #"{"name":"\#($0)","type":["null","long"],"default":null}"# }.joined(separator: ",")
    #expect(
      schemas[1].text
        == #"{"type":"record","name":"Envelope","namespace":"dbz.public.orders","fields":["#
        + #"{"name":"before","type":["null",{"type":"record","name":"Value","fields":["#
        + #"{"name":"id","type":"int"},{"name":"note","type":["null","string"],"default":null}],"#
        + #""connect.name":"dbz.public.orders.Value"}],"default":null},"#
        + #"{"name":"after","type":["null","Value"],"default":null},"#
        + #"{"name":"source","type":{"type":"record","name":"Source","#
        + #""namespace":"io.debezium.connector.postgresql","fields":["#
        + #"{"name":"version","type":"string"},{"name":"connector","type":"string"},"#
        + #"{"name":"name","type":"string"},{"name":"ts_ms","type":"long"},"#
        + #"{"name":"snapshot","type":[{"type":"string","connect.version":1,"#
        + #""connect.parameters":{"allowed":"true,first,first_in_data_collection,"#
        + #"last_in_data_collection,last,false,incremental"},"connect.default":"false","#
        + #""connect.name":"io.debezium.data.Enum"},"null"],"default":"false"},"#
        + #"{"name":"db","type":"string"},"#
        + #"{"name":"sequence","type":["null","string"],"default":null},"#
        + #"{"name":"ts_us","type":["null","long"],"default":null},"#
        + #"{"name":"ts_ns","type":["null","long"],"default":null},"#
        + #"{"name":"schema","type":"string"},{"name":"table","type":"string"},"#
        + #"{"name":"txId","type":["null","long"],"default":null},"#
        + #"{"name":"lsn","type":["null","long"],"default":null},"#
        + #"{"name":"xmin","type":["null","long"],"default":null},"#
        + #"{"name":"origin","type":["null","string"],"default":null},"#
        + #"{"name":"origin_lsn","type":["null","long"],"default":null}],"connect.version":1,"#
        + #""connect.name":"io.debezium.connector.postgresql.Source"}},"#
        + #"{"name":"transaction","type":["null",{"type":"record","name":"block","#
        + #""namespace":"event","fields":[{"name":"id","type":"string"},"#
        + #"{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}],"#
        + #""connect.version":1,"connect.name":"event.block"}],"default":null},"#
        + #"{"name":"op","type":"string"},"# + numbers
        + #"],"connect.version":2,"connect.name":"dbz.public.orders.Envelope"}"#)
  }

  @Test(
    arguments: [
      (16, -1, #""boolean""#), (21, -1, #"{"type":"int","connect.type":"int16"}"#),
      (23, -1, #""int""#), (20, -1, #""long""#), (26, -1, #""long""#), (700, -1, #""float""#),
      (701, -1, #""double""#), (25, -1, #""string""#), (17, -1, #""bytes""#),
      (
        1700, 0xA_0006,
        #"{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":"#
          + #"{"scale":"2","connect.decimal.precision":"10"},"#
          + #""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#
      ),
      (
        790, -1,
        #"{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":"#
          + #"{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","#
          + #""logicalType":"decimal"}"#
      ),
      (
        1700, -1,
        #"{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","#
          + #""fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}],"#
          + #""connect.doc":"Variable scaled decimal","connect.version":1,"#
          + #""connect.name":"io.debezium.data.VariableScaleDecimal"}"#
      ),
      (1082, -1, #"{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}"#),
      (
        1114, -1,
        #"{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}"#
      ),
      (
        1184, -1,
        #"{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}"#
      ),
      (
        1560, 5,
        #"{"type":"bytes","connect.version":1,"connect.parameters":{"length":"5"},"#
          + #""connect.name":"io.debezium.data.Bits"}"#
      ),
      (2950, -1, #"{"type":"string","connect.version":1,"connect.name":"io.debezium.data.Uuid"}"#),
      (1007, -1, #"{"type":"array","items":["null","int"]}"#),
    ] as [(UInt32, Int32, String)])
  func aTypeIsMarkedAsConfluentsConverterDoes(_ oid: UInt32, _ modifier: Int32, _ text: String)
    throws
  {
    #expect(try type(oid, modifier) == text)
  }

  @Test(
    arguments: [
      (21, -1, #""int""#), (1082, -1, #"{"type":"int","logicalType":"date"}"#),
      (1083, -1, #"{"type":"long","logicalType":"time-micros"}"#),
      (1114, 3, #"{"type":"long","logicalType":"local-timestamp-micros"}"#),
      (1184, -1, #"{"type":"long","logicalType":"timestamp-micros"}"#),
      (2950, -1, #"{"type":"string","logicalType":"uuid"}"#),
      (
        1700, 0xA_0006, #"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}"#
      ),
      (1700, -1, #""string""#), (3802, -1, #""string""#),
      // numeric(2, 5), numeric(5, -2)
      (1700, 0x2_0009, #""string""#), (1700, 0x5_0802, #""string""#),
    ] as [(UInt32, Int32, String)])
  func aPlainTypeHasAvrosOwnMeaning(_ oid: UInt32, _ modifier: Int32, _ text: String) throws {
    #expect(try type(oid, modifier, .plain) == text)
  }

  @Test func connectsTimesHaveAvrosTypes() throws {
    #expect(
      try type(1114) { $0.time = .connect }
        == #"{"type":"long","connect.version":1,"#
        + #""connect.name":"org.apache.kafka.connect.data.Timestamp","#
        + #""logicalType":"timestamp-millis"}"#)
  }

  @Test func aRecordIsWrittenOnce() throws {
    let columns = ["a", "b"].map { Relation.Column(name: $0, isKey: false, type: 1700) }
    let text = try AvroRun.schemas(AvroRun.setup(), Self.relation(columns))[1].text
    #expect(text.ranges(of: #""name":"VariableScaleDecimal""#).count == 1)
    #expect(text.contains(#"{"name":"b","type":["null","io.debezium.data.VariableScaleDecimal"]"#))
  }

  @Test func namesAreThoseThatAvroTakes() throws {
    let relation = Relation(
      oid: 16_384, schema: "my shop", name: "2-orders", replicaIdentity: .primaryKey,
      columns: [Relation.Column(name: "the id", isKey: true, type: 23)])
    let schemas = try AvroRun.schemas(AvroRun.setup(), relation, key: [])
    #expect(schemas.map(\.name)[0] == "dbz.my_shop._2_orders.Key")
    #expect(schemas[0].text.contains(#"{"name":"the_id","type":"int"}"#))
  }

  @Test func rowsAloneAreAUnionUnlessSomethingIsAdded() throws {
    let relation = Self.relation([])
    let row = try AvroRun.schemas(AvroRun.setup(isRowAlone: true), relation)[1]
    #expect(row.name == "dbz.public.orders.Value")
    #expect(row.text.hasPrefix(#"["null",{"type":"record","name":"Value""#))
    let rewritten = try AvroRun.schemas(
      AvroRun.setup(isRowAlone: true) { $0.flat.deletes = .rewrite }, relation)[1]
    #expect(rewritten.text.hasPrefix(#"{"type":"record""#))
    #expect(
      rewritten.text.contains(#"{"name":"__deleted","type":["null","string"],"default":null}"#))
    let plain = try AvroRun.schemas(AvroRun.setup(.plain), relation)[1]
    #expect(
      plain.text
        == #"{"type":"record","name":"Value","namespace":"dbz.public.orders","fields":["#
        + #"{"name":"id","type":"int"}]}"#)
  }

  @Test func subjectsFollowTheStrategy() throws {
    let schemas = try AvroRun.schemas(AvroRun.setup(), Self.relation([]))
    #expect(schemas.map { $0.subject(of: "t", .topic) } == ["t-key", "t-value"])
    #expect(schemas[1].subject(of: "t", .record) == "dbz.public.orders.Envelope")
    #expect(schemas[0].subject(of: "t", .topicRecord) == "t-dbz.public.orders.Key")
  }
}
