/// How a connection begins.
enum Encryption: String, Hashable, Sendable {
  /// Without TLS.
  case clear = "in clear"
  /// SSLRequest, and on in clear if the server says no.
  case requestedOrClear = "with TLS if offered"
  /// SSLRequest, and nothing if the server says no.
  case requested = "with TLS"
  /// TLS at once.
  case direct = "with direct TLS"
}

/// How far an attempt came before it failed.
enum AttemptStage: Hashable, Sendable {
  /// TCP or Unix socket.
  case connecting
  /// SSLRequest and its answer.
  case negotiating
  /// The TLS handshake and the checks of the server's certificate.
  case handshake
  /// From StartupMessage on.
  case session
}

/// Which ways to begin `sslmode` allows for one address, and in which order; without I/O.
///
/// | sslmode | first | then |
/// |---|---|---|
/// | disable | clear | |
/// | allow | clear | TLS, when the server refused the session |
/// | prefer | TLS if offered | clear, when the handshake failed |
/// | require, verify-ca, verify-full | TLS | |
///
/// It never goes from TLS to clear after a StartupMessage was sent: what was refused there must not
/// be said again where others can read it. libpq does.
struct EncryptionPlan: Hashable, Sendable {
  let mode: SSLMode
  let first: Encryption

  /// The plan for an address; there is no TLS on Unix sockets.
  init(_ tls: TLSConfiguration, isUnixSocket: Bool) {
    mode = isUnixSocket ? .disable : tls.mode
    switch mode {
    case .disable, .allow: first = .clear
    case .prefer: first = .requestedOrClear
    case .require, .verifyCA, .verifyFull:
      first = tls.negotiation == .direct ? .direct : .requested
    }
  }

  /// The second way after the first one failed, if there is one.
  func second(after stage: AttemptStage, _ error: PGError) -> Encryption? {
    switch mode {
    case .disable, .require, .verifyCA, .verifyFull: return nil
    case .prefer:
      // An answer to SSLRequest that makes no sense is a reason to go away, not to speak in clear.
      guard stage == .handshake else { return nil }
      switch error {
      case .tls, .garbled, .closed, .transport: return .clear
      default: return nil
      }
    case .allow:
      guard stage == .session, case .server(let refusal) = error, refusal.code != "57P03" else {
        return nil
      }
      return .requested
    }
  }
}
