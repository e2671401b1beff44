import PGWire
import Support
import Testing

@testable import Streamer

/// What becomes of a server's bytes, record by record; the old psql-streamer's defects by number.
@Suite struct PipelineEventTests {
  /// t(id int, a text, b text) with a replica identity.
  private static func table(
    _ identity: Relation.ReplicaIdentity = .primaryKey, oid: UInt32 = 16_384, name: String = "t"
  ) -> Relation {
    Relation(
      oid: oid, schema: "public", name: name, replicaIdentity: identity,
      columns: [
        Relation.Column(name: "id", isKey: identity != .nothing, type: 23),
        Relation.Column(name: "a", isKey: identity == .full, type: 25),
        Relation.Column(name: "b", isKey: identity == .full, type: 25),
      ])
  }

  private static let oid: UInt32 = 16_384

  /// Feeds one transaction at commit LSN 0/100 with these payloads.
  private func feed(
    _ pipeline: CapturingPipeline, _ relation: Relation = table(), _ payloads: [UInt8]...
  ) throws {
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
  }

  @Test func aWholeRecordHasEveryMemberInOrder() throws {
    let pipeline = CapturingPipeline()
    try feed(
      pipeline, Self.table(), ServerBytes.insert(Self.oid, [.text("7"), .text("x\"y"), .null]))
    let uuid = written {
      EventUUID(
        systemIdentifier: 7, database: "d", xid: 745, commitTime: 1, commitLSN: LSN(0x100)
      ).append(ordinal: 0, to: &$0)
    }
    #expect(
      pipeline.sink.values == [
        #"{"Host":"h","Database":"d","Table":"t","Action":"insert","WALPosition":256,"#
          + #""Timestamp":"2000-01-01T00:00:00.000001Z","UUID":"\#(uuid)","#
          + #""Columns":{"id":7,"a":"x\"y","b":null},"Schema":"public","LSN":"0/90","#
          + #""CommitLSN":"0/100","XID":745,"Ordinal":0,"Key":{"id":7}}"#
      ])
    #expect(pipeline.sink.keys == [#"{"id":7}"#])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test("D1 TRUNCATE of a published table does not end the stream")
  func truncate() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table())
      server.relation(Self.table(oid: 16_390, name: "u"))
      server.xLogData(LSN(0x90), ServerBytes.truncate([16_384, 16_390]))
      server.xLogData(
        LSN(0x91), ServerBytes.insert(Self.oid, [.text("1"), .text("after"), .null]))
      server.commit(LSN(0x100), end: LSN(0x120))
    }
    #expect(
      pipeline.events == [
        #"truncate {} 0,"Key":null"#, #"truncate {} 1,"Key":null"#,
        #"insert {"id":1,"a":"after","b":null} 2,"Key":{"id":1}"#,
      ])
    #expect(pipeline.sink.keys == [nil, nil, #"{"id":1}"#])
  }

  /// Of two overlapping transactions the one that commits last began first.
  ///
  /// So its rows lie before the other's commit, and the old program skipped them by the rows' own
  /// positions.
  @Test("D2 a row written before an earlier commit is not skipped after a restart")
  func interleavedRows() throws {
    let pipeline = CapturingPipeline(position: LSN(0x120))
    try pipeline.feed { server in
      server.begin(LSN(0x200), xid: 2)
      server.relation(Self.table())
      server.xLogData(LSN(0x50), ServerBytes.insert(Self.oid, [.text("1"), .null, .null]))
      server.xLogData(LSN(0x150), ServerBytes.insert(Self.oid, [.text("2"), .null, .null]))
      server.commit(LSN(0x200), end: LSN(0x220))
    }
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":2}"#])
  }

  @Test("D2 a transaction that was delivered is skipped whole, whatever its rows' positions")
  func deliveredTransaction() throws {
    let pipeline = CapturingPipeline(position: LSN(0x120))
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 2)
      server.relation(Self.table())
      server.xLogData(LSN(0x130), ServerBytes.insert(Self.oid, [.text("1"), .null, .null]))
      server.commit(LSN(0x100), end: LSN(0x118))
    }
    #expect(pipeline.sink.values.isEmpty)
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test("D7 an unchanged TOASTed value is absent, never null")
  func unchangedTOAST() throws {
    let pipeline = CapturingPipeline()
    try feed(
      pipeline, Self.table(), ServerBytes.update(Self.oid, [.text("1"), .unchanged, .null]))
    #expect(
      pipeline.events == [#"update {"id":1,"b":null} 0,"Key":{"id":1},"Unchanged":["a"]"#])
  }

  @Test func fullIdentityTakesUnchangedValuesFromTheOldImage() throws {
    let pipeline = CapturingPipeline()
    pipeline.catalogKey = ["id"]
    let old: [ServerBytes.Cell] = [.text("1"), .text("long"), .text("before")]
    try feed(
      pipeline, Self.table(.full),
      ServerBytes.update(
        Self.oid, old: (.full, old), [.text("1"), .unchanged, .text("after")]))
    #expect(
      pipeline.events == [
        #"update {"id":1,"a":"long","b":"after"} 0,"Key":{"id":1},"#
          + #""Old":{"id":1,"a":"long","b":"before"}"#
      ])
  }

  @Test func aChangedKeyIsADeleteAndAnInsertWithTwoOrdinals() throws {
    let pipeline = CapturingPipeline()
    try feed(
      pipeline, Self.table(),
      ServerBytes.update(
        Self.oid, old: (.key, [.text("1"), .null, .null]), [.text("2"), .text("x"), .unchanged]),
      ServerBytes.insert(Self.oid, [.text("1"), .null, .null]))
    #expect(
      pipeline.events == [
        #"delete {"id":1} 0,"Key":{"id":1},"Old":{"id":1}"#,
        #"insert {"id":2,"a":"x"} 1,"Key":{"id":2},"Old":{"id":1},"Unchanged":["b"]"#,
        #"insert {"id":1,"a":null,"b":null} 2,"Key":{"id":1}"#,
      ])
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":2}"#, #"{"id":1}"#])
  }

  @Test func theOtherColumnsOfAKeyImageAreNotNull() throws {
    let pipeline = CapturingPipeline()
    try feed(
      pipeline, Self.table(), ServerBytes.delete(Self.oid, .key, [.text("1"), .null, .null]))
    #expect(pipeline.events == [#"delete {"id":1} 0,"Key":{"id":1},"Old":{"id":1}"#])
  }

  /// Whoever has written it: another instance reads the same log.
  @Test func aHeartbeatIsNoEventAndMovesThePosition() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      for (name, lsn) in [("ours", 0x140), ("theirs", 0x150)] as [(String, UInt64)] {
        server.xLogData(
          LSN(lsn),
          ServerBytes.logical(
            transactional: false, at: LSN(lsn), prefix: "psql_streamer_heartbeat/" + name, []))
      }
    }
    #expect(pipeline.sink.values.isEmpty)
    #expect(pipeline.confirmed == LSN(0x150))
    // In a transaction it is what some application wrote.
    try pipeline.feed { server in
      server.begin(LSN(0x160), xid: 1)
      server.xLogData(
        LSN(0x158),
        ServerBytes.logical(
          transactional: true, at: LSN(0x158), prefix: "psql_streamer_heartbeat/ours", []))
      server.commit(LSN(0x160), end: LSN(0x170))
    }
    #expect(pipeline.sink.values.count == 1)
  }

  /// A message's position is the end of its record, and a commit record may start right there.
  @Test func aCommitRightBehindAMessageIsNeitherSkippedNorConfirmedWithIt() throws {
    let pipeline = CapturingPipeline()
    func message(_ server: inout ServerBytes) {
      server.xLogData(
        LSN(0x100),
        ServerBytes.logical(transactional: false, at: LSN(0x100), prefix: "p", [0, 255]))
    }
    try pipeline.feed(message)
    #expect(pipeline.confirmed == LSN(0x100))
    try feed(pipeline, Self.table(), ServerBytes.insert(Self.oid, [.text("1"), .null, .null]))
    #expect(
      pipeline.events == [
        #"message {} 0,"Key":null,"Message":{"Prefix":"p","Content":"AP8=","Transactional":false}"#,
        #"insert {"id":1,"a":null,"b":null} 0,"Key":{"id":1}"#,
      ])
    #expect(pipeline.confirmed == LSN(0x120))
    pipeline.reconnect()
    try pipeline.feed(message)
    #expect(pipeline.sink.values.count == 2)
  }

  @Test func aColumnAddedInMidStreamCounts() throws {
    let pipeline = CapturingPipeline()
    let wider = Relation(
      oid: Self.oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
      columns: Self.table().columns + [Relation.Column(name: "c", type: 16)])
    try feed(
      pipeline, Self.table(), ServerBytes.insert(Self.oid, [.text("1"), .null, .null]))
    try pipeline.feed { server in
      server.begin(LSN(0x200), xid: 2)
      server.relation(wider)
      server.xLogData(
        LSN(0x190), ServerBytes.insert(Self.oid, [.text("2"), .null, .null, .text("t")]))
      server.commit(LSN(0x200), end: LSN(0x220))
    }
    #expect(pipeline.events[1] == #"insert {"id":2,"a":null,"b":null,"c":true} 0,"Key":{"id":2}"#)
  }
}
