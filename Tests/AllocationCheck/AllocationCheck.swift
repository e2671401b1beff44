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
      let rows = try measure(.text)
      let binary = try measure(.binary)
      let others = try (formats + ruled).map { try measure(.text, $0.setup, $0.name) }
      let streamed = try [1 << 30, 100_000].map { try measureStream(memory: $0) }
      let outbox = try outboxRows()
      print("\(outbox[0]) and \(outbox[1]) allocations for 4000 and 40 rows of an outbox")
      for cost in rows + binary + others.joined() + streamed.joined() {
        print(
          "\(cost.allocations) allocations for \(cost.changes) changes "
            + "in \(cost.transactions) transactions\(cost.kind)")
      }
      let rowsAreFree =
        ([rows, binary] + others).allSatisfy { $0[0].allocations == $0[1].allocations }
        && streamed.allSatisfy { $0[0].allocations == $0[1].allocations } && outbox[0] == outbox[1]
      let transactionsAreCheap = [rows, binary].allSatisfy {
        $0[2].allocations <= 16 * $0[2].transactions
      }
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
    var pipeline = makePipeline(memory: memory)
    pipeline.replaySliceBytes = 1 << 30
    try describe(&pipeline, .text)
    var costs: [Cost] = []
    // A file is cheap but not free: both windows that are compared need one.
    for (number, rounds) in [2_000, 300, 2_000, 300].enumerated() {
      let lsn = UInt64(number + 1) * 1_000
      var server = ServerBytes()
      server.streamStart(745, isFirst: true)
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(CheckedTable.relation), 745))
      CheckedTable.text.changes(rounds: rounds) {
        server.xLogData(LSN(lsn - 1), ServerBytes.streamed($0, 745))
      }
      server.streamStop()
      server.streamCommit(745, LSN(lsn), end: LSN(lsn + 8))
      let events = pipeline.lanes[0].counts.events
      let allocations = try count(&pipeline, server.bytes)
      guard pipeline.lanes[0].counts.events - events == rounds * 5, pipeline.inFlightBytes == 0
      else {
        throw SupportError("not every change became its events")
      }
      costs.append(
        Cost(
          changes: rounds * 4, transactions: 1, allocations: allocations,
          kind: memory > 1 << 20 ? ", streamed" : ", streamed through a file"))
    }
    return Array(costs.dropFirst(2))
  }

  /// The other formats, each with how its lane is set up.
  private static var formats: [(name: String, setup: LaneSetup)] {
    var debezium = LaneSetup(routing: TopicRouting(fallback: "t"))
    debezium.format = .debezium
    var texts = debezium
    texts.key = .scalar
    texts.debezium.decimal = .string
    texts.debezium.time = .isostring
    texts.debezium.interval = .string
    texts.debezium.binary = .hex
    var flat = debezium
    flat.format = .flat
    flat.flat.deletes = .rewriteWithTombstone
    flat.flat.fields = FlatOptions.Member.allCases.compactMap {
      FlatOptions.Field($0.rawValue, prefix: "__")
    }
    var avro = debezium
    avro.format = .avro
    avro.key = .avro
    var rows = avro
    rows.schemas.style = .plain
    rows.flat = flat.flat
    var protobuf = avro
    protobuf.format = .protobuf
    protobuf.key = .protobuf
    // The table in another format than the sink's own.
    var ownFormat = debezium
    ownFormat.flat = flat.flat
    // Lists that hold nulls, which its schemas in Debezium's style cannot say.
    if let orders = TablePattern("orders") {
      ownFormat.rules = TableRules([.init(tables: orders, rule: TableRules.Rule(format: .flat))])
      protobuf.rules = TableRules([
        .init(tables: orders, rule: TableRules.Rule(exclude: ["g", "l"]))
      ])
    }
    let structs = [("debezium", debezium), ("avro", avro), ("protobuf", protobuf)].map {
      name, setup in
      var setup = setup
      setup.debezium.time = .structured
      return (name: "\(name) with structs", setup: setup)
    }
    var messages = rows
    messages.format = .protobuf
    messages.key = .protobuf
    var events = LaneSetup(routing: TopicRouting(fallback: "t"))
    events.format = .cloudEvents
    var text = events
    text.format = .text
    return [
      ("debezium", debezium), ("debezium, as texts", texts), ("flat", flat),
      ("flat by a rule", ownFormat), ("avro", avro), ("avro, plain", rows), ("protobuf", protobuf),
      ("protobuf, plain", messages),
      ("cloudevents", events), ("text", text),
    ] + structs
  }

  /// Lanes with rules for the table: a condition, masks, names.
  ///
  /// No digests: OpenSSL allocates once for each, whatever is kept for it.
  private static var ruled: [(name: String, setup: LaneSetup)] {
    get throws {
      guard let orders = TablePattern("orders"), let short = ValueMask("truncate:5"),
        let redact = ValueMask("redact"), let stars = ValueMask("stars:3")
      else { throw SupportError("a rule cannot be read") }
      var rule = TableRules.Rule(
        exclude: ["l"], rename: ["a": "number"], mask: ["b": short, "c": redact, "h": stars])
      rule.filter = try WhereParser.parse(
        "(a between 1 and 99999 or c > 1.5) and d >= '2024-02-29'::date and (b like 'The%' or e) "
          + "and i <> '00000000-0000-0000-0000-000000000000'")
      var setup = LaneSetup(routing: TopicRouting(fallback: "t"))
      setup.rules = TableRules([.init(tables: orders, rule: rule)])
      var debezium = setup
      debezium.format = .debezium
      return [("with rules", setup), ("debezium with rules", debezium)]
    }
  }

  static func makePipeline(
    memory: Int, _ setup: LaneSetup = LaneSetup(routing: TopicRouting(fallback: "t"))
  ) -> Pipeline {
    var pipeline = Pipeline(
      lanes: LaneSet(count: 1) { _ in
        Lane(name: "sink", sink: StubSink(log: nil), position: LSN.zero, isOpen: true)
      },
      setups: [setup],
      settings: Pipeline.Settings(
        inFlightLimit: 1 << 30, spool: Spool.Settings(directory: "/tmp", memory: memory)),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(
      at: .zero, StreamOrigin(systemIdentifier: 7, host: "h", database: "d"), messageTopics: [nil])
    return pipeline
  }

  private static func describe(_ pipeline: inout Pipeline, _ table: CheckedTable) throws {
    var server = ServerBytes()
    server.relation(CheckedTable.relation)
    let description = server.bytes
    _ = try pipeline.consume(unsafe description.span.bytes)
    var answer = TableAnswer(catalogKey: [], types: TypeCatalog(), topics: [1])
    if table == .binary {
      answer.binary = try BinaryRow.prepare(
        CheckedTable.relation, types: answer.types, serverMajor: 15
      ).get()
    }
    for request in pipeline.takeRequests() { pipeline.answer(request, answer) }
  }

  private static func measure(
    _ table: CheckedTable,
    _ setup: LaneSetup = LaneSetup(routing: TopicRouting(fallback: "t")), _ name: String? = nil
  ) throws -> [Cost] {
    var pipeline = makePipeline(memory: 1 << 20, setup)
    try describe(&pipeline, table)

    var lsn: UInt64 = 1_000
    var costs: [Cost] = []
    // The first windows are the largest of each kind: after them all buffers have their size.
    for (rounds, transactions) in [(2_000, 1), (10, 100), (2_000, 1), (10, 1), (10, 100)] {
      var server = ServerBytes()
      for _ in 0..<transactions {
        lsn += 1_000
        // A changed key has headers, which are allocated.
        table.transaction(
          rounds: rounds, at: lsn, changesKeys: !setup.format.isDebeziums, into: &server)
      }
      let bytes = server.bytes
      let events = pipeline.lanes[0].counts.events
      let allocations = try count(&pipeline, bytes)
      let changes = rounds * 4 * transactions
      let made = pipeline.lanes[0].counts.events - events
      // Each change is a record, and a changed key or a tombstone one more.
      guard made == changes / 4 * 5, pipeline.inFlightBytes == 0 else {
        throw SupportError("not every change became its events")
      }
      costs.append(
        Cost(
          changes: changes, transactions: transactions, allocations: allocations,
          kind: name.map { ", \($0)" } ?? (table == .binary ? ", in binary" : "")))
    }
    return Array(costs.dropFirst(2))
  }

  private static func count(
    _ pipeline: inout Pipeline, _ bytes: [UInt8]
  ) throws -> Int {
    let (read, allocations) = try countPart(&pipeline, bytes, from: 0)
    guard read == bytes.count else { throw SupportError("the window was not read whole") }
    return allocations
  }

  /// Reads a window from a place on as far as it goes.
  static func countPart(
    _ pipeline: inout Pipeline, _ bytes: [UInt8], from start: Int
  ) throws -> (read: Int, allocations: Int) {
    let window = unsafe bytes.span.bytes.extracting(start..<bytes.count)
    allocation_counter_start()
    let consumed = try pipeline.consume(window)
    try pipeline.lanes[0].poll()
    let allocations = Int(allocation_counter_stop())
    _ = pipeline.takeStreamEnds()
    return (consumed.count, allocations)
  }
}
