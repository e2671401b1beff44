import PGWire
import Support
import Testing

@testable import Streamer

/// When tables are looked up, and what waits for the answers.
@Suite struct PipelineLookUpTests {
  private static func table(
    _ number: Int, type: UInt32 = 25, identity: Relation.ReplicaIdentity = .primaryKey
  ) -> Relation {
    Relation(
      oid: UInt32(16_384 + number), schema: "public", name: "t\(number)",
      replicaIdentity: identity,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "a", type: type),
      ])
  }

  private static func row(_ number: Int, _ id: Int) -> [UInt8] {
    ServerBytes.insert(UInt32(16_384 + number), [.text("\(id)"), .text("x")])
  }

  /// A transaction that describes tables, each right before its row.
  private func transaction(_ server: inout ServerBytes, _ lsn: UInt64, _ tables: [Relation]) {
    server.begin(LSN(lsn), xid: 1)
    for table in tables {
      server.relation(table)
      server.xLogData(LSN(lsn - 1), Self.row(Int(table.oid) - 16_384, 1))
    }
    server.commit(LSN(lsn), end: LSN(lsn + 8))
  }

  /// The same in one chunk, committed.
  private func streamed(_ server: inout ServerBytes, _ lsn: UInt64, _ tables: [Relation]) {
    server.streamStart(9, isFirst: true)
    for table in tables {
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(table), 9))
      server.xLogData(
        LSN(lsn - 1), ServerBytes.streamed(Self.row(Int(table.oid) - 16_384, 1), 9))
    }
    server.streamStop()
    server.streamCommit(9, LSN(lsn), end: LSN(lsn + 8))
  }

  @Test func readingGoesOnUntilARowHasToWait() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { transaction(&$0, 0x100, [Self.table(1)]) }
    pipeline.answers = false
    try pipeline.feed { server in
      server.begin(LSN(0x200), xid: 2)
      server.relation(Self.table(2))
      server.xLogData(LSN(0x1F0), Self.row(1, 7))
      server.xLogData(LSN(0x1F1), Self.row(2, 8))
      server.commit(LSN(0x200), end: LSN(0x208))
    }
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":7}"#])
    var pause = pipeline.pipeline.pause
    #expect(pause == .lookUp)
    let request = try #require(pipeline.requests.last)
    #expect(request.position == LSN(0x200) && request.relation == Self.table(2))
    pipeline.answer(request)
    pause = pipeline.pipeline.pause
    #expect(pause == .needsBytes)
    try pipeline.goOn()
    #expect(pipeline.sink.keys.last == #"{"id":8}"# && pipeline.confirmed == LSN(0x208))
  }

  @Test("S15 all tables that the window describes are asked for at once")
  func manyNewTables() throws {
    let tables = (0..<300).map { Self.table($0, type: $0 % 2 == 0 ? 25 : 20_000) }
    let pipeline = CapturingPipeline(inFlightLimit: 1 << 30)
    try pipeline.feed { server in
      transaction(&server, 0x100, Array(tables[..<150]))
      // What is inside a chunk is looked up when it is read, not before its commit.
      server.streamStart(9, isFirst: true)
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table(999)), 9))
      server.streamStop()
      transaction(&server, 0x200, Array(tables[150...]))
    }
    #expect(pipeline.taken == [300])
    #expect(pipeline.sink.values.count == 300 && pipeline.confirmed == LSN(0x208))
    #expect(pipeline.requests.map(\.position) == (0..<300).map { LSN($0 < 150 ? 0x100 : 0x200) })
  }

  @Test("S15 all tables of a streamed transaction are asked for at once", arguments: [true, false])
  func manyTablesOfAStream(isInFile: Bool) throws {
    let directory = try TemporaryDirectory()
    let plain = (0..<200).map { Self.table($0) }
    let typed = (0..<200).map { Self.table($0, type: 20_000) }
    let pipeline = CapturingPipeline(
      inFlightLimit: 1 << 30,
      spool: Spool.Settings(directory: directory.path, memory: isInFile ? 0 : 1 << 20))
    try pipeline.feed { streamed(&$0, 0x100, plain) }
    #expect(pipeline.taken == [1, 199] || pipeline.taken == [200])
    #expect(pipeline.sink.values.count == 200)
    // Described again as they were, they need none.
    let before = pipeline.requests.count
    try pipeline.feed { streamed(&$0, 0x200, plain) }
    #expect(pipeline.requests.count == before && pipeline.sink.values.count == 400)
    // Types of users are looked up at every description, and together.
    let times = pipeline.taken.count
    try pipeline.feed { streamed(&$0, 0x300, typed) }
    try pipeline.feed { streamed(&$0, 0x400, typed) }
    #expect(pipeline.requests.count == before + 400 && pipeline.taken.count <= times + 4)
    #expect(pipeline.sink.values.count == 800 && pipeline.confirmed == LSN(0x408))
  }

  @Test func whatIsRolledBackIsNotAskedFor() throws {
    let pipeline = CapturingPipeline(inFlightLimit: 1 << 30)
    try pipeline.feed { server in
      server.streamStart(9, isFirst: true)
      for (number, xid) in [(1, 9), (2, 10), (3, 9)] {
        server.xLogData(
          .zero, ServerBytes.streamed(ServerBytes.relation(Self.table(number)), UInt32(xid)))
        server.xLogData(
          LSN(0x90), ServerBytes.streamed(Self.row(number, number), UInt32(xid)))
        if xid == 10 {
          server.streamStop()
          server.streamAbort(9, 10)
          server.streamStart(9, isFirst: false)
        }
      }
      server.streamStop()
      server.streamCommit(9, LSN(0x100), end: LSN(0x108))
    }
    #expect(pipeline.requests.map(\.relation.name) == ["t1", "t3"])
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":3}"#])
  }

  @Test("S8 a table whose replica identity does not name the key is asked for at each description")
  func keysThatMayHaveChanged() throws {
    let pipeline = CapturingPipeline()
    pipeline.catalogKey = ["id"]
    for (number, identity) in [Relation.ReplicaIdentity.full, .nothing].enumerated() {
      let table = Self.table(number, identity: identity)
      for lsn in [0x100, 0x200] as [UInt64] {
        try pipeline.feed { transaction(&$0, lsn + UInt64(number) * 0x1000, [table]) }
        pipeline.catalogKey = ["a"]
      }
    }
    #expect(pipeline.requests.count == 4)
    #expect(pipeline.sink.keys[0] == #"{"id":1}"# && pipeline.sink.keys[1] == #"{"a":"x"}"#)
  }

  @Test func anAnswerToAnOlderConnectionIsVoid() throws {
    let pipeline = CapturingPipeline()
    pipeline.answers = false
    try pipeline.feed { transaction(&$0, 0x100, [Self.table(1)]) }
    let old = try #require(pipeline.requests.last)
    pipeline.reconnect()
    try pipeline.feed { transaction(&$0, 0x100, [Self.table(1)]) }
    pipeline.answer(old)
    var pause = pipeline.pipeline.pause
    #expect(pause == .lookUp && pipeline.sink.values.isEmpty)
    pipeline.answer(try #require(pipeline.requests.last))
    pause = pipeline.pipeline.pause
    #expect(pause == .needsBytes)
    try pipeline.goOn()
    #expect(pipeline.sink.values.count == 1)
  }

  /// A table is described twice before its first row: the second description counts.
  @Test func theLastDescriptionCounts() throws {
    let pipeline = CapturingPipeline()
    pipeline.answers = false
    let wider = Relation(
      oid: 16_385, schema: "public", name: "t1", replicaIdentity: .primaryKey,
      columns: Self.table(1).columns + [Relation.Column(name: "b", type: 23)])
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table(1))
      server.relation(wider)
      server.xLogData(LSN(1), ServerBytes.insert(16_385, [.text("1"), .null, .text("2")]))
      server.commit(LSN(0x100), end: LSN(0x108))
    }
    #expect(pipeline.requests.count == 2)
    pipeline.answer(pipeline.requests[0])
    let pause = pipeline.pipeline.pause
    #expect(pause == .lookUp)
    pipeline.answer(pipeline.requests[1])
    try pipeline.goOn()
    #expect(pipeline.events == [#"insert {"id":1,"a":null,"b":2} 0,"Key":{"id":1}"#])
  }

  @Test("S7 what is prepared for a table dies with its description")
  func describedAgainAndAgain() throws {
    let columns = (0..<1_600).map { Relation.Column(name: "column\($0)", type: 20_000) }
    let pipeline = CapturingPipeline(inFlightLimit: 1 << 30)
    pipeline.types.learn([
      TypeDescription(oid: 20_000, schema: "s", name: "mood", kind: .enumeration)
    ])
    let table = Relation(
      oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey, columns: columns)
    func describe(_ number: Int) throws {
      try pipeline.feed { server in
        server.begin(LSN(UInt64(number) * 0x100), xid: 1)
        server.relation(table)
        server.commit(LSN(UInt64(number) * 0x100), end: LSN(UInt64(number) * 0x100 + 8))
      }
    }
    try describe(1)
    let once = pipeline.pipeline.tables.ownedBytes
    #expect(once > 1_600 * 8)
    for number in 2...100 { try describe(number) }
    #expect(pipeline.requests.count == 100)
    #expect(pipeline.pipeline.tables.ownedBytes == once)
    pipeline.reconnect()
    #expect(pipeline.pipeline.tables.ownedBytes == 0)
    try describe(101)
    #expect(pipeline.pipeline.tables.ownedBytes == once)
  }
}
