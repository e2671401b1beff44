import PGWire
import Support
import Testing

@testable import Streamer

/// What a sink that keeps its position is not told yet.
@Suite struct HeldPlaceTests {
  private static let signals = Relation(
    oid: 16_390, schema: "public", name: "signals", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 25), Relation.Column(name: "type", type: 25),
      Relation.Column(name: "data", type: 25),
    ])

  private func pipeline(_ sink: KeepingSink) -> Pipeline {
    var settings = Pipeline.Settings(
      source: "db", inFlightLimit: 1 << 20,
      spool: Spool.Settings(directory: "/nowhere", memory: 1 << 20))
    settings.signalTable = TablePattern("public.signals")
    var pipeline = Pipeline(
      lanes: LaneSet(count: 1) { _ in
        Lane(name: "sink", sink: sink, position: .zero, isOpen: true, capacity: 16)
      }, setups: [LaneSetup(routing: .init(fallback: "t"))], settings: settings,
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(at: .zero, StreamOrigin(), messageTopics: [nil])
    return pipeline
  }

  /// Reads a transaction to its end.
  private func read(_ pipeline: inout Pipeline, _ commit: UInt64, _ payloads: [UInt8]...) throws {
    var server = ServerBytes()
    server.begin(LSN(commit), time: 1, xid: UInt32(commit))
    if commit == 0x100 {
      server.relation(Self.signals)
      server.relation(CopySimulation.table.relation)
    }
    for payload in payloads { server.xLogData(LSN(commit - 8), payload) }
    server.commit(LSN(commit), end: LSN(commit + 8), time: 1)
    var bytes = server.bytes
    for _ in 0..<10 {
      let consumed = try pipeline.consume(unsafe bytes.span.bytes)
      bytes.removeFirst(consumed.count)
      for request in pipeline.takeRequests() {
        pipeline.answer(
          request, TableAnswer(catalogKey: [], types: TypeCatalog(), topics: [1]))
      }
    }
    #expect(bytes.isEmpty)
  }

  private func row(_ key: String) -> [UInt8] {
    ServerBytes.insert(CopySimulation.table.relation.oid, [.text(key), .text("1"), .text("x")])
  }

  /// Whether all places that were told lie before an event of the second transaction.
  private func isBefore(_ ordinal: UInt64, _ sink: KeepingSink) -> Bool {
    sink.places.allSatisfy { place in
      place.lsn < LSN(0x208)
        && place.cut.map { $0.commitLSN < LSN(0x200) || $0.nextOrdinal <= ordinal } ?? true
    }
  }

  /// Who begins again behind it would never hear of it.
  @Test func `A place behind a signal is told once that is written down`() throws {
    let sink = KeepingSink()
    var pipeline = pipeline(sink)
    try read(&pipeline, 0x100, row("a"))
    #expect(sink.places.last?.lsn == LSN(0x108))
    let signal = ServerBytes.insert(
      Self.signals.oid, [.text("1"), .text("log"), .text("{}")])
    try read(&pipeline, 0x200, row("b"), signal)
    try read(&pipeline, 0x300, row("c"))
    #expect(pipeline.signals.count == 1)
    #expect(isBefore(1, sink), "\(sink.places)")
    // The source has written it down.
    pipeline.lanes.holdPositions(false)
    try read(&pipeline, 0x400, row("d"))
    #expect(sink.places.last?.lsn == LSN(0x408))
  }

  /// A row of which a value is missing is read once more.
  @Test func `A place behind a row that was moved is told once that is written down`() throws {
    let sink = KeepingSink()
    var pipeline = pipeline(sink)
    pipeline.read.isNeeded = true
    try read(&pipeline, 0x100, row("a"))
    let moved = ServerBytes.update(
      CopySimulation.table.relation.oid, old: (.key, [.text("a"), .null, .null]),
      [.text("b"), .text("2"), .unchanged])
    try read(&pipeline, 0x200, moved)
    #expect(pipeline.moved.count == 1)
    #expect(isBefore(0, sink), "\(sink.places)")
    pipeline.lanes.holdPositions(false)
    try read(&pipeline, 0x300, row("c"))
    #expect(sink.places.last?.lsn == LSN(0x308))
  }
}
