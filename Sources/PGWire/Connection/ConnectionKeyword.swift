/// The keywords of a connection string that libpq 18 knows (manual: "Parameter Key Words").
///
/// All are read; those that this client does not act on and that would weaken security if ignored
/// are refused by ``ConnectionParameters``.
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
  case service, servicefile
  case targetSessionAttrs = "target_session_attrs"
  case loadBalanceHosts = "load_balance_hosts"
  case oauthIssuer = "oauth_issuer"
  case oauthClientID = "oauth_client_id"
  case oauthClientSecret = "oauth_client_secret"
  case oauthScope = "oauth_scope"

  /// Whether its value is a secret, which no text ever shows.
  public var isSecret: Bool {
    switch self {
    case .password, .sslpassword, .scramClientKey, .scramServerKey, .oauthClientSecret: true
    default: false
    }
  }

  /// The environment variable that stands in for it, if there is one.
  public var environmentVariable: String? {
    switch self {
    case .host: "PGHOST"
    case .hostaddr: "PGHOSTADDR"
    case .port: "PGPORT"
    case .dbname: "PGDATABASE"
    case .user: "PGUSER"
    case .password: "PGPASSWORD"
    case .passfile: "PGPASSFILE"
    case .requireAuth: "PGREQUIREAUTH"
    case .channelBinding: "PGCHANNELBINDING"
    case .service: "PGSERVICE"
    case .servicefile: "PGSERVICEFILE"
    case .options: "PGOPTIONS"
    case .applicationName: "PGAPPNAME"
    case .sslmode: "PGSSLMODE"
    case .sslnegotiation: "PGSSLNEGOTIATION"
    case .sslcompression: "PGSSLCOMPRESSION"
    case .sslcert: "PGSSLCERT"
    case .sslkey: "PGSSLKEY"
    case .sslcertmode: "PGSSLCERTMODE"
    case .sslrootcert: "PGSSLROOTCERT"
    case .sslcrl: "PGSSLCRL"
    case .sslcrldir: "PGSSLCRLDIR"
    case .sslsni: "PGSSLSNI"
    case .requirepeer: "PGREQUIREPEER"
    case .sslMinProtocolVersion: "PGSSLMINPROTOCOLVERSION"
    case .sslMaxProtocolVersion: "PGSSLMAXPROTOCOLVERSION"
    case .gssencmode: "PGGSSENCMODE"
    case .krbsrvname: "PGKRBSRVNAME"
    case .gsslib: "PGGSSLIB"
    case .gssdelegation: "PGGSSDELEGATION"
    case .connectTimeout: "PGCONNECT_TIMEOUT"
    case .clientEncoding: "PGCLIENTENCODING"
    case .targetSessionAttrs: "PGTARGETSESSIONATTRS"
    case .loadBalanceHosts: "PGLOADBALANCEHOSTS"
    case .minProtocolVersion: "PGMINPROTOCOLVERSION"
    case .maxProtocolVersion: "PGMAXPROTOCOLVERSION"
    default: nil
    }
  }
}
