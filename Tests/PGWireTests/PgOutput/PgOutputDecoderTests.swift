import PGWire
import Support
import Testing

/// Messages of streamed and prepared transactions, by their bytes.
@Suite struct PgOutputDecoderTests {
  private static let row = ServerBytes.insert(16_384, [.text("1"), .null])
  private static let lsn: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 0]
  private static let end: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 0x20]
  private static let time: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9]
  private static let xid: [UInt8] = [0, 0, 2, 0xE9]
  private static let gid: [UInt8] = Array("g'1".utf8) + [0]

  /// One message of each new kind, where it stands, and its line in a trace.
  private static let messages: [(bytes: [UInt8], isInStream: Bool, trace: String)] = [
    ([UInt8(ascii: "S")] + xid + [1], false, "Stream Start 745 first"),
    ([UInt8(ascii: "S")] + xid + [0], false, "Stream Start 745"),
    ([UInt8(ascii: "E")], true, "Stream Stop"),
    ([UInt8(ascii: "c")] + xid + [0] + lsn + end + time, false, "Stream Commit 0/100 0/120 9 745"),
    ([UInt8(ascii: "A")] + xid + [0, 0, 2, 0xEA], false, "Stream Abort 745 746"),
    ([UInt8(ascii: "A")] + xid + xid + lsn + time, false, "Stream Abort 745 745 0/100 9"),
    (
      [UInt8(ascii: "b")] + lsn + end + time + xid + gid, false,
      "Begin Prepare 0/100 0/120 9 745 \"g'1\""
    ),
    (
      [UInt8(ascii: "P"), 0] + lsn + end + time + xid + gid, false,
      "Prepare 0/100 0/120 9 745 \"g'1\""
    ),
    (
      [UInt8(ascii: "p"), 0] + lsn + end + time + xid + gid, false,
      "Stream Prepare 0/100 0/120 9 745 \"g'1\""
    ),
    (
      [UInt8(ascii: "K"), 0] + lsn + end + time + xid + gid, false,
      "Commit Prepared 0/100 0/120 9 745 \"g'1\""
    ),
    (
      [UInt8(ascii: "r"), 0] + lsn + end + time + time + xid + gid, false,
      "Rollback Prepared 0/100 0/120 9 9 745 \"g'1\""
    ),
    (ServerBytes.streamed(row, 746), true, "746 Insert 16384 new (\"1\", null)"),
    (ServerBytes.streamed(ServerBytes.truncate([7]), 746), true, "746 Truncate [7]"),
    (
      ServerBytes.streamed(
        ServerBytes.logical(transactional: true, at: LSN(0x100), prefix: "p", []), 745), true,
      "745 Message transactional 0/100 \"p\" \"\""
    ),
    (
      ServerBytes.streamed(
        ServerBytes.relation(
          Relation(
            oid: 7, schema: "public", name: "t", replicaIdentity: .primaryKey, columns: [])), 746),
      true, "746 Relation 7 \"public\" \"t\" d []"
    ),
    (
      ServerBytes.streamed([UInt8(ascii: "Y"), 0, 0, 0, 7] + [0] + Array("int4".utf8) + [0], 746),
      true, "746 Type 7 \"pg_catalog\" \"int4\""
    ),
    ([UInt8(ascii: "O")] + [0, 0, 0, 0, 0, 0, 0, 0] + gid, true, "Origin 0/0 \"g'1\""),
  ]

  private func decoder(inStream: Bool) -> PgOutputDecoder {
    inStream ? PgOutputDecoder(insideStreamOf: 745) : PgOutputDecoder()
  }

  private func trace(_ payload: [UInt8], _ decoder: inout PgOutputDecoder) throws -> String {
    var server = ServerBytes()
    server.xLogData(.zero, payload)
    let bytes = server.bytes
    let body = unsafe bytes.span.bytes.extracting(5..<bytes.count)
    return try MessageTrace.line(.copyData, body, &decoder)
  }

  @Test func everyMessageIsRead() throws {
    for message in Self.messages {
      var decoder = decoder(inStream: message.isInStream)
      #expect(try trace(message.bytes, &decoder) == "XLogData 0/0 0 \(message.trace)")
    }
  }

  /// What lacks its last bytes is no message, and so is what has one more.
  @Test func everyCutIsAnErrorWithItsOffset() throws {
    for message in Self.messages {
      for count in 0..<message.bytes.count {
        // An abort may end behind the subtransaction.
        if message.bytes[0] == UInt8(ascii: "A"), count == 9 { continue }
        var decoder = decoder(inStream: message.isInStream)
        let part = Array(message.bytes[..<count])
        let error = #expect(throws: DecodingError.self, "\(message.trace), \(count) bytes") {
          _ = try trace(part, &decoder)
        }
        #expect((error?.offset ?? .max) <= count)
      }
      var decoder = decoder(inStream: message.isInStream)
      let longer = message.bytes + [0]
      // One more byte begins the position of an abort that has none yet.
      let reason =
        message.bytes.count == 9 && message.bytes[0] == UInt8(ascii: "A")
        ? DecodingError(.truncated(needed: 8, available: 1), at: 9)
        : DecodingError(.trailingBytes(1), at: message.bytes.count)
      #expect(throws: reason, "\(message.trace)") { _ = try trace(longer, &decoder) }
    }
  }

  @Test func aChunkKnowsItsSubtransactions() throws {
    var decoder = PgOutputDecoder()
    func stand(_ payload: [UInt8]) throws -> [UInt32?] {
      _ = try trace(payload, &decoder)
      return [decoder.stream, decoder.xid]
    }
    #expect(try stand(Self.row) == [nil, nil])
    #expect(try stand([UInt8(ascii: "S"), 0, 0, 0, 7, 1]) == [7, nil])
    #expect(try stand(ServerBytes.streamed(Self.row, 8)) == [7, 8])
    #expect(try stand(ServerBytes.streamed(Self.row, 7)) == [7, 7])
    #expect(try stand([UInt8(ascii: "O")] + Self.lsn + [0]) == [7, nil])
    #expect(try stand([UInt8(ascii: "E")]) == [nil, nil])
    #expect(try stand([UInt8(ascii: "A"), 0, 0, 0, 7, 0, 0, 0, 8]) == [nil, nil])
    #expect(try stand(Self.row) == [nil, nil])
  }

  @Test func aSubtransactionIsFoundWithoutDecoding() throws {
    let inside = PgOutputDecoder(insideStreamOf: 7)
    let row = ServerBytes.streamed(Self.row, 8)
    #expect(try inside.subtransaction(of: unsafe row.span.bytes) == 8)
    #expect(try PgOutputDecoder().subtransaction(of: unsafe row.span.bytes) == nil)
    let stop = [UInt8(ascii: "E")]
    #expect(try inside.subtransaction(of: unsafe stop.span.bytes) == nil)
    let short = [UInt8(ascii: "I"), 0, 0]
    #expect(throws: DecodingError(.truncated(needed: 4, available: 2), at: 1)) {
      try inside.subtransaction(of: unsafe short.span.bytes)
    }
  }

  @Test func chunksAndTransactionsDoNotNest() throws {
    let begin = [UInt8(ascii: "B")] + Self.lsn + Self.time + Self.xid
    let commit = [UInt8(ascii: "C"), 0] + Self.lsn + Self.end + Self.time
    var endings = Self.messages.map(\.bytes).filter { "cAbPpKr".utf8.contains($0[0]) }
    endings += [begin, commit]
    for ending in endings {
      var decoder = PgOutputDecoder(insideStreamOf: 745)
      #expect(
        throws: DecodingError(
          .violation("a transaction begins or ends inside another one's chunk"), at: 0)
      ) { _ = try trace(ending, &decoder) }
    }
    var inside = PgOutputDecoder(insideStreamOf: 745)
    #expect(throws: DecodingError(.violation("a chunk starts inside another"), at: 0)) {
      _ = try trace(Self.messages[0].bytes, &inside)
    }
    var outside = PgOutputDecoder()
    #expect(throws: DecodingError(.violation("a chunk stops that did not start"), at: 0)) {
      _ = try trace([UInt8(ascii: "E")], &outside)
    }
  }

  @Test func anUnknownTagIsNamed() throws {
    for isInStream in [true, false] {
      var decoder = decoder(inStream: isInStream)
      #expect(throws: DecodingError(.unknownCode(0x5A), at: 0)) {
        _ = try trace([0x5A], &decoder)
      }
    }
  }
}
