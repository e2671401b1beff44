import AllocationCounter
import PGWire
import Support

@testable import Streamer

/// Counts what a pipeline allocates for windows with few and with many rows.
enum AllocationCheck {
  /// What one window cost.
  private struct Cost {
    let changes: Int
    let transactions: Int
    let allocations: Int
    var kind = ""
  }

  /// Whether rows cost nothing; prints what was found.
  static func run() -> Bool {
    do {
      let costs = try measure()
      let streamed = try [1 << 30, 100_000].map { try measureStream(memory: $0) }
      for cost in costs + streamed.joined() {
        print(
          "\(cost.allocations) allocations for \(cost.changes) changes "
            + "in \(cost.transactions) transactions\(cost.kind)")
      }
      let rowsAreFree =
        costs[0].allocations == costs[1].allocations
        && streamed.allSatisfy { $0[0].allocations == $0[1].allocations }
      let transactionsAreCheap = costs[2].allocations <= 16 * costs[2].transactions
      print(
        rowsAreFree && transactionsAreCheap
          ? "a row costs no allocation" : "FAILED: rows or transactions cost allocations")
      return rowsAreFree && transactionsAreCheap
    } catch {
      print("FAILED: \(error)")
      return false
    }
  }

  /// The costs of streamed transactions, in memory or mostly in a file, with many and few rows:
  /// arrival and reading at the commit together.
  private static func measureStream(memory: Int) throws -> [Cost] {
    let lane = makeLane()
    var pipeline = makePipeline(lane, memory: memory)
    pipeline.replaySliceBytes = 1 << 30
    try describe(&pipeline)
    var costs: [Cost] = []
    // A file is cheap but not free: both windows that are compared need one.
    for (number, rounds) in [2_000, 300, 2_000, 300].enumerated() {
      let lsn = UInt64(number + 1) * 1_000
      var server = ServerBytes()
      server.streamStart(745, isFirst: true)
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(table), 745))
      changes(rounds: rounds) { server.xLogData(LSN(lsn - 1), ServerBytes.streamed($0, 745)) }
      server.streamStop()
      server.streamCommit(745, LSN(lsn), end: LSN(lsn + 8))
      let events = lane.counts.events
      let allocations = try count(&pipeline, lane, server.bytes)
      guard lane.counts.events - events == rounds * 5, lane.inFlightBytes == 0 else {
        throw SupportError("not every change became its events")
      }
      costs.append(
        Cost(
          changes: rounds * 4, transactions: 1, allocations: allocations,
          kind: memory > 1 << 20 ? ", streamed" : ", streamed through a file"))
    }
    return Array(costs.dropFirst(2))
  }

  private static func makeLane() -> Lane {
    Lane(
      name: "sink", routing: TopicRouting(fallback: "t"), sink: StubSink(log: nil),
      encoder: EventEncoder(
        systemIdentifier: 7, host: "h", database: "d", options: ValueOptions()),
      position: .zero)
  }

  private static func makePipeline(_ lane: Lane, memory: Int) -> Pipeline {
    Pipeline(
      lanes: [lane], database: "d", inFlightLimit: 1 << 30,
      spool: Spool.Settings(directory: "/tmp", memory: memory),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
  }

  private static func describe(_ pipeline: inout Pipeline) throws {
    var server = ServerBytes()
    server.relation(table)
    let description = server.bytes
    _ = try pipeline.consume(unsafe description.span.bytes)
    pipeline.answer(RelationAnswer(catalogKey: [], types: TypeCatalog(), topics: [1]))
  }

  private static func measure() throws -> [Cost] {
    let lane = makeLane()
    var pipeline = makePipeline(lane, memory: 1 << 20)
    try describe(&pipeline)

    var lsn: UInt64 = 1_000
    var costs: [Cost] = []
    // The first windows are the largest of each kind: after them all buffers have their size.
    for (rounds, transactions) in [(2_000, 1), (10, 100), (2_000, 1), (10, 1), (10, 100)] {
      var server = ServerBytes()
      for _ in 0..<transactions {
        lsn += 1_000
        transaction(rounds: rounds, at: lsn, into: &server)
      }
      let bytes = server.bytes
      let events = lane.counts.events
      let allocations = try count(&pipeline, lane, bytes)
      let changes = rounds * 4 * transactions
      guard lane.counts.events - events == changes / 4 * 5, lane.inFlightBytes == 0 else {
        throw SupportError("not every change became its events")
      }
      costs.append(Cost(changes: changes, transactions: transactions, allocations: allocations))
    }
    return Array(costs.dropFirst(2))
  }

  private static func count(
    _ pipeline: inout Pipeline, _ lane: Lane, _ bytes: [UInt8]
  ) throws -> Int {
    let window = unsafe bytes.span.bytes
    allocation_counter_start()
    let consumed = try pipeline.consume(window)
    try lane.poll()
    let allocations = Int(allocation_counter_stop())
    _ = pipeline.takeStreamEnds()
    guard consumed == bytes.count else { throw SupportError("the window was not read whole") }
    return allocations
  }

  // MARK: - The server's bytes

  private static let table = Relation(
    oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 20), Relation.Column(name: "a", type: 23),
      Relation.Column(name: "b", type: 25), Relation.Column(name: "c", type: 1700),
      Relation.Column(name: "d", type: 1184), Relation.Column(name: "e", type: 16),
      Relation.Column(name: "f", type: 3802), Relation.Column(name: "g", type: 1007),
      Relation.Column(name: "h", type: 17), Relation.Column(name: "i", type: 2950),
      Relation.Column(name: "j", type: 1186), Relation.Column(name: "k", type: 3904),
      Relation.Column(name: "l", type: 1009),
    ])

  private static func row(_ id: Int) -> [ServerBytes.Cell] {
    [
      .text("\(id)"), .text("42017"), .text("The quick \"brown\" fox\njumps"), .text("12345.67"),
      .text("2026-11-23 08:15:50.123456+00"), .text("t"), .text(#"{"k": [1, null]}"#),
      .text("{1,NULL,3}"), .text(#"\xdeadbeef00"#),
      .text("6f0c1c9e-0000-4000-8000-000000000000"), .text("1 year 2 mons 04:05:06.7"),
      .text("[1,6)"), .text(#"{"a,b",NULL,""}"#),
    ]
  }

  /// One transaction of inserts, updates, changed keys and deletes: four changes, five events a
  /// round.
  private static func transaction(rounds: Int, at lsn: UInt64, into server: inout ServerBytes) {
    server.begin(LSN(lsn), time: 800_000_000_000_000, xid: 745)
    changes(rounds: rounds) { server.xLogData(LSN(lsn - 1), $0) }
    server.commit(LSN(lsn), end: LSN(lsn + 8), time: 800_000_000_000_000)
  }

  private static func changes(rounds: Int, _ write: ([UInt8]) -> Void) {
    for id in 0..<rounds {
      var unchanged = row(id)
      unchanged[2] = .unchanged
      unchanged[7] = .null
      let key = [.text("\(id)")] + Array(repeating: ServerBytes.Cell.null, count: 12)
      write(ServerBytes.insert(16_384, row(id)))
      write(ServerBytes.update(16_384, unchanged))
      write(ServerBytes.update(16_384, old: (.key, key), row(id + 1)))
      write(ServerBytes.delete(16_384, .key, key))
    }
  }
}
