import PGWire
import Support
import Testing

@testable import Streamer

/// What is told of transactions, and what records say of theirs (`provide.transaction.metadata`).
@Suite struct TransactionMetadataTests {
  private static let names = ["a", "b"]

  private static func table(_ number: Int) -> Relation {
    Relation(
      oid: 16_384 + UInt32(number), schema: "s", name: names[number], replicaIdentity: .primaryKey,
      columns: [Relation.Column(name: "id", isKey: true, type: 23)])
  }

  private func pipeline(
    _ key: KeyFormat = .json, _ change: (inout LaneSetup) -> Void = { _ in }
  ) -> CapturingPipeline {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .debezium
    setup.key = key
    setup.debezium.name = "dbz"
    setup.transactionTopic = "dbz.transaction"
    change(&setup)
    return CapturingPipeline(position: LSN(0x40), setup: setup, transactionTopic: 9)
  }

  private func insert(_ table: Int, _ id: Int) -> [UInt8] {
    ServerBytes.insert(16_384 + UInt32(table), [.text("\(id)")])
  }

  /// A transaction in which a, b, a, a get a row each.
  private func transaction(_ server: inout ServerBytes, _ rows: Int = 4, ends: Bool = true) {
    server.begin(LSN(0x100), time: 0, xid: 7)
    for number in 0...1 { server.relation(Self.table(number)) }
    for (place, table) in [0, 1, 0, 0].prefix(rows).enumerated() {
      server.xLogData(LSN(0x90 + UInt64(place)), insert(table, place))
    }
    if ends { server.commit(LSN(0x100), end: LSN(0x120), time: 0) }
  }

  /// The transactions' blocks of rows, and whole records of the topic.
  private func told(_ sink: CapturingSink) throws -> [String] {
    try zip(sink.topics, sink.values).map { topic, value in
      if topic == 9 { return value }
      let start = try #require(value.firstRange(of: ",\"transaction\":")).upperBound
      let end = try #require(value.firstRange(of: ",\"op\":")).lowerBound
      return String(value[start..<end])
    }
  }

  private static let whole = [
    #"{"status":"BEGIN","id":"7:256","event_count":null,"data_collections":null,"ts_ms":946684800000}"#,
    #"{"id":"7:144","total_order":1,"data_collection_order":1}"#,
    #"{"id":"7:145","total_order":2,"data_collection_order":1}"#,
    #"{"id":"7:146","total_order":3,"data_collection_order":2}"#,
    #"{"id":"7:147","total_order":4,"data_collection_order":3}"#,
    #"{"status":"END","id":"7:288","event_count":4,"data_collections":[{"data_collection":"s.a","#
      + #""event_count":3},{"data_collection":"s.b","event_count":1}],"ts_ms":946684800000}"#,
  ]

  @Test func eventsAreCountedByTable() throws {
    let pipeline = pipeline()
    try pipeline.feed { transaction(&$0) }
    #expect(try told(pipeline.sink) == Self.whole)
    #expect(pipeline.sink.keys.first == #"{"id":"7:256"}"#)
    #expect(pipeline.sink.keys.last == #"{"id":"7:288"}"#)
    #expect(pipeline.confirmed == LSN(0x120) && pipeline.pipeline.inFlightBytes == 0)
    // The next one is counted from the start.
    try pipeline.feed { server in
      server.begin(LSN(0x200), time: 0, xid: 8)
      server.xLogData(LSN(0x190), insert(1, 5))
      server.commit(LSN(0x200), end: LSN(0x220), time: 0)
    }
    #expect(
      try told(pipeline.sink)[7] == #"{"id":"8:400","total_order":1,"data_collection_order":1}"#)
  }

  /// Records of another format say nothing of their transaction, and are not counted.
  @Test func eventsOfAnotherFormatAreNotCounted() throws {
    let pattern = try #require(TablePattern("b"))
    let pipeline = pipeline {
      $0.rules = TableRules([.init(tables: pattern, rule: TableRules.Rule(format: .flat))])
    }
    try pipeline.feed { transaction(&$0) }
    let sink = pipeline.sink
    let rows = sink.values.indices.filter { sink.topics[$0] == 1 }
    #expect(rows.map { sink.values[$0] }.filter { !$0.contains("source") } == [#"{"id":1}"#])
    let blocks = rows.map { sink.values[$0] }.filter { $0.contains("source") }
    #expect(blocks.count == 3 && blocks[2].contains(#""total_order":3,"#))
    let end = try JSON(try #require(sink.values.last))
    #expect(end["event_count"]?.int == 3)
    #expect(end["data_collections"]?.elements.map { $0["data_collection"]?.string } == ["s.a"])
  }

  /// A lost connection, wherever it cuts: nothing is told twice, and nothing is counted twice.
  @Test func aTransactionThatComesAgainIsCountedOnce() throws {
    for rows in 0...4 {
      let pipeline = pipeline()
      try pipeline.feed { transaction(&$0, rows, ends: false) }
      pipeline.reconnect()
      try pipeline.feed { transaction(&$0) }
      #expect(try told(pipeline.sink) == Self.whole, "cut behind \(rows)")
      #expect(pipeline.confirmed == LSN(0x120) && pipeline.pipeline.inFlightBytes == 0)
    }
  }

  @Test func whatIsLeftOutIsNotCounted() throws {
    let pipeline = pipeline {
      $0.debezium.skippedOperations = ["c"]
    }
    try pipeline.feed { transaction(&$0) }
    #expect(
      try told(pipeline.sink) == [
        Self.whole[0],
        #"{"status":"END","id":"7:288","event_count":0,"data_collections":[],"ts_ms":946684800000}"#,
      ])
  }

  @Test func messagesAreCountedTogether() throws {
    for cut in 0...2 {
      let pipeline = pipeline()
      let message = { (server: inout ServerBytes, lsn: UInt64) in
        server.xLogData(
          LSN(lsn), ServerBytes.logical(transactional: true, at: LSN(lsn), prefix: "p", [1]))
      }
      try pipeline.feed { server in
        server.begin(LSN(0x100), time: 0, xid: 7)
        for place in 0..<cut { message(&server, 0x90 + UInt64(place)) }
      }
      pipeline.reconnect()
      try pipeline.feed { server in
        server.begin(LSN(0x100), time: 0, xid: 7)
        for place in 0..<2 { message(&server, 0x90 + UInt64(place)) }
        server.commit(LSN(0x100), end: LSN(0x120), time: 0)
        // It is in no transaction.
        server.xLogData(
          LSN(0x180), ServerBytes.logical(transactional: false, at: LSN(0x180), prefix: "p", [1]))
      }
      #expect(pipeline.sink.topics == [9, 0, 0, 9, 0])
      let second = #""transaction":{"id":"7:145","total_order":2,"data_collection_order":2}"#
      #expect(pipeline.sink.values[2].contains(second))
      #expect(pipeline.sink.values[4].contains(#""transaction":null"#))
      #expect(
        pipeline.sink.values[3].contains(
          #""event_count":2,"data_collections":[{"data_collection":"message","event_count":2}]"#))
    }
  }

  @Test func keysAndValuesHaveTheirSchemas() throws {
    let pipeline = pipeline(.jsonSchema) { $0.debezium.schemas = true }
    try pipeline.feed { transaction(&$0) }
    for (key, value) in [0, 5].map({ (pipeline.sink.keys[$0], pipeline.sink.values[$0]) }) {
      let key = try JSON(#require(key))
      #expect(
        key["schema"]?["name"] == .string("io.debezium.connector.common.TransactionMetadataKey"))
      let value = try JSON(value)
      #expect(key["payload"]?["id"] == value["payload"]?["id"])
      #expect(
        value["schema"]?["name"]
          == .string("io.debezium.connector.common.TransactionMetadataValue"))
    }
    let scalar = self.pipeline(.scalar)
    try scalar.feed { transaction(&$0) }
    #expect(scalar.sink.keys.first == "7:256" && scalar.sink.keys.last == "7:288")
  }

  @Test func withoutATopicNothingIsTold() throws {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .debezium
    let pipeline = CapturingPipeline(position: LSN(0x40), setup: setup)
    try pipeline.feed { transaction(&$0) }
    #expect(try told(pipeline.sink) == ["null", "null", "null", "null"])
  }
}
