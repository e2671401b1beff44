import Support
import Testing

@testable import PGWire

/// CancelRequest on the wire.
struct CancelRequestTests {
  private static func welcome(key: [UInt8]) -> [UInt8] {
    Scripted.authenticationOk + Scripted.version + Scripted.message("K", [0, 0, 0, 5] + key)
      + Scripted.ready
  }

  private static let request: [UInt8] = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 5, 1, 2, 3, 4]

  @Test func itGoesByAConnectionOfItsOwn() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send(Self.welcome(key: [1, 2, 3, 4]))], [.receivePacket]))
    let connection = try ScriptedClient.open([server.port], "")
    let offered = connection.cancelRequest
    let cancel = try #require(offered)
    try cancel.send()
    #expect(server.finish() == 2)
    #expect(server.received.suffix(16) == Self.request[...])
    let description = cancel.description
    #expect(description == "cancel request for process 5 at 127.0.0.1:\(server.port)")
    connection.close()
  }

  @Test func aLongKeyGoesWhole() throws {
    let key = (0..<200).map { UInt8($0) }
    let server = try #require(
      ScriptedServer([.receivePacket, .send(Self.welcome(key: key))], [.receivePacket]))
    let connection = try ScriptedClient.open([server.port], "min_protocol_version=3.2")
    let offered = connection.cancelRequest
    try #require(offered).send()
    #expect(server.finish() == 2)
    #expect(server.received.suffix(212) == [0, 0, 0, 212, 4, 210, 22, 46, 0, 0, 0, 5] + key)
    connection.close()
  }

  @Test func whatMayGoWrong() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send(Self.welcome(key: [1, 2, 3, 4]))],
        [.receivePacket, .send([0x45]), .waitForEnd], [.receivePacket, .waitForEnd]))
    let connection = try ScriptedClient.open([server.port], "")
    let offered = connection.cancelRequest
    let cancel = try #require(offered)
    connection.close()
    // An answer is a violation, silence a timeout, nobody there a failure to connect.
    guard case .protocol = failure(cancel) else {
      Issue.record("an answer was expected to be refused")
      return
    }
    guard case .timeout = failure(cancel, timeout: .milliseconds(50)) else {
      Issue.record("a timeout was expected")
      return
    }
  }

  @Test func withoutAKeyThereIsNone() throws {
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send(Scripted.authenticationOk + Scripted.version + Scripted.ready),
        .waitForEnd,
      ]))
    let connection = try ScriptedClient.open([server.port], "")
    let isThere = connection.cancelRequest != nil
    #expect(!isThere)
    connection.close()
  }

  /// A session that had TLS is not cancelled in clear: the request begins with SSLRequest and ends
  /// when the server says no.
  @Test func neverInClearAfterTLS() throws {
    let server = try #require(ScriptedServer([.receivePacket, .send([0x4E]), .waitForEnd]))
    let text = "host=127.0.0.1 port=\(server.port) user=u sslmode=prefer"
    let parameters = try ConnectionParameters(ConnectionString(text))
    let host = try #require(parameters.hosts.first)
    let address = try #require(
      SocketAddress.resolve(host, until: Deadline(after: .seconds(5))).first)
    let cancel = CancelRequest(
      ServerEndpoint(parameters, host: host, address: address), .requested,
      BackendKeyData(processID: 5, secretKey: [1, 2, 3, 4]))
    guard case .tls = failure(cancel) else {
      Issue.record("a refusal was expected")
      return
    }
    #expect(server.finish() == 1)
    #expect(server.received == [0, 0, 0, 8, 4, 210, 22, 47])
  }

  private func failure(_ cancel: CancelRequest, timeout: Duration = .seconds(10)) -> PGError? {
    do throws(PGError) {
      try cancel.send(timeout: timeout)
      return nil
    } catch {
      return error
    }
  }
}
