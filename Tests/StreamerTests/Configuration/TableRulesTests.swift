import PGWire
import Support
import Testing

@testable import Streamer

/// `[sink.NAME.table."schema.table"]`: how rules are read, which one counts, what fits and what a
/// sink's own key does to an update.
@Suite struct TableRulesTests {
  private static func rules(_ text: String) throws -> TableRules {
    try ConfigurationFixture.parse(ConfigurationFixture.minimal + text).sinks[0].rules
  }

  @Test func theMostPreciseRuleCounts() throws {
    let rules = try Self.rules(
      """
      [sink.out.table."public.*"]
      key = ["a"]
      [sink.out.table."public.orders"]
      key = ["b", "a"]
      partitionBy = ["a"]
      [sink.out.table.audit.log]
      key = ["c"]
      """)
    #expect(rules.rule(schema: "public", table: "orders").key == ["b", "a"])
    #expect(rules.rule(schema: "public", table: "orders").partitionBy == ["a"])
    #expect(rules.rule(schema: "public", table: "other").key == ["a"])
    #expect(rules.rule(schema: "audit", table: "log").key == ["c"])
    #expect(rules.rule(schema: "s", table: "t").isEmpty)
  }

  private static let oid: UInt32 = 16_384

  private static func table(_ identity: Relation.ReplicaIdentity) -> Relation {
    Relation(
      oid: oid, schema: "public", name: "orders", replicaIdentity: identity,
      columns: [
        Relation.Column(name: "id", isKey: identity != .nothing, type: 23),
        Relation.Column(name: "customer", isKey: identity == .full, type: 25),
      ])
  }

  @Test func columnsLieInTheReplicaIdentity() throws {
    let rule = TableRules.Rule(key: ["customer"])
    #expect(throws: TableRules.Misfit.self) { try rule.check(Self.table(.primaryKey)) }
    #expect(throws: Never.self) { try rule.check(Self.table(.full)) }
    #expect(throws: Never.self) { try rule.check(Self.table(.nothing)) }
    let unknown = TableRules.Rule(partitionBy: ["nowhere"])
    #expect(throws: TableRules.Misfit.self) { try unknown.check(Self.table(.full)) }
  }

  private func feed(
    _ rule: TableRules.Rule, _ relation: Relation, _ payloads: [UInt8]...
  ) throws -> CapturingPipeline {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.rules = TableRules([.init(tables: try #require(TablePattern("orders")), rule: rule)])
    let pipeline = CapturingPipeline(setup: setup)
    pipeline.catalogKey = ["id"]
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    return pipeline
  }

  private static let insert = ServerBytes.insert(oid, [.text("1"), .text("x")])
  private static let move = ServerBytes.update(
    oid, old: (.full, [.text("1"), .text("x")]), [.text("1"), .text("y")])

  /// Only this sink's key changes: its extra delete has the update's ordinal and another UUID.
  @Test func aChangeOfASinksOwnKeyIsDeleteAndInsertHere() throws {
    let pipeline = try feed(
      TableRules.Rule(key: ["customer"]), Self.table(.full), Self.insert, Self.move)
    #expect(
      pipeline.sink.keys == [
        #"{"customer":"x"}"#, #"{"customer":"x"}"#, #"{"customer":"y"}"#,
      ])
    let values = try pipeline.sink.values.map { try JSON($0) }
    #expect(values.map { $0["Action"] } == ["insert", "delete", "insert"].map { .string($0) })
    #expect(values.map { $0["Ordinal"] } == ["0", "1", "1"].map { .number($0) })
    #expect(values[1]["UUID"] != values[2]["UUID"])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  /// The partition is that of a key of those columns; the key stays what it is.
  @Test func partitionByDecidesThePartition() throws {
    let pipeline = try feed(
      TableRules.Rule(partitionBy: ["customer"]), Self.table(.full), Self.insert, Self.move)
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":1}"#, #"{"id":1}"#])
    let keyed = try feed(
      TableRules.Rule(key: ["customer"]), Self.table(.full), Self.insert, Self.move)
    #expect(pipeline.sink.partitionHashes == keyed.sink.partitionHashes)
    #expect(Set(pipeline.sink.partitionHashes).count == 2)
  }

  @Test func withoutARuleNothingChanges() throws {
    let pipeline = try feed(TableRules.Rule(), Self.table(.full), Self.insert, Self.move)
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":1}"#])
  }
}
