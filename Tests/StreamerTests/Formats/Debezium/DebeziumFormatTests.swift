import PGWire
import Support
import Testing

@testable import Streamer

/// Records in Debezium's envelope; their bytes were read from a real Debezium 3.6 (`make
/// compat-debezium` compares with one).
@Suite struct DebeziumFormatTests {
  private static let oid: UInt32 = 16_384

  /// pair(v text, a int, b text), whose key is (b, a) in its own order.
  private static func table(_ identity: Relation.ReplicaIdentity = .primaryKey) -> Relation {
    Relation(
      oid: oid, schema: "keys", name: "pair", replicaIdentity: identity,
      columns: [
        Relation.Column(name: "v", isKey: identity == .full, type: 25),
        Relation.Column(name: "a", isKey: true, type: 23),
        Relation.Column(name: "b", isKey: true, type: 25),
      ])
  }

  private static func setup(
    _ key: KeyFormat = .json, _ change: (inout DebeziumOptions) -> Void = { _ in }
  ) -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .debezium
    setup.key = key
    setup.debezium.name = "dbz"
    change(&setup.debezium)
    return setup
  }

  private func feed(
    _ setup: LaneSetup = setup(), _ relation: Relation = table(), _ payloads: [UInt8]...
  ) throws -> CapturingSink {
    let pipeline = CapturingPipeline(position: LSN(0x40), setup: setup)
    pipeline.catalogKey = ["b", "a"]
    try pipeline.feed { server in
      // 2026-11-28T17:42:21.561632Z
      server.begin(LSN(0x100), time: 849_202_941_561_632, xid: 978)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 849_202_941_561_632)
    }
    #expect(pipeline.confirmed == LSN(0x120))
    return pipeline.sink
  }

  /// A record's part before its source, and its operation.
  private func rows(_ sink: CapturingSink) -> [String] {
    sink.values.map { value in
      guard let source = value.firstRange(of: ",\"source\""),
        let operation = value.firstRange(of: "\"op\":\"")
      else { return value }
      return value[..<source.lowerBound] + "} " + value[operation.upperBound...].prefix(1)
    }
  }

  @Test func aWholeRecordHasDebeziumsBytes() throws {
    let sink = try feed(
      Self.setup(), Self.table(),
      ServerBytes.insert(Self.oid, [.text("x\u{1}"), .text("7"), .null])
    )
    #expect(
      sink.values == [
        #"{"before":null,"after":{"v":"x\u0001","a":7,"b":null},"source":{"version":"3.6.1.Final","#
          + #""connector":"postgresql","name":"dbz","ts_ms":1795887741561,"snapshot":"false","#
          + #""db":"d","sequence":"[\"64\",\"144\"]","ts_us":1795887741561632,"#
          + #""ts_ns":1795887741561632000,"schema":"keys","table":"pair","txId":978,"lsn":144,"#
          + #""xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"c","#
          + #""ts_ms":1795887741561,"ts_us":1795887741561632,"ts_ns":1795887741561632000}"#
      ])
    #expect(sink.keys == [#"{"b":null,"a":7}"#])
  }

  @Test func aDeleteIsFollowedByATombstone() throws {
    let delete = ServerBytes.delete(Self.oid, .key, [.null, .text("2"), .text("y")])
    let sink = try feed(Self.setup(), Self.table(), delete)
    #expect(
      rows(sink) == [#"{"before":{"v":null,"a":2,"b":"y"},"after":null} d"#, "null"])
    #expect(sink.keys == [#"{"b":"y","a":2}"#, #"{"b":"y","a":2}"#])
    let alone = try feed(Self.setup { $0.tombstones = false }, Self.table(), delete)
    #expect(alone.values.count == 1)
  }

  @Test func aChangedKeyIsDeleteTombstoneAndCreateWithHeaders() throws {
    let sink = try feed(
      Self.setup(), Self.table(),
      ServerBytes.update(
        Self.oid, old: (.key, [.null, .text("1"), .text("x")]),
        [.text("v"), .text("3"), .text("x")]))
    #expect(
      rows(sink) == [
        #"{"before":{"v":null,"a":1,"b":"x"},"after":null} d"#, "null",
        #"{"before":null,"after":{"v":"v","a":3,"b":"x"}} c"#,
      ])
    #expect(
      sink.headers == [
        #"__debezium.newkey={"b":"x","a":3}"#, #"__debezium.newkey={"b":"x","a":3}"#,
        #"__debezium.oldkey={"b":"x","a":1}"#,
      ])
  }

  @Test func aWholeOldRowIsBefore() throws {
    let sink = try feed(
      Self.setup(), Self.table(.full),
      ServerBytes.update(
        Self.oid, old: (.full, [.text("v"), .text("1"), .text("x")]),
        [.unchanged, .text("1"), .text("x")]))
    #expect(
      rows(sink) == [
        #"{"before":{"v":"v","a":1,"b":"x"},"after":{"v":"v","a":1,"b":"x"}} u"#
      ])
  }

  @Test func whatWasNotSentHasAStandIn() throws {
    let sink = try feed(
      Self.setup(), Self.table(),
      ServerBytes.update(Self.oid, old: nil, [.unchanged, .text("1"), .text("x")]))
    #expect(
      rows(sink) == [
        #"{"before":null,"after":{"v":"__debezium_unavailable_value","a":1,"b":"x"}} u"#
      ])
  }

  @Test func operationsAreLeftOut() throws {
    let truncate = ServerBytes.truncate([Self.oid])
    #expect(try feed(Self.setup(), Self.table(), truncate).values.isEmpty)
    let all = try feed(Self.setup { $0.skippedOperations = [] }, Self.table(), truncate)
    #expect(rows(all) == [#"{"before":null,"after":null} t"#])
    #expect(all.keys == [nil])
    let insert = ServerBytes.insert(Self.oid, [.null, .text("7"), .text("x")])
    let none = try feed(Self.setup { $0.skippedOperations = ["c"] }, Self.table(), insert)
    #expect(none.values.isEmpty)
  }

  @Test func aKeyOfOneColumnIsItsPlainValue() throws {
    func key(_ cells: [ServerBytes.Cell], _ column: Int, _ type: UInt32) throws -> String? {
      let relation = Relation(
        oid: Self.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
        columns: [Relation.Column(name: "id", isKey: true, type: type)])
      return try feed(Self.setup(.scalar), relation, ServerBytes.insert(Self.oid, cells)).keys[0]
    }
    #expect(try key([.text("a\"b")], 0, 25) == "a\"b")
    #expect(try key([.text("7")], 0, 23) == "7")
    #expect(
      try key([.text("2024-02-29 11:34:56.789+00")], 0, 1184) == "2024-02-29T11:34:56.789000Z")
    #expect(try key([.text("\\x00ff")], 0, 17) == "AP8=")
  }

  @Test func keysAndValuesHaveTheirSchemas() throws {
    let sink = try feed(
      Self.setup(.jsonSchema) { $0.schemas = true }, Self.table(),
      ServerBytes.insert(Self.oid, [.text("x"), .text("7"), .text("y")]))
    #expect(
      sink.keys == [
        #"{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"b"},"#
          + #"{"type":"int32","optional":false,"field":"a"}],"optional":false,"#
          + #""name":"dbz.keys.pair.Key"},"payload":{"b":"y","a":7}}"#
      ])
    let value = try JSON(sink.values[0])
    #expect(value["schema"]?["name"] == .string("dbz.keys.pair.Envelope"))
    #expect(value["payload"]?["after"] == (try JSON(#"{"v":"x","a":7,"b":"y"}"#)))
  }

  @Test func logicalMessagesHaveTheirPrefixAsKey() throws {
    let pipeline = CapturingPipeline(setup: Self.setup())
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 7)
      server.xLogData(
        LSN(0x90),
        ServerBytes.logical(transactional: true, at: LSN(0x90), prefix: "p", [0, 255]))
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    #expect(pipeline.sink.keys == [#"{"prefix":"p"}"#])
    #expect(
      pipeline.sink.values.first?.hasPrefix(#"{"op":"m","ts_ms":946684800000,"source":{"#) == true)
    #expect(
      pipeline.sink.values.first?.hasSuffix(
        #","transaction":null,"message":{"prefix":"p","content":"AP8="}}"#) == true)
  }
}
