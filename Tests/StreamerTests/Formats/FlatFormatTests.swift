import PGWire
import Support
import Testing

@testable import Streamer

/// Rows alone, as Debezium's transform ExtractNewRecordState leaves them.
@Suite struct FlatFormatTests {
  private static func setup(
    _ deletes: FlatOptions.Deletes = .tombstone, _ fields: [String] = [], prefix: String = "__",
    schemas: Bool = false
  ) throws -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .flat
    setup.debezium.name = "dbz"
    setup.debezium.schemas = schemas
    setup.flat.deletes = deletes
    setup.flat.fields = try fields.map { try #require(FlatOptions.Field($0, prefix: prefix)) }
    return setup
  }

  private static let insert = ServerBytes.insert(
    FormatRun.oid, [.text("7"), .text("x\u{1}"), .text("12.50")])
  private static let delete = ServerBytes.delete(FormatRun.oid, .key, [.text("7"), .null, .null])

  @Test func aRowIsItsColumns() throws {
    let sink = try FormatRun.feed(Self.setup(), FormatRun.orders(), Self.insert)
    #expect(
      sink.values == [#"{"id":7,"note":"x\u0001","price":{"scale":1,"value":"fQ=="}}"#])
    #expect(sink.keys == [#"{"id":7}"#])
  }

  @Test func keysAndModesAreDebeziums() throws {
    var setup = try Self.setup()
    setup.key = .scalar
    setup.debezium.decimal = .string
    let sink = try FormatRun.feed(
      setup, FormatRun.orders(),
      ServerBytes.update(FormatRun.oid, old: nil, [.text("7"), .unchanged, .text("12.50")]))
    #expect(
      sink.values == [#"{"id":7,"note":"__debezium_unavailable_value","price":"12.50"}"#])
    #expect(sink.keys == ["7"])
  }

  @Test func deletesAreWhatTheModeSays() throws {
    func values(_ deletes: FlatOptions.Deletes) throws -> [String] {
      let sink = try FormatRun.feed(
        Self.setup(deletes), FormatRun.orders(), Self.insert, Self.delete)
      #expect(sink.keys.allSatisfy { $0 == #"{"id":7}"# })
      return sink.values
    }
    let row = #"{"id":7,"note":"x\u0001","price":{"scale":1,"value":"fQ=="}"#
    let old = #"{"id":7,"note":null,"price":null,"__deleted":"true"}"#
    #expect(try values(.drop) == [row + "}"])
    #expect(try values(.tombstone) == [row + "}", "null"])
    #expect(try values(.rewrite) == [row + #","__deleted":"false"}"#, old])
    #expect(
      try values(.rewriteWithTombstone) == [row + #","__deleted":"false"}"#, old, "null"])
  }

  @Test func aChangedKeyIsADeleteAndARow() throws {
    let sink = try FormatRun.feed(
      Self.setup(), FormatRun.orders(),
      ServerBytes.update(
        FormatRun.oid, old: (.key, [.text("7"), .null, .null]), [.text("8"), .null, .null]))
    #expect(sink.values == ["null", #"{"id":8,"note":null,"price":null}"#])
    #expect(sink.keys == [#"{"id":7}"#, #"{"id":8}"#])
    #expect(
      sink.headers == [#"__debezium.newkey={"id":8}"#, #"__debezium.oldkey={"id":7}"#])
  }

  @Test func rowsCarryWhatIsAskedFor() throws {
    let fields = [
      "op", "table", "lsn", "source.ts_ms", "ts_us", "source.ts_ns", "source.txId:tx", "sequence",
      "db", "schema", "name", "version", "connector", "snapshot", "xmin", "transaction.id",
    ]
    let sink = try FormatRun.feed(
      Self.setup(.tombstone, fields), FormatRun.orders(),
      ServerBytes.insert(FormatRun.oid, [.text("7"), .null, .null]))
    #expect(
      sink.values == [
        #"{"id":7,"note":null,"price":null,"__op":"c","__table":"orders","__lsn":144,"#
          + #""__source_ts_ms":1795887741561,"__ts_us":1795887741561632,"#
          + #""__source_ts_ns":1795887741561632000,"__tx":978,"__sequence":"[\"64\",\"144\"]","#
          + #""__db":"d","__schema":"shop","__name":"dbz","__version":"3.6.1.Final","#
          + #""__connector":"postgresql","__snapshot":"false","__xmin":null,"#
          + #""__transaction_id":null}"#
      ])
    let operations = try FormatRun.feed(
      Self.setup(.rewrite, ["op"], prefix: ""), FormatRun.orders(),
      ServerBytes.update(FormatRun.oid, old: nil, [.text("7"), .null, .null]), Self.delete)
    #expect(
      operations.values == [
        #"{"id":7,"note":null,"price":null,"__deleted":"false","op":"u"}"#,
        #"{"id":7,"note":null,"price":null,"__deleted":"true","op":"d"}"#,
      ])
  }

  @Test func aColumnKeepsItsName() throws {
    let sink = try FormatRun.feed(
      Self.setup(.tombstone, ["op:note", "lsn"], prefix: ""), FormatRun.orders(),
      ServerBytes.insert(FormatRun.oid, [.text("7"), .text("x"), .null]))
    #expect(sink.values == [#"{"id":7,"note":"x","price":null,"lsn":144}"#])
  }

  @Test func aTableWithoutColumnsHasItsMembers() throws {
    let none = Relation(
      oid: FormatRun.oid, schema: "s", name: "none", replicaIdentity: .nothing, columns: [])
    let insert = ServerBytes.insert(FormatRun.oid, [])
    #expect(try FormatRun.feed(Self.setup(), none, insert).values == ["{}"])
    let values = try FormatRun.feed(Self.setup(.rewrite, ["op"]), none, insert).values
    #expect(values == [#"{ "__deleted":"false","__op":"c"}"#])
  }

  @Test func valuesHaveTheirSchemas() throws {
    let sink = try FormatRun.feed(
      Self.setup(.rewrite, ["lsn"], schemas: true), FormatRun.orders(),
      ServerBytes.insert(FormatRun.oid, [.text("7"), .null, .null]))
    let value = try JSON(sink.values[0])
    #expect(value["schema"]?["name"] == .string("dbz.shop.orders.Value"))
    #expect(value["schema"]?["optional"] == .bool(false))
    guard case .array(let fields) = value["schema"]?["fields"] else {
      Issue.record("no fields")
      return
    }
    #expect(
      fields.map { $0["field"] }
        == ["id", "note", "price", "__deleted", "__lsn"].map { .string($0) })
    #expect(fields.last?["type"] == .string("int64"))
    #expect(value["payload"]?["__deleted"] == .string("false"))
  }

  @Test func truncatesAreLeftOut() throws {
    var setup = try Self.setup()
    setup.debezium.skippedOperations = []
    let sink = try FormatRun.feed(
      setup, FormatRun.orders(), ServerBytes.truncate([FormatRun.oid]), Self.delete)
    #expect(sink.values == ["null"])
    setup.debezium.skippedOperations = ["d"]
    #expect(try FormatRun.feed(setup, FormatRun.orders(), Self.delete).values.isEmpty)
  }

  @Test(arguments: 1...40) func everyRowIsJSON(seed: UInt64) throws {
    let deletes = FlatOptions.Deletes.allCases[Int(seed % 4)]
    let names = FlatOptions.Member.allCases.map(\.rawValue)
    let sink = try FormatRun.feedRandom(
      Self.setup(deletes, names, schemas: seed % 3 == 0), seed: seed)
    for value in sink.values {
      guard case .object(let members) = try JSON(value) else {
        #expect(value == "null", "seed \(seed)")
        continue
      }
      let repeated = members.count - Set(members.map(\.name)).count
      #expect(repeated == 0, "seed \(seed): \(value)")
    }
  }

  // MARK: - Configuration

  private static func parse(_ more: String) throws(ConfigurationErrors) -> Configuration {
    try ConfigurationFixture.parse(ConfigurationFixture.minimal + more)
  }

  @Test func itIsConfigured() throws {
    let configuration = try Self.parse(
      """
      format = "flat"
      keyFormat = "scalar"
      flat = { deletes = "rewrite-with-tombstone", fields = ["op", "source.ts_ms"], prefix = "_" }
      """)
    let setup = configuration.sinks[0].setup(for: "db")
    #expect(setup.format == .flat && setup.keyFormat == .scalar)
    #expect(setup.flat.deletes == .rewriteWithTombstone)
    #expect(setup.flat.fields.map(\.name) == ["_op", "_source_ts_ms"])
    #expect(configuration.notes.isEmpty)
    let unused = try Self.parse("flat = {}")
    #expect(
      unused.notes.map(\.description) == [
        "c.toml:10: sink.out.flat: has no effect without format = \"flat\" or \"avro\""
      ])
  }

  @Test(arguments: [
    "before.id", "source", "source.op", "transaction.lsn", "op:", "op:a:b", "source.ts_ms.x", "",
    ".",
  ])
  func whatTheEnvelopeHasNotIsRefused(field: String) {
    let errors = ConfigurationFixture.errors(
      ConfigurationFixture.minimal + "format = \"flat\"\nflat = { fields = [\"\(field)\"] }")
    #expect(errors.count == 1)
    #expect(
      errors.first?.hasPrefix("c.toml:11: sink.out.flat.fields: found \"\(field)\"") == true,
      "\(errors)")
  }

  @Test func eachNameStandsOnce() {
    func errors(_ flat: String) -> [String] {
      ConfigurationFixture.errors(
        ConfigurationFixture.minimal + "format = \"flat\"\nflat = { \(flat) }")
    }
    #expect(errors(#"fields = ["lsn", "ts_ms:lsn"]"#).count == 1)
    #expect(errors(#"deletes = "rewrite", fields = ["op:deleted"]"#).count == 1)
    #expect(errors(#"fields = ["op:deleted"]"#).isEmpty)
  }
}
