import Glibc
import PGWire
import Support
import Testing

@testable import Streamer

/// Transactions that come in chunks, message by message.
@Suite struct StreamedTransactionTests {
  private static let oid: UInt32 = 16_384

  /// t(id int, a text).
  private static func table(_ columns: [String] = ["a"]) -> Relation {
    Relation(
      oid: oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
      columns: [Relation.Column(name: "id", isKey: true, type: 23)]
        + columns.map { Relation.Column(name: $0, type: 25) })
  }

  private static func row(_ id: Int, _ rest: ServerBytes.Cell..., of xid: UInt32) -> [UInt8] {
    ServerBytes.streamed(
      ServerBytes.insert(oid, [.text("\(id)")] + (rest.isEmpty ? [.null] : rest)), xid)
  }

  private static func message(_ prefix: String, of xid: UInt32) -> [UInt8] {
    ServerBytes.streamed(
      ServerBytes.logical(transactional: true, at: LSN(0x50), prefix: prefix, []), xid)
  }

  /// A chunk of a transaction: payloads as they stand in it.
  private func chunk(
    _ server: inout ServerBytes, _ xid: UInt32, first: Bool = false, _ payloads: [UInt8]...
  ) {
    server.streamStart(xid, isFirst: first)
    if first {
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table()), xid))
    }
    for payload in payloads { server.xLogData(LSN(0x90), payload) }
    server.streamStop()
  }

  private func ids(_ pipeline: CapturingPipeline) -> [String] {
    pipeline.sink.keys.map { $0?.filter(\.isNumber) ?? "-" }
  }

  @Test func theEventsAreThoseOfATransactionThatComesWhole() throws {
    let whole = CapturingPipeline()
    try whole.feed { server in
      server.begin(LSN(0x100), time: 9, xid: 745)
      server.relation(Self.table())
      server.xLogData(LSN(0x90), ServerBytes.insert(Self.oid, [.text("1"), .null]))
      server.xLogData(
        LSN(0x90), ServerBytes.logical(transactional: true, at: LSN(0x50), prefix: "p", []))
      server.xLogData(LSN(0x90), ServerBytes.truncate([Self.oid]))
      server.commit(LSN(0x100), end: LSN(0x120), time: 9)
    }
    let streamed = CapturingPipeline()
    try streamed.feed { server in
      chunk(&server, 745, first: true, Self.row(1, of: 746))
      chunk(
        &server, 745, Self.message("p", of: 745),
        ServerBytes.streamed(ServerBytes.truncate([Self.oid]), 747))
    }
    #expect(streamed.sink.values.isEmpty)
    #expect(streamed.confirmed == .zero)
    try streamed.feed { $0.streamCommit(745, LSN(0x100), end: LSN(0x120), time: 9) }
    #expect(streamed.sink.values == whole.sink.values && streamed.sink.values.count == 3)
    #expect(streamed.confirmed == LSN(0x120))
    let ends = streamed.takeStreamEnds()
    #expect(ends.map(\.events) == [3] && ends.map(\.spooledBytes) == [0])
  }

  @Test func chunksOfSeveralTransactionsInterleave() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      chunk(&server, 10, first: true, Self.row(1, of: 10))
      chunk(&server, 20, first: true, Self.row(2, of: 20))
      chunk(&server, 10, Self.row(3, of: 10))
      server.begin(LSN(0x100), xid: 30)
      server.relation(Self.table())
      server.xLogData(LSN(0x90), ServerBytes.insert(Self.oid, [.text("4"), .null]))
      server.commit(LSN(0x100), end: LSN(0x120))
      server.streamCommit(20, LSN(0x200), end: LSN(0x220))
      chunk(&server, 10, Self.row(5, of: 10))
      server.streamCommit(10, LSN(0x300), end: LSN(0x320))
    }
    #expect(ids(pipeline) == ["4", "2", "1", "3", "5"])
    #expect(pipeline.confirmed == LSN(0x320))
  }

  @Test func whatIsRolledBackIsGone() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      chunk(&server, 10, first: true, Self.row(1, of: 10), Self.row(2, of: 11))
      // What is inside a subtransaction that is rolled back goes with it, also its messages.
      chunk(
        &server, 10, Self.row(3, of: 12), Self.message("lost", of: 10), Self.row(4, of: 13))
      server.streamAbort(10, 13)
      server.streamAbort(10, 12)
      chunk(&server, 10, Self.row(5, of: 14), Self.message("kept", of: 10))
      chunk(&server, 20, first: true, Self.row(6, of: 20))
      server.streamAbort(20, 20)
      chunk(&server, 10, Self.row(7, of: 10))
      server.streamAbort(10, 99)
      server.streamCommit(10, LSN(0x300), end: LSN(0x320))
    }
    #expect(ids(pipeline) == ["1", "2", "5", "-", "7"])
  }

  /// PostgreSQL 18 up to 18.4 sends it for subtransactions of a large transaction that is rolled back,
  /// with streaming off and in every version of the protocol (estuary/connectors#5228).
  @Test func anAbortOfWhatWasNeverStreamedIsNothing() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.streamAbort(10, 11)
      server.begin(LSN(0x100), xid: 12)
      server.relation(Self.table())
      server.xLogData(LSN(0x90), ServerBytes.insert(Self.oid, [.text("1"), .null]))
      server.commit(LSN(0x100), end: LSN(0x120))
      server.streamAbort(20, 21)
    }
    #expect(ids(pipeline) == ["1"])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test("A message right before what is rolled back may belong to it: the wire does not tell")
  func messagesInDoubt() throws {
    for isRowSent in [true, false] {
      for isCommitted in [true, false] {
        let pipeline = CapturingPipeline()
        try pipeline.feed { server in
          chunk(&server, 10, first: true, Self.row(1, of: 10), Self.message("whose", of: 10))
          if isRowSent { chunk(&server, 10, Self.row(2, of: 11)) }
          server.streamAbort(10, 11)
        }
        let error = #expect(throws: StreamFault.self) {
          try pipeline.feed { server in
            if isCommitted {
              server.streamCommit(10, LSN(0x300), end: LSN(0x320))
            } else {
              chunk(&server, 10)
            }
          }
        }
        guard case .spool(.messageBeforeRollback(xid: 10)) = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(pipeline.sink.values.isEmpty)
      }
    }
  }

  @Test func aTableIsKnownByWhatTheTransactionItselfSaid() throws {
    let pipeline = CapturingPipeline()
    let wider = Self.table(["a", "b"])
    try pipeline.feed { server in
      chunk(&server, 10, first: true, Self.row(1, of: 10))
      // Another session adds a column and writes; what is open still has the old shape.
      server.begin(LSN(0x100), xid: 30)
      server.relation(wider)
      server.xLogData(LSN(0x90), ServerBytes.insert(Self.oid, [.text("2"), .null, .null]))
      server.commit(LSN(0x100), end: LSN(0x120))
      chunk(&server, 10, Self.row(3, of: 10))
      server.streamCommit(10, LSN(0x200), end: LSN(0x220))
      // It was received later than what the stream said: it still holds.
      server.begin(LSN(0x300), xid: 31)
      server.xLogData(LSN(0x290), ServerBytes.insert(Self.oid, [.text("4"), .null, .text("x")]))
      server.commit(LSN(0x300), end: LSN(0x320))
    }
    #expect(
      pipeline.events == [
        #"insert {"id":2,"a":null,"b":null} 0,"Key":{"id":2}"#,
        #"insert {"id":1,"a":null} 0,"Key":{"id":1}"#,
        #"insert {"id":3,"a":null} 1,"Key":{"id":3}"#,
        #"insert {"id":4,"a":null,"b":"x"} 0,"Key":{"id":4}"#,
      ])
  }

  @Test func whatACommittedStreamSaidOfATableHolds() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 30)
      server.relation(Self.table(["old"]))
      server.commit(LSN(0x100), end: LSN(0x120))
      chunk(&server, 10, first: true, Self.row(1, of: 10))
      server.streamCommit(10, LSN(0x200), end: LSN(0x220))
      server.begin(LSN(0x300), xid: 31)
      server.xLogData(LSN(0x290), ServerBytes.insert(Self.oid, [.text("2"), .null]))
      server.commit(LSN(0x300), end: LSN(0x320))
    }
    #expect(pipeline.events.last == #"insert {"id":2,"a":null} 0,"Key":{"id":2}"#)
  }

  @Test func aStreamThatIsRolledBackSaysNothingOfTables() throws {
    let pipeline = CapturingPipeline()
    #expect(throws: StreamFault.self) {
      try pipeline.feed { server in
        chunk(&server, 10, first: true, Self.row(1, of: 10))
        server.streamAbort(10, 10)
        server.begin(LSN(0x300), xid: 31)
        server.xLogData(LSN(0x290), ServerBytes.insert(Self.oid, [.text("2"), .null]))
      }
    }
    let own = CapturingPipeline()
    #expect(throws: StreamFault.self) {
      try own.feed { server in
        server.relation(Self.table())
        server.streamStart(10, isFirst: true)
        server.xLogData(.zero, Self.row(1, of: 10))
        server.streamStop()
        server.streamCommit(10, LSN(0x300), end: LSN(0x320))
      }
    }
  }

  @Test func keepalivesConfirmBetweenAndInsideChunks() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      chunk(&server, 10, first: true, Self.row(1, of: 10))
      server.keepalive(walEnd: LSN(0x80))
    }
    #expect(pipeline.confirmed == LSN(0x80))
    try pipeline.feed { server in
      server.streamStart(10, isFirst: false)
      server.keepalive(walEnd: LSN(0x90))
    }
    #expect(pipeline.confirmed == LSN(0x90))
  }

  @Test func aNewConnectionKnowsNothingOfOpenTransactions() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { chunk(&$0, 10, first: true, Self.row(1, of: 10)) }
    pipeline.reconnect()
    try pipeline.feed { server in
      chunk(&server, 10, first: true, Self.row(2, of: 10))
      server.streamCommit(10, LSN(0x300), end: LSN(0x320))
    }
    #expect(ids(pipeline) == ["2"])
  }

  @Test func whatBreaksTheRulesIsNamed() throws {
    func fault(_ write: (inout ServerBytes) -> Void) -> String {
      let pipeline = CapturingPipeline()
      do throws(StreamFault) {
        try pipeline.feed(write)
        return "nothing"
      } catch {
        guard case .malformed(let error, let place) = error else { return "\(error)" }
        return "\(place.message): \(error)"
      }
    }
    #expect(
      fault { $0.streamStart(10, isFirst: false) }
        == "pgoutput 'S': a chunk's transaction is unknown (offset 0)")
    #expect(
      fault {
        chunk(&$0, 10, first: true)
        $0.streamStart(10, isFirst: true)
      } == "pgoutput 'S': a transaction starts a second time (offset 0)")
    #expect(
      fault {
        $0.begin(LSN(0x100), xid: 1)
        $0.streamStart(10, isFirst: true)
      } == "pgoutput 'S': a chunk starts inside a transaction (offset 0)")
    #expect(
      fault { $0.streamCommit(10, LSN(0x100), end: LSN(0x120)) }
        == "pgoutput 'c': a streamed transaction ends that did not start (offset 0)")
    #expect(
      fault {
        chunk(&$0, 10, first: true)
        $0.begin(LSN(0x100), xid: 1)
        $0.streamCommit(10, LSN(0x100), end: LSN(0x120))
      } == "pgoutput 'c': a streamed transaction ends inside another (offset 0)")
    #expect(
      fault {
        chunk(&$0, 10, first: true, ServerBytes.streamed([UInt8(ascii: "I"), 0], 10))
        $0.streamCommit(10, LSN(0x100), end: LSN(0x120))
      } == "pgoutput 'I': 4 bytes were expected, 1 are left (offset 5)")
  }
}

/// Where open transactions are kept.
@Suite struct SpoolTests {
  private static let oid: UInt32 = 16_384
  private static let table = Relation(
    oid: oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 23), Relation.Column(name: "a", type: 25),
    ])

  private func chunk(
    _ server: inout ServerBytes, _ xid: UInt32, first: Bool, _ ids: Range<Int>, of sub: UInt32
  ) {
    server.streamStart(xid, isFirst: first)
    server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table), sub))
    for id in ids {
      let text = String(repeating: "x", count: id % 700)
      server.xLogData(
        LSN(UInt64(id)),
        ServerBytes.streamed(ServerBytes.insert(Self.oid, [.text("\(id)"), .text(text)]), sub))
    }
    server.streamStop()
  }

  @Test(arguments: [0, 10_000, 300_000, 1 << 30])
  func whatIsInFilesAndInMemoryIsTheSame(_ memory: Int) throws {
    let directory = try TemporaryDirectory()
    let pipeline = CapturingPipeline(
      inFlightLimit: 1 << 30,
      spool: Spool.Settings(directory: directory.path, memory: memory))
    try pipeline.feed { server in
      chunk(&server, 10, first: true, 0..<2_000, of: 10)
      chunk(&server, 20, first: true, 2_000..<2_100, of: 20)
      chunk(&server, 10, first: false, 3_000..<4_000, of: 11)
      server.streamAbort(10, 11)
      chunk(&server, 10, first: false, 4_000..<4_500, of: 12)
      server.streamAbort(20, 20)
      server.streamCommit(10, LSN(10_000), end: LSN(10_010))
      chunk(&server, 30, first: true, 5_000..<5_001, of: 30)
      server.streamCommit(30, LSN(10_100), end: LSN(10_110))
    }
    let ids = pipeline.sink.keys.compactMap { $0.flatMap { Int($0.filter(\.isNumber)) } }
    #expect(ids == Array(0..<2_000) + Array(4_000..<4_500) + [5_000])
    let ends = pipeline.takeStreamEnds()
    #expect(ends.map(\.events) == [2_500, 1])
    #expect((ends[0].spooledBytes > 0) == (memory < 1 << 30))
    #expect(pipeline.spooledBytes == 0)
  }

  /// Blocks of 512 bytes that each of the spool's files of a directory takes on the disk.
  private func spoolFiles(in directory: TemporaryDirectory) -> [Int] {
    (3..<256).compactMap { descriptor in
      var name = [CChar](repeating: 0, count: 256)
      let path = "/proc/self/fd/\(descriptor)"
      let length = unsafe readlink(path, &name, name.count)
      guard length > 0 else { return nil }
      let target = String(decoding: name[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      var status = stat()
      guard target.hasPrefix(directory.path), unsafe fstat(CInt(descriptor), &status) == 0 else {
        return nil
      }
      return Int(status.st_blocks)
    }
  }

  @Test("S21 open transactions share one file; what one gives back goes to the disk")
  func oneFile() throws {
    let directory = try TemporaryDirectory()
    let pipeline = CapturingPipeline(
      inFlightLimit: 1 << 30, spool: Spool.Settings(directory: directory.path, memory: 0))
    let xids = (1...20 as ClosedRange<UInt32>).map { $0 * 10 }
    // In turns, so that their blocks lie among each other.
    for part in 0..<3 {
      try pipeline.feed { server in
        for xid in xids {
          let first = Int(xid) * 1000 + part * 1000
          chunk(&server, xid, first: part == 0, first..<first + 1000, of: xid + UInt32(part))
        }
      }
    }
    let full = try #require(spoolFiles(in: directory).first)
    #expect(spoolFiles(in: directory).count == 1)
    #expect(full * 512 >= pipeline.spooledBytes && pipeline.spooledBytes > 15 << 20)
    try pipeline.feed { server in
      for xid in xids where xid % 20 == 0 { server.streamAbort(xid, xid) }
      for xid in xids where xid % 20 != 0 { server.streamAbort(xid, xid + 2) }
    }
    let left = try #require(spoolFiles(in: directory).first)
    #expect(left * 512 < pipeline.spooledBytes + (21 * Limits.spoolBlockBytes))
    #expect(left < full / 2)
    try pipeline.feed { server in
      for xid in xids where xid % 20 != 0 {
        server.streamCommit(xid, LSN(UInt64(xid) * 10_000), end: LSN(UInt64(xid) * 10_000 + 10))
      }
    }
    #expect(spoolFiles(in: directory).isEmpty && pipeline.spooledBytes == 0)
    let ids = pipeline.sink.keys.compactMap { $0.flatMap { Int($0.filter(\.isNumber)) } }
    let wanted = xids.filter { $0 % 20 != 0 }.flatMap { Int($0) * 1000..<Int($0) * 1000 + 2000 }
    #expect(ids == Array(wanted))
  }

  @Test func aFileHasALimit() throws {
    let directory = try TemporaryDirectory()
    let pipeline = CapturingPipeline(
      spool: Spool.Settings(directory: directory.path, memory: 1_000, limit: 20_000))
    let error = #expect(throws: StreamFault.self) {
      try pipeline.feed { chunk(&$0, 10, first: true, 0..<500, of: 10) }
    }
    guard case .spool(.limit(20_000)) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    pipeline.reconnect()
    try pipeline.feed { server in
      server.begin(LSN(0x300), xid: 31)
      server.relation(Self.table)
      server.xLogData(LSN(0x290), ServerBytes.insert(Self.oid, [.text("2"), .null]))
      server.commit(LSN(0x300), end: LSN(0x320))
    }
    #expect(pipeline.sink.keys == [#"{"id":2}"#])
  }

  @Test func aDirectoryThatIsNotThereIsNamed() {
    let pipeline = CapturingPipeline(
      spool: Spool.Settings(directory: "/nowhere/at/all", memory: 10))
    let error = #expect(throws: StreamFault.self) {
      try pipeline.feed { chunk(&$0, 10, first: true, 0..<2, of: 10) }
    }
    guard case .spool(let fault) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(
      "\(fault)"
        == "no spool file can be made in /nowhere/at/all: no such file or directory")
  }
}
