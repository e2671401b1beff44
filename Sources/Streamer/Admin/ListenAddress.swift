/// The value of `http`: "127.0.0.1:12080", "[::1]:12080", "localhost:12080", or ":12080" for
/// all interfaces.
struct ListenAddress: Hashable, Sendable {
  /// The name or address; empty for all interfaces.
  let host: String
  /// The port; 0 lets the system choose.
  let port: UInt16

  /// Reads the text of the configuration.
  ///
  /// Throws `StreamerError` of kind `.configuration`.
  init(_ text: String) throws(StreamerError) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else {
      throw StreamerError(
        .configuration, "http = \"\(text)\"", why: "a port from 0 to 65535 is missing",
        hint: "Write \"127.0.0.1:12080\", or \":12080\" for all interfaces.")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw StreamerError(
        .configuration, "http = \"\(text)\"", why: "an IPv6 address needs brackets",
        hint: "Write \"[::1]:12080\".")
    }
    self.host = String(host)
    self.port = port
  }
}

extension ListenAddress: CustomStringConvertible {
  /// The address as the configuration writes it.
  var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
