/// Whatever can go wrong between this module and a PostgreSQL server.
///
/// Descriptions are one line in the style "WHAT: WHY. HINT" and hold no secret and no row value.
public enum PGError: Error, Hashable, Sendable {
  /// A connection string, an environment variable or a passfile could not be understood.
  case connectionString(String)
  /// No connection to this address.
  case connect(address: String, reason: String)
  /// TLS could not be set up, or the server's certificate was refused.
  case tls(String)
  /// What came in answer to the request for TLS, or in the handshake, is nothing that a server with TLS
  /// says: the address is wrong, versions do not fit, or the network changes what passes.
  case garbled(String)
  /// The client refused to go on with authentication.
  case authentication(String)
  /// Options of START_REPLICATION that do not go together.
  case options(String)
  /// The server answered with an error.
  case server(ServerError)
  /// The server sent what the protocol does not allow in this phase.
  case `protocol`(DecodingError, phase: ConnectionPhase, tag: MessageTag?)
  /// Time was up before this was done.
  case timeout(String)
  /// The server closed the connection.
  case closed(ConnectionPhase)
  /// Reading or writing failed.
  case transport(reason: String, phase: ConnectionPhase)
  /// The server is too old for what was asked of it.
  case unsupported(ServerFeature, on: ServerVersion)
  /// The session is not of the kind that `target_session_attrs` asks for.
  case unsuitableServer(String)
  /// The session does not have the settings that it must have, and cannot be given them.
  case settings(String)
  /// More than one attempt failed; in their order.
  ///
  /// The last one ended the search: by a refusal, or because nothing was left to try.
  case attemptsFailed([FailedAttempt])
}

/// What a connection is doing; errors name it.
public enum ConnectionPhase: String, Hashable, Sendable {
  /// TCP or Unix socket.
  case connecting
  /// SSLRequest and the TLS handshake.
  case tls = "TLS negotiation"
  /// From StartupMessage to ReadyForQuery.
  case startup
  /// A simple query.
  case query
  /// Copying in both directions.
  case copyBoth = "replication"
}

extension PGError {
  /// Whether the same attempt may succeed later, without anybody changing the configuration.
  ///
  /// The one place where this is decided.
  public var isRetryable: Bool {
    switch self {
    case .connectionString, .tls, .garbled, .authentication, .protocol, .unsupported, .options,
      .settings:
      false
    case .connect, .timeout, .closed, .transport, .unsuitableServer: true
    // Whatever came before the last one was worth going on with.
    case .attemptsFailed(let attempts): attempts.last?.error.isRetryable ?? false
    case .server(let error): Self.isRetryable(sqlState: error.code)
    }
  }

  /// Whether a network that changes what passes can be the cause: a server that was met before is met
  /// again by trying.
  public var isGarbled: Bool {
    switch self {
    case .garbled: true
    case .attemptsFailed(let attempts): attempts.last?.error.isGarbled ?? false
    default: false
    }
  }

  /// The SQLSTATE that the server gave; nil when the error is not the server's.
  public var sqlState: String? {
    serverError?.code
  }

  /// What the server said; of several attempts, the last one's.
  public var serverError: ServerError? {
    switch self {
    case .server(let error): error
    case .attemptsFailed(let attempts): attempts.last?.error.serverError
    default: nil
    }
  }

  /// By SQLSTATE (manual: "PostgreSQL Error Codes").
  private static func isRetryable(sqlState code: String) -> Bool {
    switch code {
    case "": true  // a server that could not even start a process for us
    case "55006": true  // object_in_use: the slot is active elsewhere
    case "55P03": true  // lock_not_available
    case "57P05": true  // idle_session_timeout
    case "58030": true  // io_error
    default:
      // Connections, transactions rolled back, lack of resources, operator intervention.
      ["08", "40", "53", "57"].contains(code.prefix(2)) && code != "08P01" && code != "57P04"
    }
  }
}

extension PGError: CustomStringConvertible {
  /// What failed, why, and what to do about it, in one line.
  public var description: String {
    let text =
      switch self {
      case .connectionString(let what): "connection string: \(what)"
      case .connect(let address, let reason): "cannot connect to \(address): \(reason)"
      case .tls(let what), .garbled(let what): "TLS: \(what)"
      case .authentication(let what): "authentication: \(what)"
      case .options(let what): "replication options: \(what)"
      case .server(let error): error.description
      case .protocol(let error, let phase, let tag):
        "protocol violation in \(phase.rawValue)"
          + (tag.map { ", message \($0)" } ?? "") + ": \(error)"
      case .timeout(let what): "timeout: \(what)"
      case .closed(let phase):
        "the server closed the connection during \(phase.rawValue). See its log"
      case .transport(let reason, let phase): "connection lost during \(phase.rawValue): \(reason)"
      case .unsupported(let feature, let server):
        "\(feature.rawValue) cannot be had: the server is PostgreSQL \(server). "
          + "It exists since version \(feature.firstMajor)"
      case .unsuitableServer(let what): "the server is not the wanted one: \(what)"
      case .settings(let what): "the session's settings: \(what)"
      case .attemptsFailed(let attempts):
        "no connection: " + attempts.map(\.description).joined(separator: "; ")
      }
    return text.onOneLine
  }
}

extension PGError {
  /// Decodes a message's body and adds to an error which message it was and when it came.
  static func decoding<T>(
    _ tag: MessageTag, _ body: RawSpan, phase: ConnectionPhase,
    _ decode: (RawSpan) throws(DecodingError) -> T
  ) throws(PGError) -> T {
    do throws(DecodingError) {
      return try decode(body)
    } catch {
      throw .protocol(error, phase: phase, tag: tag)
    }
  }
}
