/// The keywords of a connection string that libpq 18 knows (manual: "Parameter Key Words").
///
/// All are read; ``definition`` says what becomes of each.
public enum ConnectionKeyword: String, Hashable, Sendable, CaseIterable {
  case host, hostaddr, port, dbname, user, password, passfile
  case requireAuth = "require_auth"
  case channelBinding = "channel_binding"
  case connectTimeout = "connect_timeout"
  case clientEncoding = "client_encoding"
  case options
  case applicationName = "application_name"
  case fallbackApplicationName = "fallback_application_name"
  case keepalives
  case keepalivesIdle = "keepalives_idle"
  case keepalivesInterval = "keepalives_interval"
  case keepalivesCount = "keepalives_count"
  case tcpUserTimeout = "tcp_user_timeout"
  case replication
  case gssencmode, sslmode, sslnegotiation, sslcompression
  case sslcert, sslkey, sslkeylogfile, sslpassword, sslcertmode
  case sslrootcert, sslcrl, sslcrldir, sslsni
  case requirepeer
  case sslMinProtocolVersion = "ssl_min_protocol_version"
  case sslMaxProtocolVersion = "ssl_max_protocol_version"
  case minProtocolVersion = "min_protocol_version"
  case maxProtocolVersion = "max_protocol_version"
  case krbsrvname, gsslib, gssdelegation
  case scramClientKey = "scram_client_key"
  case scramServerKey = "scram_server_key"
  case service
  case targetSessionAttrs = "target_session_attrs"
  case loadBalanceHosts = "load_balance_hosts"
  case oauthIssuer = "oauth_issuer"
  case oauthClientID = "oauth_client_id"
  case oauthClientSecret = "oauth_client_secret"
  case oauthScope = "oauth_scope"

  /// What this client does with a keyword's value.
  public enum Treatment: Hashable, Sendable {
    /// Acts on it as libpq does.
    case used
    /// Reads it and does nothing with it, for this reason.
    case ignored(String)
    /// Takes only these values, since it would do something else than was meant with others.
    case restricted(to: [String], String)
  }

  /// What there is to know about a keyword.
  public struct Definition: Hashable, Sendable {
    /// The environment variable that stands in for it, if there is one.
    public let environmentVariable: String?
    /// Whether its value is a secret, which no text ever shows.
    public let isSecret: Bool
    /// Whether it takes one of a few words, and so, as in libpq, no empty value for the default.
    public let isChoice: Bool
    /// What becomes of it.
    public let treatment: Treatment

    init(
      _ environmentVariable: String? = nil, isSecret: Bool = false, isChoice: Bool = false,
      _ treatment: Treatment = .used
    ) {
      self.environmentVariable = environmentVariable
      self.isSecret = isSecret
      self.isChoice = isChoice
      self.treatment = treatment
    }
  }

  /// The table of all keywords.
  public var definition: Definition {
    let noGSS = Treatment.ignored("GSSAPI is not spoken")
    let noOAuth = Treatment.ignored("OAuth is not spoken: a server that insists on it is refused")
    return switch self {
    case .host: .init("PGHOST")
    case .hostaddr: .init("PGHOSTADDR")
    case .port: .init("PGPORT")
    case .dbname: .init("PGDATABASE")
    case .user: .init("PGUSER")
    case .password: .init("PGPASSWORD", isSecret: true)
    case .passfile: .init("PGPASSFILE")
    case .requireAuth: .init("PGREQUIREAUTH")
    case .channelBinding: .init("PGCHANNELBINDING", isChoice: true)
    case .connectTimeout: .init("PGCONNECT_TIMEOUT")
    case .clientEncoding: .init("PGCLIENTENCODING", .ignored("texts are always read as UTF-8"))
    case .options: .init("PGOPTIONS")
    case .applicationName: .init("PGAPPNAME")
    case .fallbackApplicationName: .init()
    case .keepalives, .keepalivesIdle, .keepalivesInterval, .keepalivesCount, .tcpUserTimeout:
      .init()
    case .replication: .init(nil, .ignored("each connection is opened as what it is needed for"))
    case .gssencmode:
      .init(
        "PGGSSENCMODE", isChoice: true,
        .restricted(to: ["disable", "prefer"], "GSSAPI is not spoken"))
    case .sslmode: .init("PGSSLMODE", isChoice: true)
    case .sslnegotiation: .init("PGSSLNEGOTIATION", isChoice: true)
    case .sslcompression:
      .init("PGSSLCOMPRESSION", .ignored("TLS is never compressed, as in libpq"))
    case .sslcert: .init("PGSSLCERT")
    case .sslkey: .init("PGSSLKEY")
    case .sslkeylogfile: .init(nil, .restricted(to: [], "keys of TLS are not written to files"))
    case .sslpassword: .init(isSecret: true)
    case .sslcertmode: .init("PGSSLCERTMODE", isChoice: true)
    case .sslrootcert: .init("PGSSLROOTCERT")
    case .sslcrl: .init("PGSSLCRL")
    case .sslcrldir: .init("PGSSLCRLDIR")
    case .sslsni: .init("PGSSLSNI")
    case .requirepeer: .init("PGREQUIREPEER")
    case .sslMinProtocolVersion: .init("PGSSLMINPROTOCOLVERSION")
    case .sslMaxProtocolVersion: .init("PGSSLMAXPROTOCOLVERSION")
    case .minProtocolVersion: .init("PGMINPROTOCOLVERSION", isChoice: true)
    case .maxProtocolVersion: .init("PGMAXPROTOCOLVERSION", isChoice: true)
    case .krbsrvname: .init("PGKRBSRVNAME", noGSS)
    case .gsslib: .init("PGGSSLIB", noGSS)
    case .gssdelegation: .init("PGGSSDELEGATION", noGSS)
    case .scramClientKey, .scramServerKey: .init(isSecret: true)
    case .service: .init("PGSERVICE")
    case .targetSessionAttrs: .init("PGTARGETSESSIONATTRS", isChoice: true)
    case .loadBalanceHosts: .init("PGLOADBALANCEHOSTS", isChoice: true)
    case .oauthIssuer, .oauthClientID, .oauthScope: .init(nil, noOAuth)
    case .oauthClientSecret: .init(nil, isSecret: true, noOAuth)
    }
  }

  /// Whether its value is a secret, which no text ever shows.
  public var isSecret: Bool { definition.isSecret }

  /// The environment variable that stands in for it, if there is one.
  public var environmentVariable: String? { definition.environmentVariable }

  /// Refuses a value that this client would not do justice to.
  func check(_ value: String) throws(PGError) {
    guard case .restricted(let allowed, let reason) = definition.treatment,
      !allowed.contains(value)
    else { return }
    let remedy =
      allowed.isEmpty ? "Leave it out" : "Use \(allowed.joined(separator: " or ")) instead"
    throw .connectionString("\(rawValue)=\(value) is not supported: \(reason). \(remedy)")
  }
}
