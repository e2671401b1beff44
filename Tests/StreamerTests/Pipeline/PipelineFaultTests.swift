import PGWire
import Support
import Testing

@testable import Streamer

/// Bytes that break the protocol's rules end the stream with an error that names the message, and
/// what a lost connection has cut goes on.
@Suite struct PipelineFaultTests {
  private static let table = Relation(
    oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)])

  private static let row = ServerBytes.insert(16_384, [.text("1")])

  /// What went wrong: the rule and the message's name; "" when nothing did.
  private func fault(_ write: (inout ServerBytes) -> Void) -> String {
    do throws(StreamFault) {
      try CapturingPipeline().feed(write)
      return ""
    } catch {
      switch error {
      case .malformed(let error, let place): return "\(place.message): \(error)"
      case .server(let error): return "server: \(error.code)"
      case .binary(let fault): return "\(fault)"
      case .ended: return "ended"
      case .spool(let fault): return "\(fault)"
      }
    }
  }

  @Test func aRowWithAnotherNumberOfColumns() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(1), ServerBytes.insert(16_384, [.text("1"), .null]))
    }
    #expect(
      fault == "pgoutput 'I': a row has another number of columns than its relation (offset 0)")
  }

  @Test func anOldImageWithAnotherNumberOfColumns() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(1), ServerBytes.delete(16_384, .key, []))
    }
    #expect(fault.hasPrefix("pgoutput 'D': a row has another number of columns"))
  }

  /// A null in its place would be a silent loss.
  @Test func aBinaryValueThatWasNotAskedFor() {
    let one = ServerBytes.Cell.binary([0, 0, 0, 1])
    let changes = [
      ServerBytes.insert(16_384, [one]),
      ServerBytes.update(16_384, [one]),
      ServerBytes.update(16_384, old: (.key, [one]), [.text("2")]),
      ServerBytes.delete(16_384, .key, [one]),
    ]
    for (tag, change) in zip(["I", "U", "U", "D"], changes) {
      let fault = fault { server in
        server.begin(LSN(0x100), xid: 1)
        server.relation(Self.table)
        server.xLogData(LSN(1), change)
      }
      #expect(
        fault == "pgoutput '\(tag)': a value came in binary that was not asked for (offset 0)")
    }
  }

  @Test func aRowBeforeItsRelation() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.xLogData(LSN(1), Self.row)
    }
    #expect(fault == "pgoutput 'I': a row precedes its relation (offset 0)")
  }

  @Test func aTruncateBeforeItsRelation() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.xLogData(LSN(1), ServerBytes.truncate([16_384]))
    }
    #expect(fault == "pgoutput 'T': a row precedes its relation (offset 0)")
  }

  @Test func aRowOutsideATransaction() {
    let fault = fault { server in
      server.relation(Self.table)
      server.xLogData(LSN(1), Self.row)
    }
    #expect(fault == "pgoutput 'I': a change came outside a transaction (offset 0)")
  }

  @Test func aCommitWithoutABegin() {
    let fault = fault { $0.commit(LSN(0x100), end: LSN(0x120)) }
    #expect(fault == "pgoutput 'C': a commit does not belong to the open transaction (offset 0)")
  }

  @Test func aCommitOfAnotherTransaction() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.commit(LSN(0x101), end: LSN(0x120))
    }
    #expect(fault == "pgoutput 'C': a commit does not belong to the open transaction (offset 0)")
  }

  @Test func aBeginInsideATransaction() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.begin(LSN(0x200), xid: 2)
    }
    #expect(fault == "pgoutput 'B': a transaction begins inside another (offset 0)")
  }

  @Test func aLoneMessageInsideATransaction() {
    let fault = fault { server in
      server.begin(LSN(0x100), xid: 1)
      server.xLogData(
        LSN(1), ServerBytes.logical(transactional: false, at: LSN(1), prefix: "p", []))
    }
    #expect(fault == "pgoutput 'M': a lone message came in a transaction (offset 0)")
  }

  @Test func aMessageThatHasNoPlaceInAStream() {
    #expect(
      fault { $0.message("Z", [0x49]) }
        == "message 'Z': this message does not belong into a stream (offset 0)"
    )
  }

  /// Where a message lies is told as a recording has it: by its bytes since the stream began, over
  /// all windows.
  @Test func thePlaceOfWhatIsMalformed() throws {
    let pipeline = CapturingPipeline()
    func place(_ write: (inout ServerBytes) -> Void) throws -> StreamPlace {
      do throws(StreamFault) {
        try pipeline.feed(write)
      } catch {
        if case .malformed(_, let place) = error { return place }
      }
      throw SupportError("nothing is malformed")
    }
    var begun = ServerBytes()
    begun.begin(LSN(0x100), xid: 1)
    begun.relation(Self.table)
    begun.message("N", Array("SNOTICE\0C00000\0Mm\0\0".utf8))
    try pipeline.feed { $0.append(begun.bytes) }
    let broken = try place { $0.xLogData(LSN(0x1234), Array("I\0\0\0\u{1}?".utf8)) }
    #expect("\(broken)" == "pgoutput 'I' at 0/1234, byte \(begun.bytes.count) of the stream")
    let header = try place { $0.append([UInt8(ascii: "Z"), 0, 0, 0x80, 0]) }
    #expect(header.message == "message 'Z'" && header.copyTag == nil)
    let keepalive = try place { $0.message("d", Array("k\0".utf8)) }
    #expect(keepalive.message == "CopyData 'k'")
    pipeline.reconnect()
    #expect(try place { $0.message("N", [0x53]) }.streamOffset == 0)
  }

  /// However many notices come at once, a few are kept and the others counted; one that tells of a
  /// gap is among them unless it ends the stream.
  @Test func aFloodOfNotices() throws {
    let pipeline = CapturingPipeline()
    let flood = Limits.notices * 3
    let gap = Array("SWARNING\0VWARNING\0C55000\0Mskipped\0RLoadPublications\0\0".utf8)
    try pipeline.feed { bytes in
      bytes.message("N", gap)
      for _ in 0..<flood { bytes.message("N", Array("SNOTICE\0C00000\0Mm\0\0".utf8)) }
    }
    let (kept, leftOut) = pipeline.pipeline.takeNotices()
    #expect(kept.count == Limits.notices && kept[0].isVanishedPublication)
    #expect(leftOut == flood + 1 - Limits.notices)
    let (none, noMore) = pipeline.pipeline.takeNotices()
    #expect(none.isEmpty && noMore == 0)
    pipeline.pipeline.stopsWithoutPublication = true
    #expect(throws: StreamFault.self) { try pipeline.feed { $0.message("N", gap) } }
  }

  @Test func malformedMessagesBesideCopyData() {
    for (tag, body, offset) in [
      ("N", [], 0), ("E", [0x53], 1), ("S", [0x61], 0), ("A", [0, 0, 0], 0), ("C", [0x61], 0),
      ("c", [0], 0), ("d", [], 0),
    ] as [(Unicode.Scalar, [UInt8], Int)] {
      let fault = fault { $0.message(tag, body) }
      #expect(fault.hasPrefix("message '\(tag)': ") && fault.hasSuffix("(offset \(offset))"))
    }
  }

  @Test func anErrorOfTheServerAndTheEndOfTheStream() {
    let fields = Array("SFATAL\0VFATAL\0C57P01\0Mterminating\0\0".utf8)
    #expect(fault { $0.message("E", fields) } == "server: 57P01")
    #expect(fault { $0.message("c", []) } == "ended")
    #expect(fault { $0.message("C", Array("COPY 0\0".utf8)) } == "ended", "a server's shutdown")
  }

  /// Nothing may be waited for that the server does not send again, whatever the ring's size.
  @Test func aCutTransactionThatIsNotSentAgainGivesWayToTheNext() throws {
    let pipeline = CapturingPipeline(capacity: 1)
    pipeline.sink.delivers = false
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(1), Self.row)
    }
    pipeline.reconnect()
    try pipeline.feed { server in
      server.begin(LSN(0x200), xid: 2)
      server.relation(Self.table)
      server.xLogData(LSN(2), Self.row)
      server.commit(LSN(0x200), end: LSN(0x220))
    }
    #expect(pipeline.sink.values.count == 2)
    #expect(pipeline.confirmed == .zero)
    pipeline.sink.delivers = true
    try pipeline.feed { _ in }
    #expect(pipeline.confirmed == LSN(0x220))
  }

  @Test func aCutTransactionGoesOnBehindWhatWasProduced() throws {
    let pipeline = CapturingPipeline()
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(1), Self.row)
    }
    pipeline.reconnect()
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      server.xLogData(LSN(1), Self.row)
      server.xLogData(LSN(2), ServerBytes.insert(16_384, [.text("2")]))
      server.commit(LSN(0x100), end: LSN(0x120))
    }
    #expect(pipeline.sink.keys == [#"{"id":1}"#, #"{"id":2}"#])
    #expect(pipeline.confirmed == LSN(0x120))
  }
}
