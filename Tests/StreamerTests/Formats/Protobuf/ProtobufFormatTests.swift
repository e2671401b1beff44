import PGWire
import Support
import Testing

@testable import Streamer

/// Records in Protobuf, byte for byte and as others read them.
@Suite struct ProtobufFormatTests {
  private static let oid = FormatRun.oid
  private static let insert = ServerBytes.insert(oid, [.text("7"), .text("x"), .text("1.50")])

  /// Keys and values as Google's library reads them; "null" for a record without a value.
  private func read(
    _ pipeline: CapturingPipeline, _ setup: LaneSetup, _ relation: Relation
  ) throws -> (keys: [String], values: [String]) {
    let schemas = try AvroRun.schemas(setup, relation)
    let records = pipeline.sink.records
    let keys = try ProtobufReader.values(
      records.map { (schemas[0].text, try ProtobufRun.body($0.key, schema: 7)) })
    let values = records.filter { $0.value != nil }
    let read = try ProtobufReader.values(
      values.map { (schemas[1].text, try ProtobufRun.body($0.value, schema: 9)) })
    var rest = read[...]
    return (keys, records.map { $0.value == nil ? "null" : rest.removeFirst() })
  }

  @Test func aRecordHasTheNumbersOfItsSchemasAndItsBytes() throws {
    let pipeline = try AvroRun.feed(ProtobufRun.setup(), FormatRun.orders(), [Self.insert])
    let record = try #require(pipeline.sink.records.first)
    #expect(AvroRun.hex(record.key ?? []) == "0000000007" + "00" + "0807")
    // The frame and the path; after with id, note, and price as {1, 0x0f}; where the source begins.
    let row = "0000000009" + "00" + "120c" + "0807" + "120178" + "1a05" + "0801" + "12010f" + "1a"
    #expect(AvroRun.hex(record.value ?? []).hasPrefix(row))
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test(
    .enabled(
      if: ProtobufReader.isThere, "no Python packages protobuf and grpcio-tools: make readers"))
  func eachKindOfEventIsReadBack() throws {
    let full = FormatRun.orders(.full)
    let setup = ProtobufRun.setup { $0.debezium.skippedOperations = [] }
    let pipeline = try AvroRun.feed(
      setup, full,
      [
        Self.insert,
        ServerBytes.update(
          Self.oid, old: (.full, [.text("7"), .text("x"), .text("1.50")]),
          [.text("7"), .unchanged, .null]),
        ServerBytes.delete(Self.oid, .full, [.text("7"), .text("x"), .null]),
        ServerBytes.update(
          Self.oid, old: (.full, [.text("7"), .null, .null]), [.text("0"), .null, .null]),
      ])
    let (keys, values) = try read(pipeline, setup, full)
    #expect(keys == [7, 7, 7, 7, 7, 7, 0].map { #"{"id":\#($0)}"# })
    // A default of a key is not written, as nobody writes it.
    #expect(AvroRun.hex(pipeline.sink.records.last?.key ?? []) == "000000000700")
    let rows = values.map { value -> String in
      guard let source = value.firstRange(of: ",\"source\""),
        let operation = value.firstRange(of: "\"op\":\"")
      else { return value }
      return value[..<source.lowerBound] + "} " + value[operation.upperBound...].prefix(1)
    }
    let price = #"{"scale":1,"value":"0x0f"}"#
    #expect(
      rows == [
        #"{"before":null,"after":{"id":7,"note":"x","price":\#(price)}} c"#,
        #"{"before":{"id":7,"note":"x","price":\#(price)},"after":{"id":7,"note":"x","price":null}} u"#,
        #"{"before":{"id":7,"note":"x","price":null},"after":null} d"#, "null",
        #"{"before":{"id":7,"note":null,"price":null},"after":null} d"#, "null",
        #"{"before":null,"after":{"id":0,"note":null,"price":null}} c"#,
      ])
    let parts = [
      #""source":{"version":"3.6.1.Final","connector":"postgresql","name":"dbz","#,
      #""ts_ms":1795887741561,"snapshot":"false","db":"d","sequence":"[\"64\",\"144\"]","#,
      #""ts_us":1795887741561632,"ts_ns":1795887741561632000,"schema":"shop","#,
      #""table":"orders","txId":978,"lsn":144,"xmin":null,"origin":null,"#,
      #""origin_lsn":null},"transaction":null,"op":"c","ts_ms":1795887741561,"#,
      #""ts_us":1795887741561632,"ts_ns":1795887741561632000}"#,
    ]
    #expect(values[0].contains(parts.joined()))
    #expect(
      pipeline.sink.headers == [
        #"__debezium.newkey={"id":0}"#, #"__debezium.newkey={"id":0}"#,
        #"__debezium.oldkey={"id":7}"#,
      ])
  }

  @Test(
    .enabled(
      if: ProtobufReader.isThere, "no Python packages protobuf and grpcio-tools: make readers"),
    arguments: [
      (SchemaStyle.plain, FlatOptions.Deletes.tombstone), (.plain, .rewriteWithTombstone),
      (.debezium, .tombstone), (.debezium, .rewrite), (.plain, .drop),
    ])
  func rowsAloneAreReadBack(_ style: SchemaStyle, _ deletes: FlatOptions.Deletes) throws {
    let setup = ProtobufRun.setup(style, isRowAlone: true) {
      $0.flat.deletes = deletes
      $0.debezium.decimal = .string
      $0.flat.fields = ["op", "lsn", "source.ts_ms", "table", "txId", "sequence", "origin"]
        .compactMap { FlatOptions.Field($0, prefix: "__") }
    }
    let relation = FormatRun.orders()
    let pipeline = try AvroRun.feed(
      setup, relation,
      [Self.insert, ServerBytes.delete(Self.oid, .key, [.text("7"), .null, .null])])
    let (keys, values) = try read(pipeline, setup, relation)
    #expect(Set(keys) == [#"{"id":7}"#])
    func row(_ columns: String, _ operation: String) -> String {
      let deleted = deletes.isRow ? #""__deleted":"\#(operation == "d")","# : ""
      return "{\(columns),\(deleted)" + #""__op":"\#(operation)","__lsn":144,"#
        + #""__source_ts_ms":1795887741561,"__table":"orders","__txId":978,"#
        + #""__sequence":"[\"64\",\"144\"]","__origin":null}"#
    }
    let inserted = row(#""id":7,"note":"x","price":"1.50""#, "c")
    let gone = row(#""id":7,"note":null,"price":null"#, "d")
    switch deletes {
    case .drop: #expect(values == [inserted])
    case .tombstone: #expect(values == [inserted, "null"])
    case .rewrite: #expect(values == [inserted, gone])
    case .rewriteWithTombstone: #expect(values == [inserted, gone, "null"])
    }
  }

  @Test func keysInJSONStayThose() throws {
    for (format, key) in [(KeyFormat.json, #"{"id":7}"#), (.scalar, "7")] {
      let pipeline = try AvroRun.feed(
        ProtobufRun.setup { $0.key = format }, FormatRun.orders(), [Self.insert])
      #expect(pipeline.sink.keys == [key])
    }
  }

  @Test func whatTheSchemaCannotSayStopsTheSourceOrIsADeadLetter() throws {
    let odd: [(UInt32, Int32, String)] = [
      (1700, -1, "NaN"), (1700, 0xA_0006, "Infinity"), (1007, -1, "{{1,2},{3,4}}"),
      (1007, -1, "{1,NULL}"), (1009, -1, "{NULL}"), (23, -1, "x"), (1082, -1, "?"),
    ]
    for (type, modifier, text) in odd {
      let relation = Relation(
        oid: Self.oid, schema: "shop", name: "orders", replicaIdentity: .primaryKey,
        columns: [
          Relation.Column(name: "id", isKey: true, type: 23),
          Relation.Column(name: "c", isKey: false, type: type, modifier: modifier),
        ])
      let rows = [
        ServerBytes.insert(Self.oid, [.text("1"), .text(text)]),
        ServerBytes.insert(Self.oid, [.text("2"), .null]),
      ]
      let stopped = try AvroRun.feed(ProtobufRun.setup(), relation, rows)
      #expect(stopped.sink.records.isEmpty)
      let error = stopped.pipeline.lanes[0].takeRefusal()
      #expect(error?.why.contains("column c of shop.orders") == true, "\(text)")
      let buried = try AvroRun.feed(ProtobufRun.setup(), relation, rows, deadLetterTopic: 2)
      #expect(buried.sink.records.count == 2)
      #expect(buried.sink.values[0].contains(#""Cause":"no_schema""#))
      #expect(buried.confirmed == LSN(0x120))
    }
  }
}
