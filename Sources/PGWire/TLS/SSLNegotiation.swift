/// How a connection comes to TLS (libpq's `sslnegotiation`).
public enum SSLNegotiation: String, Hashable, Sendable, CaseIterable {
  /// By SSLRequest, which every server understands.
  case postgres
  /// TLS at once, with ALPN: PostgreSQL 17 and later.
  case direct
}

/// Whether the client shows a certificate (libpq's `sslcertmode`).
public enum SSLCertMode: String, Hashable, Sendable, CaseIterable {
  /// Never, even if there is one.
  case disable
  /// If the server asks and there is one.
  case allow
  /// The server must ask and there must be one.
  case require
}
