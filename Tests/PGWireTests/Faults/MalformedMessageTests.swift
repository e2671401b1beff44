import Testing

@testable import PGWire

/// Every kind of message, cut at every length and with every length in it corrupted, is a typed error
/// that names phase, message and offset.
@Suite struct MalformedMessageTests {
  // MARK: - Startup

  private static func machine() -> StartupMachine {
    StartupMachine(
      PasswordAuthentication(
        user: "u", credential: Credential(password: "p"), rules: AuthenticationRules(),
        material: .clear, nonce: [0x61]),
      versions: .v3_0...ProtocolVersion(number: 0x0003_0002))
  }

  private func startup(
    _ message: WireMessage, _ body: [UInt8], authenticated: Bool
  ) -> PGError? {
    var machine = Self.machine()
    var output = ByteWriter()
    let before = authenticated ? Scripted.authenticationOk : Scripted.notice
    let window = before + Scripted.message(message.tag, body)
    do throws(PGError) {
      _ = try machine.receive(unsafe window.span.bytes, into: &output)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: WireMessage.authentication) func inAuthentication(_ message: WireMessage) {
    #expect(startup(message, message.body, authenticated: false) == nil)
    for damage in message.cut() + message.corrupted() {
      #expect(
        startup(message, damage.body, authenticated: false)
          == .protocol(damage.expected, phase: .startup, tag: MessageTag(message.tag)))
    }
  }

  @Test(
    arguments: WireMessage.anywhere + [
      WireMessage("ReadyForQuery", "Z", [.number([0x49])]),
      WireMessage("BackendKeyData", "K", [.number([0, 0, 0, 1])]),
    ])
  func inStartup(_ message: WireMessage) {
    for damage in message.cut() + message.corrupted() {
      // A key is at least four bytes long, behind the process id; one byte is too few.
      let expected =
        message.tag == "K" && damage.body.count > 4
        ? DecodingError(.badLength(1), at: 4) : damage.expected
      #expect(
        startup(message, damage.body, authenticated: true)
          == .protocol(expected, phase: .startup, tag: MessageTag(message.tag)))
    }
  }

  @Test func keysOfAnImpossibleLength() {
    let message = WireMessage("BackendKeyData", "K", [])
    for count in [0, 1, 3, 257] {
      let body = [0, 0, 0, 1] + [UInt8](repeating: 7, count: count)
      #expect(
        startup(message, body, authenticated: true)
          == .protocol(
            DecodingError(.badLength(count), at: 4), phase: .startup, tag: .backendKeyData))
    }
  }

  // MARK: - Queries

  private func query(_ message: WireMessage, _ body: [UInt8]) -> PGError? {
    var answer = QueryAnswer()
    do throws(PGError) {
      // A row needs its columns before it.
      if message.tag == "D" {
        let columns = WireMessage.query[0].body
        try answer.take(.rowDescription, unsafe columns.span.bytes)
      }
      try answer.take(MessageTag(message.tag), unsafe body.span.bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: WireMessage.anywhere + WireMessage.query) func inAQuery(_ message: WireMessage) {
    #expect(query(message, message.body) == nil)
    for damage in message.cut() + message.corrupted() {
      #expect(
        query(message, damage.body)
          == .protocol(damage.expected, phase: .query, tag: MessageTag(message.tag)))
    }
  }

  // MARK: - Streaming

  /// The error of a CopyData message and how it is called.
  private func stream(
    _ body: [UInt8], _ decoder: PgOutputDecoder = PgOutputDecoder()
  ) -> (error: DecodingError, place: StreamPlace)? {
    let span = unsafe body.span.bytes
    do throws(DecodingError) {
      if case .xLogData(_, _, let payload) = try ReplicationMessage(span) {
        var decoder = decoder
        _ = try decoder.decode(payload)
      }
      return nil
    } catch {
      return (error, StreamPlace(.copyData, span, streamOffset: 77))
    }
  }

  @Test(arguments: WireMessage.plugin + WireMessage.boundaries)
  func inXLogData(_ message: WireMessage) throws {
    try check(message, PgOutputDecoder())
  }

  @Test(arguments: WireMessage.plugin.compactMap(\.insideStream))
  func inXLogDataOfAChunk(_ message: WireMessage) throws {
    try check(message, PgOutputDecoder(insideStreamOf: 7))
  }

  private func check(_ message: WireMessage, _ decoder: PgOutputDecoder) throws {
    let header = WireMessage.xLogDataHeader
    #expect(stream(header + message.body, decoder) == nil)
    for damage in message.cut() + message.corrupted() {
      let (error, place) = try #require(stream(header + damage.body, decoder))
      #expect(error == damage.expected, "\(damage.body)")
      #expect(place.tag == .copyData && place.copyTag == MessageTag("w"))
      #expect(place.pluginTag == (damage.body.isEmpty ? nil : MessageTag(message.tag)))
      let name = damage.body.isEmpty ? "empty pgoutput message" : "pgoutput '\(message.tag)'"
      #expect("\(place)" == "\(name) at 0/1234ABCD, byte 77 of the stream")
    }
  }

  @Test func inAKeepalive() throws {
    let message = WireMessage.keepalive
    #expect(stream(message.body) == nil)
    for damage in message.cut() {
      let (error, place) = try #require(stream(damage.body))
      #expect(error == damage.expected)
      #expect(place.copyTag == (damage.body.isEmpty ? nil : MessageTag("k")))
      let name = damage.body.isEmpty ? "message 'd'" : "CopyData 'k'"
      #expect("\(place)" == "\(name), byte 77 of the stream")
    }
  }

  @Test func inTheHeaderOfXLogData() throws {
    let header = WireMessage.xLogDataHeader
    for (length, start, size) in [
      (1, 1, 8), (8, 1, 8), (9, 9, 8), (16, 9, 8), (17, 17, 8), (24, 17, 8),
    ] {
      let (error, place) = try #require(stream(Array(header[..<length])))
      #expect(
        error == DecodingError(.truncated(needed: size, available: length - start), at: start))
      #expect(place.message == "CopyData 'w'")
    }
    let (error, place) = try #require(stream([UInt8(ascii: "?"), 1, 2]))
    #expect(error == DecodingError(.unknownCode(0x3F), at: 0))
    #expect(place.message == "CopyData '?'")
  }

  @Test func codesThatNobodyKnows() throws {
    let header = WireMessage.xLogDataHeader
    let table: [([UInt8], UInt8, Int)] = [
      (Array("?".utf8), 0x3F, 0), (Array("I\0\0\0\u{1}?".utf8), 0x3F, 5),
      (Array("I\0\0\0\u{1}N\0\u{1}?".utf8), 0x3F, 8), (Array("U\0\0\0\u{1}?".utf8), 0x3F, 5),
      (Array("U\0\0\0\u{1}K\0\0?".utf8), 0x3F, 8), (Array("D\0\0\0\u{1}N".utf8), 0x4E, 5),
      (Array("R\0\0\0\u{1}\0t\0?".utf8), 0x3F, 8),
    ]
    for (payload, code, offset) in table {
      let (error, _) = try #require(stream(header + payload))
      #expect(error == DecodingError(.unknownCode(UInt32(code)), at: offset))
    }
  }

  // MARK: - Headers

  /// Lengths that no message has.
  private static let lengths: [Int32] = [.min, -1, 0, 3, 0x4000_0004, .max]

  @Test func lengthsInStartup() {
    for tag in UInt8.min...UInt8.max {
      for length in Self.lengths + [65_537] {
        var machine = Self.machine()
        var output = ByteWriter()
        // The first message alone may be an error in the format of protocol 2.
        let window = Scripted.notice + [tag] + WireMessage.integer(length)
        #expect(
          throws: PGError.protocol(
            DecodingError(.badLength(Int(length)), at: 1), phase: .startup,
            tag: MessageTag(rawValue: tag))
        ) { try machine.receive(unsafe window.span.bytes, into: &output) }
      }
    }
  }

  @Test func lengthsInAStream() {
    for tag in UInt8.min...UInt8.max {
      let isLong = "TDdENA".utf8.contains(tag)
      for length in Self.lengths + (isLong ? [] : [30_001]) {
        let window = [tag] + WireMessage.integer(length)
        #expect(throws: DecodingError(.badLength(Int(length)), at: 1)) {
          try MessageFrame.scan(unsafe window.span.bytes)
        }
      }
      let window = [tag] + WireMessage.integer(30_000)
      #expect(throws: Never.self) { try MessageFrame.scan(unsafe window.span.bytes) }
    }
  }

  @Test func lengthsInAQuery() throws {
    for tag in "TDCIENSAZGHWdcRKv?".utf8 {
      for length in Self.lengths + [67_108_865] { try checkQuery(tag, length) }
    }
  }

  private func checkQuery(_ tag: UInt8, _ length: Int32) throws {
    let server = try FaultyServer([
      .packet, .send(Conversation.welcome), .message,
      .send([tag] + WireMessage.integer(length)),
    ])
    var connection = try Conversation.connect(server.address)
    #expect(
      throws: PGError.protocol(
        DecodingError(.badLength(Int(length)), at: 1), phase: .query,
        tag: MessageTag(rawValue: tag))
    ) { try connection.query("SELECT 1") }
    connection.close()
  }
}
