import PGWire
import Support
import Testing

@testable import Streamer

/// What a lane keeps over restarts, and where it goes on.
@Suite struct LaneTests {
  private static let table = Relation(
    oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)])

  private func feed(_ pipeline: CapturingPipeline, _ lsns: UInt64...) throws {
    for lsn in lsns {
      try pipeline.feed { server in
        server.begin(LSN(lsn), xid: UInt32(lsn))
        server.relation(Self.table)
        server.xLogData(LSN(lsn - 1), ServerBytes.insert(16_384, [.text("\(lsn)")]))
        server.commit(LSN(lsn), end: LSN(lsn + 8))
      }
    }
  }

  @Test("S14 totals never go back") func totals() throws {
    let pipeline = CapturingPipeline()
    try feed(pipeline, 0x100, 0x200)
    pipeline.pipeline.lanes[0].restart(with: pipeline.sink)
    pipeline.pipeline.lanes[0].opened()
    // Another history of the server: its positions begin anew.
    pipeline.pipeline.lanes[0].resume(at: LSN(0x10))
    pipeline.reconnect()
    try feed(pipeline, 0x50)
    #expect(pipeline.counts.events == 3 && pipeline.counts.delivered == 3)
    let generation = pipeline.pipeline.lanes[0].generation
    #expect(pipeline.confirmed == LSN(0x58) && generation == 1)
  }

  /// The sink keeps what it has; its late reports change no position.
  @Test func resumingElsewhereDropsNothingOfTheSink() throws {
    let pipeline = CapturingPipeline()
    pipeline.sink.delivers = false
    try feed(pipeline, 0x100, 0x200)
    let inFlight = pipeline.pipeline.inFlightBytes
    pipeline.pipeline.lanes[0].resume(at: LSN(0x80))
    #expect(pipeline.confirmed == LSN(0x80) && pipeline.pipeline.inFlightBytes == inFlight)
    pipeline.reconnect()
    try feed(pipeline, 0x100)
    pipeline.sink.delivers = true
    try pipeline.feed { _ in }
    #expect(pipeline.confirmed == LSN(0x108) && pipeline.pipeline.inFlightBytes == 0)
    #expect(pipeline.sink.values.count == 3)
  }

  @Test func resumingWhereItStandsRepeatsNothing() throws {
    let pipeline = CapturingPipeline()
    pipeline.sink.delivers = false
    try feed(pipeline, 0x100)
    pipeline.pipeline.lanes[0].resume(at: .zero)
    pipeline.reconnect()
    try feed(pipeline, 0x100)
    #expect(pipeline.sink.values.count == 1 && pipeline.counts.repeated == 1)
  }

  /// The publication may have lost the table meanwhile: the server passes over the transaction.
  @Test func aCutTransactionThatDoesNotComeAgainHoldsNothingBack() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(0xF0), ServerBytes.insert(16_384, [.text("1")]))
    }
    pipeline.reconnect()
    // Where the slot stands says nothing of what comes behind it.
    try pipeline.feed { $0.keepalive(walEnd: LSN(0x80), reply: false) }
    #expect(pipeline.confirmed < LSN(0x100))
    try pipeline.feed { $0.keepalive(walEnd: LSN(0x200), reply: false) }
    try pipeline.feed { _ in }
    #expect(pipeline.confirmed == LSN(0x200))
    try feed(pipeline, 0x300)
    #expect(pipeline.confirmed == LSN(0x308))
  }

  @Test("S12 each settled commit counts in the latency, not only the last")
  func latencies() throws {
    let pipeline = CapturingPipeline()
    pipeline.sink.delivers = false
    let second: Int64 = 1_000_000
    let now: Int64 = 800_000_000 * second
    // Ten commits that are 30 seconds old, and one that has just been made.
    for number in 0..<11 {
      let lsn = LSN(UInt64(number + 1) * 0x100)
      try pipeline.feed { server in
        server.begin(lsn, time: number < 10 ? now - 30 * second : now, xid: 1)
        server.relation(Self.table)
        server.xLogData(lsn, ServerBytes.insert(16_384, [.text("1")]))
        server.commit(lsn, end: LSN(lsn.value + 8))
      }
    }
    var settled = pipeline.pipeline.lanes[0].takeSettled()
    #expect(settled == nil)
    pipeline.sink.delivers = true
    try pipeline.feed { _ in }
    settled = pipeline.pipeline.lanes[0].takeSettled()
    #expect(settled?.count == 11)
    #expect(settled.map { abs($0.latencySum(at: now) - 300) < 0.001 } == true)
    settled = pipeline.pipeline.lanes[0].takeSettled()
    #expect(settled == nil)
  }
}
