import PGWire
import Support

@testable import Streamer

/// The rows of an outbox, once their topics are known.
extension AllocationCheck {
  private static let relation = Relation(
    oid: 16_700, schema: "public", name: "outbox", replicaIdentity: .primaryKey,
    columns: ["id", "aggregatetype", "aggregateid", "type", "payload"].map {
      Relation.Column(name: $0, isKey: $0 == "id", type: $0 == "payload" ? 3802 : 25)
    })

  /// What a lane allocates for windows with many and with few of them.
  static func outboxRows() throws -> [Int] {
    var outbox = OutboxOptions()
    outbox.table = TablePattern("outbox")
    outbox.placements = [
      OutboxOptions.Placement(column: "type", place: .header, alias: "eventType"),
      OutboxOptions.Placement(column: "aggregateid", place: .envelope, alias: "number"),
    ]
    outbox.expandPayload = true
    var setup = LaneSetup(routing: TopicRouting())
    setup.outbox = outbox
    var pipeline = makePipeline(memory: 1 << 20, setup)
    var costs: [Int] = []
    for (index, rows) in [10, 4_000, 4_000, 40].enumerated() {
      let lsn = UInt64(index + 1) * 100_000
      var server = ServerBytes()
      if index == 0 { server.relation(relation) }
      server.begin(LSN(lsn), time: 1, xid: 745)
      for row in 0..<rows {
        server.xLogData(
          LSN(lsn - 1),
          ServerBytes.insert(
            relation.oid,
            [
              .text("0191a1b2-0000-7000-8000-\(row)"), .text("Aggregate-number-\(row % 5)"),
              .text("\(row)"), .text("SomethingHasHappened"), .text(#"{"a": [1, 2], "b": "text"}"#),
            ]))
      }
      server.commit(LSN(lsn), end: LSN(lsn + 8))
      costs.append(try readAll(&pipeline, server.bytes))
    }
    guard pipeline.lanes[0].counts.events == 8_050, pipeline.inFlightBytes == 0 else {
      throw SupportError("not every row of the outbox became an event")
    }
    return Array(costs.suffix(2))
  }

  /// Reads a window; the first asks for the table and its topics.
  private static func readAll(_ pipeline: inout Pipeline, _ bytes: [UInt8]) throws -> Int {
    var offset = 0
    var allocations = 0
    while offset < bytes.count {
      let (read, cost) = try countPart(&pipeline, bytes, from: offset)
      offset += read
      allocations += cost
      for request in pipeline.takeRequests() {
        pipeline.answer(
          request, TableAnswer(catalogKey: [], types: TypeCatalog(), topics: [nil]))
      }
      let topics = pipeline.takeTopicRequests()
      try pipeline.answer(topics, topics.indices.map { .success(TopicID($0)) })
    }
    pipeline.lanes.flush()
    try pipeline.lanes[0].poll()
    return allocations
  }
}
