/// Whether SCRAM must be tied to the TLS connection (libpq's `channel_binding`).
public enum ChannelBinding: String, Hashable, Sendable, CaseIterable {
  /// Never.
  case disable
  /// When the server offers it.
  case prefer
  /// Always; whatever authenticates without it is refused.
  case require
}

/// What the transport gives SCRAM to bind to.
enum BindingMaterial: Hashable, Sendable {
  /// The connection is in clear.
  case clear
  /// TLS, with the hash of the server's certificate (RFC 5929, tls-server-end-point).
  ///
  /// Nil when the certificate's signature has no hash of its own (Ed25519).
  case tls(serverEndPoint: [UInt8]?)
}

/// How one SCRAM exchange is bound: its mechanism and its GS2 header (RFC 5802, section 7).
enum SCRAMBinding: Hashable, Sendable {
  /// `p=`: bound to this hash of the server's certificate.
  case bound(serverEndPoint: [UInt8])
  /// `y`: we could bind, the server did not offer it.
  case offeredByClientOnly
  /// `n`: we cannot or must not bind.
  case none

  /// The SASL mechanism's name.
  var mechanism: String {
    if case .bound = self { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" }
  }

  /// The GS2 header; no authorization identity.
  var header: String {
    switch self {
    case .bound: "p=tls-server-end-point,,"
    case .offeredByClientOnly: "y,,"
    case .none: "n,,"
    }
  }

  /// What the client-final message repeats: the header and the bound bytes.
  var input: [UInt8] {
    if case .bound(let hash) = self { Array(header.utf8) + hash } else { Array(header.utf8) }
  }

  /// Chooses by what the server offers and the connection has.
  static func choose(
    offered: [String], material: BindingMaterial, wish: ChannelBinding
  ) throws(PGError) -> SCRAMBinding {
    let plus = offered.contains("SCRAM-SHA-256-PLUS")
    let plain = offered.contains("SCRAM-SHA-256")
    guard case .tls(let hash) = material else {
      if plus {
        throw .authentication(
          "the server offers channel binding on a connection without TLS: somebody may sit in "
            + "between. Use sslmode=verify-full")
      }
      if wish == .require { throw .authentication(Self.needsTLS) }
      guard plain else { throw unknown(offered) }
      return .none
    }
    if plus, wish != .disable, let hash { return .bound(serverEndPoint: hash) }
    if wish == .require {
      throw .authentication(
        plus
          ? "channel_binding=require, but the server's certificate has a signature without a hash "
            + "(such as Ed25519). Use an RSA or ECDSA certificate, or channel_binding=prefer"
          : "channel_binding=require, but the server does not offer SCRAM-SHA-256-PLUS. Use "
            + "channel_binding=prefer")
    }
    guard plain else { throw unknown(offered) }
    return plus || wish == .disable || hash == nil ? .none : .offeredByClientOnly
  }

  static let needsTLS =
    "channel_binding=require needs TLS, and this connection has none. Use sslmode=require or more"

  private static func unknown(_ offered: [String]) -> PGError {
    .authentication(
      "the server offers only \(offered.joined(separator: ", ")): this client has SCRAM-SHA-256. "
        + "Set the role's password again under password_encryption = 'scram-sha-256'")
  }
}
