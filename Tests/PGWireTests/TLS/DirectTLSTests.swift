import Support
import Testing

@testable import PGWire

/// TLS without SSLRequest, which only ALPN makes safe.
struct DirectTLSTests {
  private func failure(_ port: Int, _ keywords: String) throws -> PGError {
    let text = "host=127.0.0.1 port=\(port) user=u password=geheim sslmode=require " + keywords
    let parameters = try ConnectionParameters(ConnectionString(text))
    do throws(PGError) {
      _ = try Connection.open(parameters, timeout: .milliseconds(500))
    } catch {
      return error
    }
    throw SupportError("a peer that speaks no PostgreSQL let us in")
  }

  @Test func aPeerWithoutALPNIsRefused() throws {
    let listener = try TLSListener(alpn: nil)
    let error = try failure(listener.port, "sslnegotiation=direct")
    guard case .tls(let text) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(text.contains("without ALPN"), "\(text)")
    #expect(!error.isRetryable)
  }

  @Test func aPeerWithALPNIsBelieved() throws {
    let listener = try TLSListener(alpn: "postgresql")
    // It says nothing to the StartupMessage, but the handshake is done.
    let error = try failure(listener.port, "sslnegotiation=direct")
    guard case .timeout(let what) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(what.contains("finish the startup"), "\(what)")
  }

  /// A peer that insists on another protocol ends the handshake itself.
  @Test func aPeerOfAnotherProtocolIsRefused() throws {
    let listener = try TLSListener(alpn: "http/1.1")
    guard case .garbled = try failure(listener.port, "sslnegotiation=direct") else {
      Issue.record("a peer of another protocol was expected to be refused")
      return
    }
  }

  /// The first byte on the wire is TLS's own, not an SSLRequest; 15 just closes on it.
  @Test func nothingIsSaidBefore() throws {
    let server = try #require(ScriptedServer([.receiveMessage]))
    let error = try failure(Int(server.port), "sslnegotiation=direct")
    guard case .connect(_, let reason) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(reason.contains("sslnegotiation=direct"), "\(reason)")
    #expect(error.isRetryable)
    #expect(server.finish() == 1)
    #expect(server.received.first == 0x16)
  }
}
