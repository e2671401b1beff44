import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// Tables with a format of their own beside those in the sink's: what two formats prepare of one
/// transaction never mixes.
@Suite struct TableFormatTests {
  private static let orders: UInt32 = 16_384
  private static let items: UInt32 = 16_385

  private static func relation(_ oid: UInt32) -> Relation {
    Relation(
      oid: oid, schema: "shop", name: oid == orders ? "orders" : "items", replicaIdentity: .full,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "note", isKey: true, type: 25),
      ])
  }

  private static func setup(
    _ format: FormatConfiguration.Name, items: FormatConfiguration.Name? = nil
  ) throws -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"), messageTopic: "m")
    setup.format = format
    setup.debezium.name = "dbz"
    setup.debezium.skippedOperations = []
    setup.flat.fields = try ["op", "lsn", "txId", "source.ts_ms"].map {
      try #require(FlatOptions.Field($0, prefix: "__"))
    }
    setup.schemas.registry = RegistryConfiguration()
    guard let items else { return setup }
    setup.rules = TableRules([
      .init(tables: try #require(TablePattern("items")), rule: TableRules.Rule(format: items))
    ])
    return setup
  }

  private static func pipeline(_ setup: LaneSetup) -> CapturingPipeline {
    // Formats with schemas have none for messages.
    let pipeline = CapturingPipeline(
      position: LSN(0x40), setup: setup, messageTopic: setup.format.hasSchemas ? nil : 0)
    pipeline.catalogKey = ["id"]
    pipeline.schemas = SchemaNumbers(key: 7, value: 9)
    pipeline.topicNumber = { TopicID($0.oid) }
    return pipeline
  }

  /// A transaction with all kinds of events of both tables by turns, and messages in and behind it.
  private static func transaction(
    _ number: UInt64, describes: Bool = true, _ server: inout ServerBytes
  ) {
    let lsn = number * 0x1000
    let time = 849_202_941_561_632 + Int64(number) * 1_234_567
    server.begin(LSN(lsn), time: time, xid: 900 + UInt32(number))
    if describes { for oid in [orders, items] { server.relation(relation(oid)) } }
    let row: [ServerBytes.Cell] = [.text("\(number)"), .text("x")]
    let moved: [ServerBytes.Cell] = [.text("\(number + 50)"), .text("y")]
    let payloads = [orders, items].map { oid in
      [
        ServerBytes.insert(oid, row), ServerBytes.update(oid, old: (.full, row), moved),
        ServerBytes.delete(oid, .full, moved), ServerBytes.truncate([oid]),
      ]
    }
    var at = lsn - 0x200
    for step in payloads[0].indices {
      for table in payloads {
        at += 0x10
        server.xLogData(LSN(at), table[step])
      }
      server.xLogData(
        LSN(at), ServerBytes.logical(transactional: true, at: LSN(at), prefix: "in", [1]))
    }
    server.commit(LSN(lsn), end: LSN(lsn + 0x20), time: time)
    let behind = LSN(lsn + 0x80)
    server.xLogData(
      behind, ServerBytes.logical(transactional: false, at: behind, prefix: "alone", [2]))
  }

  /// A topic's keys and values in hexadecimal digits.
  private static func records(_ topic: UInt32, _ sink: CapturingSink) -> [String] {
    zip(sink.topics, sink.records).filter { $0.0 == TopicID(topic) }.map { _, record in
      "\(record.key.map(AvroRun.hex) ?? "null") \(record.value.map(AvroRun.hex) ?? "null")"
    }
  }

  private static func run(_ setup: LaneSetup) throws -> CapturingSink {
    let pipeline = pipeline(setup)
    try pipeline.feed { server in
      for number in 1...3 { transaction(UInt64(number), &server) }
    }
    #expect(pipeline.confirmed >= LSN(0x3020))
    return pipeline.sink
  }

  /// Each table has the very bytes that it has in a sink of its format alone, and so have messages.
  @Test(arguments: FormatConfiguration.Name.allCases, FormatConfiguration.Name.allCases)
  func eachTableIsAsInASinkOfItsFormat(
    own: FormatConfiguration.Name, other: FormatConfiguration.Name
  ) throws {
    let mixed = try Self.run(Self.setup(own, items: other))
    let alone = try Self.run(Self.setup(own))
    let others = try Self.run(Self.setup(other))
    #expect(Self.records(Self.orders, mixed).count >= 9)
    #expect(Self.records(Self.orders, mixed) == Self.records(Self.orders, alone))
    #expect(Self.records(Self.items, mixed) == Self.records(Self.items, others))
    #expect(Self.records(0, mixed) == Self.records(0, alone))
    #expect(Self.records(0, mixed).isEmpty == own.hasSchemas)
  }

  /// In one transaction both the source's block and the UUID are those of the transaction.
  @Test func oneTransactionHasBothFormatsParts() throws {
    let sink = try Self.run(Self.setup(.psqlStreamer, items: .debezium))
    let native = try sink.values.indices.filter { sink.topics[$0] == TopicID(Self.orders) }.map {
      try JSON(sink.values[$0])
    }
    let debezium = try sink.values.indices.filter {
      sink.topics[$0] == TopicID(Self.items) && sink.values[$0] != "null"
    }.map { try JSON(sink.values[$0]) }
    #expect(native[0]["XID"]?.int == 901 && native[0]["CommitLSN"]?.string == "0/1000")
    #expect(debezium[0]["source"]?["txId"]?.int == 901)
    #expect(debezium[0]["source"]?["sequence"]?.string == #"["64","3616"]"#)
    let last = try #require(debezium.last?["source"])
    #expect(last["txId"]?.int == 903)
    // Where the message behind the second transaction ended.
    #expect(last["sequence"]?.string?.hasPrefix("[\"\(0x2080)\",") == true)
    #expect(native.last?["XID"]?.int == 903)
  }

  /// Keys are as the sink wants them where the table's format takes it.
  @Test func aKeysFormatIsTheSinksWhereItCanBe() throws {
    func keys(_ format: FormatConfiguration.Name, _ key: KeyFormat?) throws -> [String] {
      var setup = try Self.setup(.psqlStreamer, items: format)
      setup.key = key
      let sink = try Self.run(setup)
      return [Self.orders, Self.items].map { oid in
        let place = sink.topics.firstIndex(of: TopicID(oid)) ?? 0
        return AvroRun.hex(sink.records[place].key ?? [])
      }
    }
    let json = AvroRun.hex(Array(#"{"id":1}"#.utf8))
    #expect(try keys(.flat, nil) == [json, json])
    #expect(try keys(.flat, .scalar) == [json, "31"])
    #expect(try keys(.avro, nil) == [json, "000000000702"])
    #expect(try keys(.avro, .json) == [json, json])
    #expect(try keys(.protobuf, .avro) == [json, "0000000007000801"])
  }

  /// A reload gives a table another format from one transaction to the next.
  @Test(arguments: [FormatConfiguration.Name.debezium, .flat, .avro, .cloudEvents])
  func aReloadChangesATablesFormat(_ format: FormatConfiguration.Name) throws {
    let pipeline = Self.pipeline(try Self.setup(.psqlStreamer))
    try pipeline.feed { Self.transaction(1, &$0) }
    let before = Self.records(Self.items, pipeline.sink)
    pipeline.pipeline.adopt(
      [try Self.setup(.psqlStreamer, items: format)], messageTopics: [0])
    for request in pipeline.takeRequests() { pipeline.answer(request) }
    try pipeline.feed { Self.transaction(2, describes: false, &$0) }
    pipeline.pipeline.adopt([try Self.setup(.psqlStreamer)], messageTopics: [0])
    for request in pipeline.takeRequests() { pipeline.answer(request) }
    try pipeline.feed { Self.transaction(3, describes: false, &$0) }

    let native = try Self.run(Self.setup(.psqlStreamer))
    let other = try Self.run(Self.setup(format))
    let (found, all) = (
      Self.records(Self.items, pipeline.sink), Self.records(Self.items, native)
    )
    let third = all.count / 3
    #expect(Self.records(Self.orders, pipeline.sink) == Self.records(Self.orders, native))
    #expect(before == Array(all.prefix(third)))
    #expect(Array(found.suffix(third)) == Array(all.suffix(third)))
    let middle = Self.records(Self.items, other)
    let part = middle.count / 3
    #expect(Array(found.dropFirst(third).dropLast(third)) == Array(middle[part..<2 * part]))
  }
}
