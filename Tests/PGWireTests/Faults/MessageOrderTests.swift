import Testing

@testable import PGWire

/// Messages that come where they do not belong, or when nobody expects them.
@Suite struct MessageOrderTests {
  private func answer(_ bytes: [UInt8], copyBoth: Bool = false) throws -> PGError? {
    let server = try FaultyServer(
      [.packet, .send(Conversation.welcome), .message, .send(bytes)],
      faults: [.end(after: Conversation.welcome.count + bytes.count)])
    var connection = try Conversation.connect(server.address)
    var failure: PGError?
    do throws(PGError) {
      if copyBoth {
        try connection.startCopyBoth("START_REPLICATION")
      } else {
        _ = try connection.query("SELECT 1")
      }
    } catch {
      failure = error
    }
    if case .protocol = failure {
      // What comes next in the stream is unknown, so nothing more is asked.
      #expect(throws: PGError.closed(.query)) { try connection.query("SELECT 1") }
    }
    connection.close()
    return failure
  }

  private static let columns = Scripted.message(
    "T", [0, 1, 0x61, 0] + [UInt8](repeating: 0, count: 18))
  private static let row = Scripted.message("D", [0, 1, 0, 0, 0, 1, 0x31])
  private static let complete = Scripted.message("C", Array("SELECT 1\0".utf8))
  private static let copyOut = Scripted.message("H", [0, 0, 0])

  @Test func outOfOrderInAQuery() throws {
    let cases: [([UInt8], Unicode.Scalar, StaticText)] = [
      (Self.row, "D", "a row precedes its columns"),
      (Self.columns + Self.columns, "T", "the columns are described twice"),
      (
        Self.columns + Scripted.message("D", [0, 0]), "D",
        "a row has another number of columns than was said"
      ),
      (Self.columns + Self.row + Scripted.ready, "Z", "the last command has not ended"),
      (Self.columns + Self.complete + Self.row, "D", "a row precedes its columns"),
      (Self.copyOut + Scripted.ready, "Z", "the last command has not ended"),
      (Scripted.message("d"), "d", "this message does not belong here"),
      (Scripted.message("c"), "c", "this message does not belong here"),
      (Scripted.authenticationOk, "R", "this message does not belong here"),
      (Scripted.message("K", [0, 0, 0, 1, 1, 2, 3, 4]), "K", "this message does not belong here"),
      (Scripted.message("?"), "?", "this message does not belong here"),
      (Scripted.message("\u{1}"), "\u{1}", "this message does not belong here"),
      (Scripted.copyBothResponse, "W", "a query has started replication"),
    ]
    for (bytes, tag, rule) in cases {
      #expect(
        try answer(bytes)
          == .protocol(
            DecodingError(.violation(rule), at: 0), phase: .query, tag: MessageTag(tag)))
    }
  }

  @Test func otherAnswersToStartReplication() throws {
    for (bytes, tag) in [
      (Self.columns + Self.row + Self.complete + Scripted.ready, "Z"),
      (Scripted.message("G", [0, 0, 0]), "G"),
    ] as [([UInt8], Unicode.Scalar)] {
      #expect(
        try answer(bytes, copyBoth: true)
          == .protocol(
            DecodingError(.violation("the command did not start replication"), at: 0),
            phase: .query, tag: MessageTag(tag)))
    }
  }

  /// Everything that may come between the messages of an answer does, and changes nothing.
  @Test func interruptedAnswers() throws {
    let between =
      Conversation.interruptions
      + Scripted.message("A", [0, 0, 0, 9] + Array("channel\0payload\0".utf8))
    let bytes =
      [Self.columns, Self.row, Self.row, Self.complete, Self.copyOut, Scripted.message("d", [1])]
      + [
        Scripted.message("c"), Scripted.message("C", Array("COPY 1\0".utf8)), Scripted.message("I"),
      ]
      + [Scripted.ready]
    let server = try FaultyServer([
      .packet, .send(Conversation.welcome), .message, .send(bytes.flatMap { between + $0 }),
    ])
    var connection = try Conversation.connect(server.address)
    let results = try connection.query("…")
    #expect(results.map(\.commandTag) == ["SELECT 1", "COPY 1", ""])
    #expect(results.first?.rows == [["1"], ["1"]])
    let (notices, zone) = (connection.notices.count, connection.parameterStatus["TimeZone"])
    #expect(notices == 13 && zone == "UTC")
    connection.close()
  }

  @Test func errorsThenTheEnd() throws {
    let error = Scripted.error("57P01", severity: "FATAL")
    let expected = "57P01"
    for bytes in [error, Self.columns + Self.row + error, Self.columns + error + Scripted.ready] {
      #expect(try answer(bytes)?.sqlState == expected)
      #expect(try answer(bytes, copyBoth: true)?.sqlState == expected)
    }
  }
}
