/// Where the HTTP server listens: "127.0.0.1:12080", "[::1]:12080", ":12080" for all interfaces.
struct HTTPAddress: Hashable, Sendable {
  /// The host name or address, without brackets; empty for all interfaces.
  let host: String
  /// The port; 0 lets the system choose one.
  let port: UInt16

  /// Reads "host:port"; `nil` when it is none.
  init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let port = UInt16(digits)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]"), host.count > 2 else { return nil }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.contains(where: { $0.isWhitespace || $0 == "/" }) else { return nil }
    self.host = String(host)
    self.port = port
  }

  /// Whether only programs of this machine can reach it.
  var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

extension HTTPAddress: CustomStringConvertible {
  /// "host:port", an IPv6 address in brackets.
  var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
