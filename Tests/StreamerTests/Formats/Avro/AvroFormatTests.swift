import PGWire
import Support
import Testing

@testable import Streamer

/// Records in Avro; `Tests/Registry/read-avro` reads the same bytes with fastavro, where that is.
@Suite struct AvroFormatTests {
  private static let oid = FormatRun.oid
  private static let insert = ServerBytes.insert(oid, [.text("7"), .text("x"), .text("1.50")])

  /// Keys and values as fastavro reads them; "null" for a record without a value.
  private func read(
    _ pipeline: CapturingPipeline, _ setup: LaneSetup, _ relation: Relation
  ) throws -> (keys: [String], values: [String]) {
    let schemas = try AvroRun.schemas(setup, relation)
    let records = pipeline.sink.records
    let keys = try AvroReader.values(
      records.map { (schemas[0].text, try AvroRun.body($0.key, schema: 7)) })
    let values = records.filter { $0.value != nil }
    let read = try AvroReader.values(
      values.map { (schemas[1].text, try AvroRun.body($0.value, schema: 9)) })
    var rest = read[...]
    return (keys, records.map { $0.value == nil ? "null" : rest.removeFirst() })
  }

  @Test func aRecordHasTheNumbersOfItsSchemasAndItsBytes() throws {
    let pipeline = try AvroRun.feed(AvroRun.setup(), FormatRun.orders(), [Self.insert])
    let record = try #require(pipeline.sink.records.first)
    #expect(AvroRun.hex(record.key ?? []) == "00000000070e")
    let parts = [
      // The frame; before, after with id, note, and price as {1, 0x0f}.
      "0000000009", "00", "02", "0e", "020278", "0202020f",
      // "3.6.1.Final", "postgresql", "dbz", the commit in milliseconds, "false", "d".
      "16332e362e312e46696e616c", "14706f737467726573716c", "0664627a", "f2e981b4c468",
      "000a66616c7365", "0264",
      // ["64","144"], micro- and nanoseconds, "shop", "orders", 978, 144, four nulls.
      "0218", "5b223634222c22313434225d", "02c0aca3aeb6d6b006", "0280d493c4d998a3ec31",
      "0873686f70", "0c6f7264657273", "02a40f", "02a002", "00000000",
      // "c" and the three times again.
      "0263", "02f2e981b4c468", "02c0aca3aeb6d6b006", "0280d493c4d998a3ec31",
    ]
    #expect(AvroRun.hex(record.value ?? []) == parts.joined())
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test(.enabled(if: AvroReader.isThere, "no Python package fastavro: make readers"))
  func eachKindOfEventIsReadBack() throws {
    let full = FormatRun.orders(.full)
    let setup = AvroRun.setup()
    let pipeline = try AvroRun.feed(
      setup, full,
      [
        Self.insert,
        ServerBytes.update(
          Self.oid, old: (.full, [.text("7"), .text("x"), .text("1.50")]),
          [.text("7"), .unchanged, .null]),
        ServerBytes.delete(Self.oid, .full, [.text("7"), .text("x"), .null]),
        ServerBytes.update(
          Self.oid, old: (.full, [.text("7"), .null, .null]), [.text("8"), .null, .null]),
      ])
    let (keys, values) = try read(pipeline, setup, full)
    #expect(keys == [7, 7, 7, 7, 7, 7, 8].map { #"{"id":\#($0)}"# })
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
        #"{"before":null,"after":{"id":8,"note":null,"price":null}} c"#,
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
        #"__debezium.newkey={"id":8}"#, #"__debezium.newkey={"id":8}"#,
        #"__debezium.oldkey={"id":7}"#,
      ])
  }

  @Test(
    .enabled(if: AvroReader.isThere, "no Python package fastavro: make readers"),
    arguments: [
      (SchemaStyle.plain, FlatOptions.Deletes.tombstone), (.plain, .rewriteWithTombstone),
      (.debezium, .tombstone), (.debezium, .rewrite), (.plain, .drop),
    ])
  func rowsAloneAreReadBack(_ style: SchemaStyle, _ deletes: FlatOptions.Deletes) throws {
    let setup = AvroRun.setup(style, isRowAlone: true) {
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
        AvroRun.setup { $0.key = format }, FormatRun.orders(), [Self.insert])
      #expect(pipeline.sink.keys == [key])
      #expect(
        try AvroRun.schemas(AvroRun.setup { $0.key = format }, FormatRun.orders()).count == 1)
    }
  }

  @Test func whatTheSchemaCannotSayStopsTheSourceOrIsADeadLetter() throws {
    let price = [Relation.Column(name: "id", isKey: true, type: 23)]
    let odd: [(UInt32, String)] = [
      (1700, "NaN"), (1700, "Infinity"), (1007, "{{1,2},{3,4}}"), (23, "x"), (1082, "?"),
    ]
    for (type, text) in odd {
      let relation = Relation(
        oid: Self.oid, schema: "shop", name: "orders", replicaIdentity: .primaryKey,
        columns: price + [Relation.Column(name: "c", isKey: false, type: type)])
      let rows = [
        ServerBytes.insert(Self.oid, [.text("1"), .text(text)]),
        ServerBytes.insert(Self.oid, [.text("2"), .null]),
      ]
      let stopped = try AvroRun.feed(AvroRun.setup(), relation, rows)
      #expect(stopped.sink.records.isEmpty)
      let error = stopped.pipeline.lanes[0].takeRefusal()
      #expect(error?.why.contains("column c of shop.orders") == true, "\(text)")
      let buried = try AvroRun.feed(AvroRun.setup(), relation, rows, deadLetterTopic: 2)
      #expect(buried.sink.records.count == 2)
      #expect(buried.sink.values[0].contains(#""Cause":"no_schema""#))
      #expect(buried.confirmed == LSN(0x120))
    }
  }

  @Test func aNullInAKeyOfOnesOwnIsWritten() throws {
    let pattern = try #require(TablePattern("orders"))
    let setup = AvroRun.setup {
      $0.rules = TableRules([.init(tables: pattern, rule: TableRules.Rule(key: ["note"]))])
    }
    let pipeline = try AvroRun.feed(
      setup, FormatRun.orders(.full), [ServerBytes.insert(Self.oid, [.text("7"), .null, .null])])
    #expect(AvroRun.hex(pipeline.sink.records.first?.key ?? []) == "000000000700")
  }
}
