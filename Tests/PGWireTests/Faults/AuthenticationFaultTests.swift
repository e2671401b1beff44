import Testing

@testable import PGWire

/// A server that breaks the rules of authentication gets no session, and nothing more from us.
@Suite struct AuthenticationFaultTests {
  /// The client's error and how many messages it sent before.
  private func failure(_ script: [FaultyServer.Turn]) throws -> (error: PGError?, sent: Int) {
    // One more is received, so that what the client should not say would show.
    let server = try FaultyServer(script + [.message])
    let error = Conversation.failure(server.address)
    let received = try #require(server.finish().first)
    return (error, received.count { !$0.isEmpty })
  }

  private func expect(
    _ script: [FaultyServer.Turn], toSend expected: Int, _ text: String,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let (error, sent) = try failure(script)
    #expect(sent == expected, sourceLocation: location)
    guard case .authentication(let reason) = error else {
      Issue.record("\(String(describing: error))", sourceLocation: location)
      return
    }
    #expect(reason.contains(text), sourceLocation: location)
  }

  private let askSASL = Scripted.message("R", [0, 0, 0, 10] + Array("SCRAM-SHA-256\0\0".utf8))

  @Test func aWrongSignature() throws {
    let server = SCRAMServer(hasWrongSignature: true)
    try expect(server.turns(then: Conversation.welcome), toSend: 3, "signature is wrong")
    // The model's own signature is accepted.
    #expect(try failure(Conversation.scramScript).error == nil)
  }

  @Test(arguments: ["", "v=", "v=?", "v=AAAA", "e=invalid-proof", "x=AAAA"])
  func aWrongEnd(final: String) throws {
    let server = SCRAMServer(final: final)
    let (error, sent) = try failure(server.turns(then: Conversation.welcome))
    guard case .authentication = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(sent == 3)
  }

  @Test(arguments: [SCRAMServer.Nonce.unextended, .foreign])
  func aWrongNonce(nonce: SCRAMServer.Nonce) throws {
    let server = SCRAMServer(nonce: nonce)
    try expect(
      server.turns(then: Conversation.welcome), toSend: 2,
      "nonce does not extend ours (message 'R', offset 4)")
  }

  @Test(arguments: ["0", "-1", "", "1x", "+1", "10000001", "4294967297", "99999999999999999999"])
  func iterations(count: String) throws {
    let server = SCRAMServer(iterations: count)
    // Behind 24 characters of nonce, the server's 6 and 8 of salt.
    let text = count.hasPrefix("1000") || count.hasPrefix("4") ? "iterations" : "offset 48)"
    try expect(server.turns(then: Conversation.welcome), toSend: 2, text)
  }

  @Test func okTooEarly() throws {
    let begun: [FaultyServer.Turn] = [.packet, .send(askSASL), .message]
    try expect(begun + [.send(Conversation.welcome)], toSend: 2, "before proving")
    let challenged = Array(SCRAMServer().turns(then: []).dropLast())
    try expect(challenged + [.send(Conversation.welcome)], toSend: 3, "before proving")
  }

  @Test func requestsAtTheWrongTime() throws {
    let proof = Scripted.message("R", [0, 0, 0, 12] + Array("v=AAAA".utf8))
    let challenge = Scripted.message("R", [0, 0, 0, 11] + Array("r=a,s=AAAA,i=1".utf8))
    let start = FaultyServer.Turn.packet
    let (sasl, clear) = (
      FaultyServer.Turn.send(askSASL), FaultyServer.Turn.send(Scripted.askCleartext)
    )
    try expect([start, .send(proof)], toSend: 1, "wrong time")
    try expect([start, .send(challenge)], toSend: 1, "wrong time")
    try expect([start, sasl, .message, .send(proof)], toSend: 2, "wrong time")
    try expect([start, sasl, .message, sasl], toSend: 2, "wrong time")
    try expect([start, sasl, .message, clear], toSend: 2, "wrong time")
    try expect([start, clear, .message, clear], toSend: 2, "wrong time")
    try expect([start, clear, .message, sasl], toSend: 2, "wrong time")
    let challenged = Array(SCRAMServer().turns(then: []).dropLast())
    try expect(challenged + [.send(challenge)], toSend: 3, "wrong time")
  }

  /// Before AuthenticationOk nobody may speak of anything else.
  @Test func otherMessagesBeforeOkAndASecondOk() throws {
    for message in [
      Scripted.version, Scripted.message("K", [0, 0, 0, 1, 1, 2, 3, 4]), Scripted.ready,
      Scripted.selectOne, Scripted.copyBothResponse, Scripted.message("d"), Scripted.message("?"),
      Scripted.authenticationOk + Scripted.authenticationOk,
      Scripted.authenticationOk + Scripted.askCleartext,
      Scripted.authenticationOk + Scripted.message("T"),
    ] {
      let (error, sent) = try failure([.packet, .send(message)])
      #expect(sent == 1)
      guard case .protocol(let reason, .startup, let tag?) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      let last = message[0] == UInt8(ascii: "R") ? message[9] : message[0]
      #expect(tag.rawValue == last)
      #expect(reason == DecodingError(.violation("this message does not belong here"), at: 0))
    }
  }
}
