import PGWire
import Support
import Testing

@testable import Streamer

/// Prepared transactions, message by message.
@Suite struct PreparedTransactionTests {
  private static let oid: UInt32 = 16_384
  private static let table = Relation(
    oid: oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)])

  private static func row(_ id: Int) -> [UInt8] { ServerBytes.insert(oid, [.text("\(id)")]) }

  private func prepare(_ server: inout ServerBytes, at lsn: UInt64, xid: UInt32 = 10) {
    server.prepare("b", LSN(lsn), end: LSN(lsn + 0x10), xid: xid, gid: "g\"1")
    server.relation(Self.table)
    server.xLogData(LSN(lsn - 1), Self.row(1))
    server.prepare("P", LSN(lsn), end: LSN(lsn + 0x10), xid: xid, gid: "g\"1")
  }

  /// Action, position, ordinal, and what follows.
  private func events(_ pipeline: CapturingPipeline) -> [String] {
    pipeline.sink.values.map { value in
      let members = ["Action", "WALPosition", "LSN", "XID", "Ordinal", "Key", "GID"]
      return members.compactMap { name in
        guard let start = value.firstRange(of: "\"\(name)\":") else { return nil }
        let rest = value[start.upperBound...]
        return String(rest.prefix { $0 != "," && $0 != "}" })
      }.joined(separator: " ")
    }
  }

  private static let prepared = [
    #""insert" 256 "0/FF" 10 0 {"id":1"#, #""prepare" 256 "0/100" 10 1 null "g\"1""#,
  ]

  @Test func rowsComeWhenItIsPreparedAndTheOutcomeLater() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { prepare(&$0, at: 0x100) }
    #expect(events(pipeline) == Self.prepared)
    #expect(pipeline.confirmed == LSN(0x110))
    try pipeline.feed {
      $0.commitPrepared(LSN(0x200), end: LSN(0x220), xid: 10, gid: "g\"1")
    }
    #expect(
      events(pipeline) == Self.prepared + [#""commit-prepared" 512 "0/200" 10 0 null "g\"1""#])
    #expect(pipeline.confirmed == LSN(0x220))
    try pipeline.feed {
      $0.rollbackPrepared(prepareEnd: LSN(0x110), end: LSN(0x320), xid: 12, gid: "h")
    }
    #expect(events(pipeline).last == #""rollback-prepared" 799 "0/31F" 12 0 null "h""#)
    #expect(pipeline.confirmed == LSN(0x320))
    // Sent again, they are known.
    pipeline.reconnect()
    try pipeline.feed {
      $0.rollbackPrepared(prepareEnd: LSN(0x110), end: LSN(0x320), xid: 12, gid: "h")
    }
    #expect(pipeline.sink.values.count == 4)
  }

  @Test func chunksThatArePreparedGiveTheSameEvents() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.streamStart(10, isFirst: true)
      server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table), 10))
      server.xLogData(LSN(0xFF), ServerBytes.streamed(Self.row(1), 11))
      server.streamStop()
      server.prepare("p", LSN(0x100), end: LSN(0x110), xid: 10, gid: "g\"1")
    }
    #expect(events(pipeline) == Self.prepared)
    #expect(pipeline.confirmed == LSN(0x110))
  }

  /// The slot did not decode prepared transactions when it was prepared, so nothing of it has been
  /// delivered although its position is confirmed.
  @Test(arguments: [true, false])
  func whatWasPreparedBeforeComesWithItsCommit(isStreamed: Bool) throws {
    let pipeline = CapturingPipeline(position: LSN(0x180))
    try pipeline.feed { server in
      if isStreamed {
        server.streamStart(10, isFirst: true)
        server.xLogData(.zero, ServerBytes.streamed(ServerBytes.relation(Self.table), 10))
        server.xLogData(LSN(0xFF), ServerBytes.streamed(Self.row(1), 11))
        server.streamStop()
        server.prepare("p", LSN(0x100), end: LSN(0x110), xid: 10, gid: "g")
      } else {
        prepare(&server, at: 0x100)
      }
      server.keepalive(walEnd: LSN(0x190))
      server.commitPrepared(LSN(0x200), end: LSN(0x220), xid: 10, gid: "g")
    }
    #expect(
      events(pipeline) == [
        #""insert" 512 "0/FF" 10 0 {"id":1"#, #""commit-prepared" 512 "0/200" 10 1 null "g""#,
      ])
    #expect(pipeline.confirmed == LSN(0x220))
  }

  @Test func whatWasPreparedBeforeAndIsRolledBackIsDropped() throws {
    let pipeline = CapturingPipeline(position: LSN(0x180))
    try pipeline.feed { server in
      prepare(&server, at: 0x100)
      server.rollbackPrepared(prepareEnd: LSN(0x110), end: LSN(0x220), xid: 10, gid: "g")
    }
    #expect(events(pipeline) == [#""rollback-prepared" 543 "0/21F" 10 0 null "g""#])
  }

  @Test func withoutATopicTheyAreLeftOut() throws {
    let pipeline = CapturingPipeline(messageTopic: nil)
    try pipeline.feed { prepare(&$0, at: 0x100) }
    #expect(pipeline.sink.values.count == 1)
    #expect(pipeline.counts.excluded == 1)
    #expect(pipeline.confirmed == LSN(0x110))
  }
}
