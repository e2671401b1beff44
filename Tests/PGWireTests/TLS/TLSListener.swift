import Glibc
import Support
import Testing

/// `openssl s_server`: a peer that speaks TLS and nothing of PostgreSQL.
final class TLSListener: Sendable {
  let port: Int
  let certificates: TestCertificates
  private let process: Subprocess

  /// Starts one; `alpn` is the protocol that it chooses, nil for none.
  init(alpn: String?) throws {
    certificates = try TestCertificates()
    port = try FreePort.take()
    var arguments = [
      "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificates.serverCertificate, "-key",
      certificates.serverKey, "-quiet",
    ]
    if let alpn { arguments += ["-alpn", alpn] }
    // An open standard input, at whose end it would stop.
    process = try Subprocess("openssl", arguments, interactive: true)
    let port = port
    try eventually("a TLS listener") { Self.accepts(port) }
  }

  /// Has it say something to its peer.
  func say(_ text: String) { process.write(text) }

  /// Whether somebody listens on the port.
  private static func accepts(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // SAFETY: sockaddr_in is what the kernel expects behind the sockaddr pointer of AF_INET.
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        unsafe connect(descriptor, general, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}
