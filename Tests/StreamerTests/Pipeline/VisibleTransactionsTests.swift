import PGWire
import Support
import Testing

@testable import Streamer

extension CapturingPipeline {
  fileprivate var pause: Pipeline.Pause { pipeline.pause }

  /// The server is looked at, and reading goes on.
  fileprivate func look(_ text: String, before limit: UInt64) throws {
    guard let snapshot = ServerSnapshot(text) else { throw SupportError("no snapshot: \(text)") }
    pipeline.visible?.looked(.init(snapshot: snapshot, limit: LSN(limit)), now: .now)
    try goOn()
  }

  /// The identifiers of what was handed over.
  fileprivate var ids: [String] { sink.keys.map { $0?.filter(\.isNumber) ?? "-" } }
}

/// Transactions that wait until readers of the primary see them.
@Suite struct VisibleTransactionsTests {
  private static let oid: UInt32 = 16_384
  private static let table = Relation(
    oid: oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)])

  private static func row(_ id: UInt32) -> [UInt8] {
    ServerBytes.insert(oid, [.text("\(id)")])
  }

  /// A transaction of one row, whose number it is.
  private static func transaction(_ server: inout ServerBytes, _ xid: UInt32, at lsn: UInt64) {
    server.begin(LSN(lsn), xid: xid)
    server.relation(table)
    server.xLogData(LSN(lsn - 8), row(xid))
    server.commit(LSN(lsn), end: LSN(lsn + 0x20))
  }

  private func pipeline() -> CapturingPipeline {
    let pipeline = CapturingPipeline()
    pipeline.pipeline.visible = VisibleTransactions()
    return pipeline
  }

  // MARK: - By bytes

  @Test func `A transaction is gone into when it is seen, and one behind it no earlier`() throws {
    let pipeline = pipeline()
    try pipeline.feed { server in
      Self.transaction(&server, 745, at: 0x100)
      Self.transaction(&server, 744, at: 0x200)
    }
    #expect(pipeline.pause == .visibility && pipeline.ids.isEmpty)
    // The one behind is seen, it is not.
    try pipeline.look("745:746:745", before: 0x300)
    #expect(pipeline.pause == .visibility && pipeline.ids.isEmpty)
    #expect(pipeline.confirmed == .zero)
    try pipeline.look("746:746:", before: 0x300)
    #expect(pipeline.pause == .needsBytes && pipeline.ids == ["745", "744"])
    #expect(pipeline.confirmed == LSN(0x220))
  }

  @Test func `One look lets through everything that was committed before it`() throws {
    let pipeline = pipeline()
    try pipeline.feed { server in
      for number in 1...5 as ClosedRange<UInt32> {
        Self.transaction(&server, number, at: UInt64(number) * 0x100)
      }
    }
    // The numbers alone would let all of them through: the fourth was not there when it was looked.
    try pipeline.look("100:100:", before: 0x400)
    #expect(pipeline.ids == ["1", "2", "3"] && pipeline.pause == .visibility)
    #expect(pipeline.pipeline.visible?.waiting == .init(xid: 4, commitLSN: LSN(0x400)))
    try pipeline.look("100:100:", before: 0x600)
    #expect(pipeline.ids == ["1", "2", "3", "4", "5"])
  }

  @Test func `A streamed transaction waits at its commit, not at its chunks`() throws {
    let pipeline = pipeline()
    try pipeline.feed { server in
      server.streamStart(745, isFirst: true)
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table), 745))
      server.xLogData(LSN(0x90), ServerBytes.streamed(Self.row(745), 745))
      server.streamStop()
    }
    #expect(pipeline.pause == .needsBytes)
    try pipeline.feed { $0.streamCommit(745, LSN(0x100), end: LSN(0x120)) }
    #expect(pipeline.pause == .visibility && pipeline.ids.isEmpty)
    try pipeline.look("745:747:745,746", before: 0x200)
    #expect(pipeline.pause == .visibility)
    try pipeline.look("746:747:746", before: 0x200)
    #expect(pipeline.ids == ["745"] && pipeline.confirmed == LSN(0x120))
  }

  @Test func `A message outside of transactions waits for nothing`() throws {
    let pipeline = pipeline()
    try pipeline.feed { server in
      server.xLogData(
        LSN(0x90),
        ServerBytes.logical(transactional: false, at: LSN(0x90), prefix: "p", [1]))
      Self.transaction(&server, 745, at: 0x100)
    }
    #expect(pipeline.sink.values.count == 1 && pipeline.pause == .visibility)
  }

  @Test func `What a lost connection knew is void`() throws {
    let pipeline = pipeline()
    try pipeline.feed { Self.transaction(&$0, 745, at: 0x100) }
    try pipeline.look("800:800:", before: 0x1000)
    #expect(pipeline.ids == ["745"])
    pipeline.reconnect()
    try pipeline.feed { Self.transaction(&$0, 746, at: 0x200) }
    #expect(pipeline.pause == .visibility && pipeline.ids == ["745"])
  }

  @Test func `A fence takes the place of the wait, and gives it back`() throws {
    let pipeline = pipeline()
    try pipeline.feed { server in
      Self.transaction(&server, 745, at: 0x100)
      Self.transaction(&server, 746, at: 0x200)
    }
    #expect(pipeline.pause == .visibility)
    // A snapshot for existing rows has the first and not the second.
    let snapshot = try #require(ServerSnapshot("746:747:746"))
    pipeline.pipeline.fence = Fence(snapshot, limit: LSN(0x180))
    try pipeline.goOn()
    #expect(pipeline.ids == ["745"] && pipeline.pause == .fence)
    let isAtFence = pipeline.pipeline.isAtFence
    #expect(isAtFence)
    pipeline.pipeline.fence = nil
    try pipeline.goOn()
    #expect(pipeline.ids == ["745"] && pipeline.pause == .visibility)
    try pipeline.look("747:747:", before: 0x300)
    #expect(pipeline.ids == ["745", "746"])
  }

  // MARK: - When to look

  private let start = ContinuousClock.now
  private func after(_ milliseconds: Int) -> ContinuousClock.Instant {
    start + .milliseconds(milliseconds)
  }

  private static let nothing = VisibleTransactions.Sight(
    snapshot: ServerSnapshot("5:5:") ?? { preconditionFailure("a snapshot") }(), limit: .zero)

  private static func all(before limit: UInt64) -> VisibleTransactions.Sight {
    VisibleTransactions.Sight(
      snapshot: ServerSnapshot("900:900:") ?? { preconditionFailure("a snapshot") }(),
      limit: LSN(limit))
  }

  @Test func `It looks at once, then ever more rarely, one look at a time`() {
    var visible = VisibleTransactions()
    var begins = visible.begins(now: start)
    #expect(!begins && visible.deadline == nil)
    _ = visible.holds(7, at: LSN(0x100))
    var time = 0
    for pause in [1, 2, 4, 8, 16, 32, 64, 100, 100] {
      begins = visible.begins(now: after(time))
      let again = visible.begins(now: after(time))
      #expect(begins && !again)
      visible.looked(Self.nothing, now: after(time))
      time += pause
      #expect(visible.deadline == after(time))
      begins = visible.begins(now: after(time - 1))
      #expect(!begins)
    }
    // The next one that waits is looked for at once.
    _ = visible.holds(8, at: LSN(0x200))
    begins = visible.begins(now: after(time - 1))
    #expect(begins)
  }

  @Test func `A wait that lasts is told once, and so is its end`() {
    var visible = VisibleTransactions()
    _ = visible.holds(7, at: LSN(0x100))
    _ = visible.begins(now: start)
    #expect(visible.deadline == after(5_000))
    var remark = visible.takeRemark(now: after(4_999))
    #expect(remark == nil && visible.waitingSince(now: after(4_999)) == nil)
    remark = visible.takeRemark(now: after(5_000))
    let waiting = VisibleTransactions.Waiting(xid: 7, commitLSN: LSN(0x100))
    #expect(remark == .lasts(waiting) && visible.waitingSince(now: after(5_000)) == start)
    remark = visible.takeRemark(now: after(9_000))
    #expect(remark == nil)
    visible.looked(Self.all(before: 0x101), now: after(9_000))
    remark = visible.takeRemark(now: after(9_000))
    #expect(remark == .over(waiting, after: .seconds(9)))
    #expect(visible.waitingSince(now: after(9_000)) == nil && visible.deadline == nil)
  }

  @Test func `One failure is overcome, two in a row give the connection up`() {
    var visible = VisibleTransactions()
    _ = visible.holds(7, at: LSN(0x100))
    _ = visible.begins(now: start)
    var goesOn = visible.failed(now: start)
    #expect(goesOn)
    _ = visible.begins(now: after(100))
    visible.looked(Self.nothing, now: after(100))
    _ = visible.begins(now: after(101))
    goesOn = visible.failed(now: after(101))
    #expect(goesOn)
    _ = visible.begins(now: after(201))
    goesOn = visible.failed(now: after(201))
    #expect(!goesOn)
  }

  @Test func `The answer to the connection before is waited for and does not count`() {
    var visible = VisibleTransactions()
    _ = visible.holds(7, at: LSN(0x100))
    _ = visible.begins(now: start)
    visible.disconnected()
    _ = visible.holds(7, at: LSN(0x100))
    var begins = visible.begins(now: start)
    #expect(!begins)
    visible.voided()
    begins = visible.begins(now: start)
    #expect(begins)
  }

  @Test func `Numbers of 32 bits are those of a server beyond them`() {
    let epoch = UInt64(7) << 32
    let text = "\(epoch - 3):\(epoch + 10):\(epoch + 5)"
    guard let snapshot = ServerSnapshot(text) else { preconditionFailure("a snapshot") }
    let sight = VisibleTransactions.Sight(snapshot: snapshot, limit: LSN(0x100))
    let seen = [UInt32.max - 5, .max, 0, 4, 5, 9, 10].map { sight.sees($0, at: LSN(0x90)) }
    #expect(seen == [true, true, true, true, false, true, false])
  }

  @Test func `Only names of synchronous standbys count as such`() {
    let values = [
      ("", "", false), ("s1", "s1", true), ("s1", "S1", true), ("s1, s2", "s2", true),
      ("FIRST 1 (s1, s2)", "s2", true), ("ANY 2 (s1, \"a b\", s3)", "a b", true),
      ("2 (s1, s2)", "", false), ("FIRST 1 (s1)", "first", false), ("*", "", true),
      ("FIRST 1 (s1, *)", "x", true), ("s1", "s10", false),
    ]
    for (setting, name, isIncluded) in values {
      #expect(SynchronousStandbyNames(setting).include(name) == isIncluded, "\(setting) \(name)")
    }
  }
}
