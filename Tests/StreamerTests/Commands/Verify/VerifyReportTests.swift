import PGWire
import Testing

@testable import Streamer

/// How `verify` tells what it has found, and what it asks for to mend it.
@Suite struct VerifyReportTests {
  private func finding(_ counts: [RowStates.Verdict: Int]) -> TableFinding {
    var finding = TableFinding(sink: "out", table: "public.orders")
    finding.topic = "orders"
    finding.rows = 10
    finding.inTopic = 9
    finding.counts = counts
    return finding
  }

  @Test func `How it ends`() {
    #expect(VerifyReport().exit == .preflight)
    #expect(VerifyReport(findings: [finding([:])]).exit == .done)
    #expect(VerifyReport(findings: [finding([:]), finding([.extra: 1])]).exit == .different)
    #expect(VerifyReport(findings: [finding([.unsettled: 1])]).exit == .failure)
    var left = finding([:])
    left.leftOut = "it has no key"
    #expect(VerifyReport(findings: [left]).exit == .preflight)
    #expect(VerifyReport(findings: [left, finding([:])]).exit == .done)
  }

  @Test func `Text and JSON say the same`() {
    var found = finding([.missing: 1, .different: 2])
    found.examples = [.init(verdict: .missing, key: #"{"id":5}"#)]
    var report = VerifyReport(findings: [found])
    report.remarks = ["nobody reads the slot"]
    #expect(
      report.text(TerminalStyle(isOn: false)) == """
        SINK  TABLE          ROWS  IN TOPIC  MISSING  EXTRA  DIFFERENT  UNSETTLED
        out   public.orders    10         9        1      0          2          0

        public.orders of out: missing {"id":5}
        nobody reads the slot
        """)
    #expect(
      String(decoding: report.json, as: UTF8.self) == """
        {"exit":5,"tables":[{"sink":"out","table":"public.orders","topic":"orders",\
        "notCompared":null,"rows":10,"inTopic":9,"missing":1,"extra":0,"different":2,\
        "unsettled":0,"examples":[{"is":"missing","key":"{\\"id\\":5}"}]}],\
        "remarks":["nobody reads the slot"]}
        """)
  }

  private func table(_ columns: [(String, UInt32)]) -> SnapshotTable {
    SnapshotTable(
      relation: Relation(
        oid: 1, schema: "public", name: "orders", replicaIdentity: .primaryKey,
        columns: columns.map {
          Relation.Column(name: $0.0, isKey: true, type: $0.1, modifier: -1)
        }))
  }

  @Test func `A table is compared in its own format, alone in its topic`() throws {
    var orders = table([("id", 20)])
    orders.key = [0]
    var setup = LaneSetup(routing: TopicRouting(fallback: "t"), messageTopic: "")
    func why(_ format: FormatConfiguration.Name?, _ beside: FormatConfiguration.Name...) throws
      -> String?
    {
      setup.rules = TableRules([
        .init(tables: try #require(TablePattern("orders")), rule: TableRules.Rule(format: format))
      ])
      return VerifyScope.obstacle(
        orders, setup, sharing: [format ?? setup.format] + beside)
    }
    #expect(try why(nil) == nil && why(.flat) == nil && why(.debezium, .debezium) == nil)
    #expect(try why(.avro) == nil && why(.protobuf, .protobuf) == nil)
    #expect(try why(.cloudEvents) == "format = \"cloudevents\" is not read by verify yet")
    #expect(try why(.debezium, .psqlStreamer) == "its topic has records of other formats too")
    #expect(try why(nil, .avro) == "its topic has records of other formats too")
    #expect(
      try why(.flat, .flat) == "its topic has rows of other tables too, and they do not say which")
    setup.debezium.skippedOperations = ["d"]
    #expect(try why(nil) == nil && why(.debezium) != nil)
    // A sink is looked at where one of its formats can be read.
    #expect(VerifyScope.obstacle([.cloudEvents, .flat]) == nil)
    #expect(VerifyScope.obstacle([.cloudEvents, .text]) != nil)
  }

  @Test func `Rows are named by their keys as the server reads them`() {
    let setup = LaneSetup(routing: TopicRouting(fallback: "t"), messageTopic: "")
    let two = table([("id", 20), ("Co de", 25)])
    let keys = [#"{"id":1,"Co de":"it's; --"}"#, #"{"id":-2,"Co de":""}"#].map { Array($0.utf8) }
    let conditions = RecordKeys.conditions(for: keys, of: two, setup)
    #expect(conditions == [#"("id", "Co de") IN (('1', 'it''s; --'), ('-2', ''))"#])
    #expect(conditions.map { SQLCondition.fault(in: $0[0]) } == .some(nil))
    // A date may be a number here, and a backslash is refused by the instance.
    #expect(
      RecordKeys.conditions(for: [Array(#"{"d":5}"#.utf8)], of: table([("d", 1082)]), setup)
        == nil)
    #expect(
      RecordKeys.conditions(for: [Array(#"{"c":"\\"}"#.utf8)], of: table([("c", 25)]), setup)
        == nil)
  }
}
