/// Everything needed to connect, from a connection string, the environment and defaults.
///
/// Precedence as in libpq: string, then service file, then `PG*` variables, then defaults.
public struct ConnectionParameters: Sendable {
  /// One server to try.
  public struct Host: Hashable, Sendable {
    /// The name as configured; a socket directory when it starts with `/` or `@`.
    public var name: String?
    /// The numeric address, which saves the name's look-up.
    public var address: String?
    /// The port, also of a Unix socket.
    public var port: UInt16
  }

  /// Where Debian's servers put their Unix sockets.
  public static let defaultSocketDirectory = "/var/run/postgresql"
  /// PostgreSQL's registered port.
  public static let defaultPort: UInt16 = 5432

  /// The servers, tried in this order.
  public private(set) var hosts: [Host]
  /// The role to log in as.
  public let user: String
  /// The database.
  public let database: String
  /// The password if one was given outside a passfile; a secret.
  public let password: String?
  /// The passfile's path, existing or not.
  public let passfile: String?
  /// How TLS is used.
  public let tls: TLSConfiguration
  /// How SCRAM is tied to TLS.
  public let channelBinding: ChannelBinding
  /// Which methods the server may authenticate by; nil for all.
  public let requiredAuthentication: RequiredAuthentication?
  /// The operating system's user that a server behind a Unix socket must run as; nil for any.
  public let requiredPeer: String?
  /// The versions of the protocol that will do; the newest is asked for.
  public let protocolVersions: ClosedRange<ProtocolVersion>
  /// Which kind of session is wanted.
  public let targetSessionAttrs: TargetSessionAttrs
  /// Whether hosts and addresses are tried in an order that chance decides.
  public let loadBalanceHosts: LoadBalanceHosts
  /// The time for each address; nil for none of its own.
  public let connectTimeout: Duration?
  /// `options` of the StartupMessage: command-line options for the server's process.
  public let options: String?
  /// `application_name`.
  public let applicationName: String?
  /// Settings from `PGDATESTYLE`, `PGTZ` and `PGGEQO`, for sessions that do not set them anyway.
  public let environmentSettings: [(name: String, value: String)]
  /// All that string, service file and environment say, also what this client does not act on.
  public let values: [ConnectionKeyword: String]

  let socketOptions: SocketOptions
  let scramKeys: Credential.SCRAMKeys?

  /// Merges and checks everything.
  ///
  /// `environment` is looked up for `PG*` and `HOME`; pass ``processEnvironment()`` in programs. A
  /// service file is read when a service is named. Throws ``PGError/connectionString(_:)``.
  public init(
    _ string: ConnectionString, environment: [String: String] = [:]
  ) throws(PGError) {
    let service = try ServiceFile.values(
      of: string.values[.service] ?? environment["PGSERVICE"], environment)
    let values = try Self.merge(string, service, environment)
    self.values = values
    self.hosts = try Self.hosts(values)
    guard let user = values[.user] ?? Self.operatingSystemUser() else {
      throw .connectionString("no user is named. Set user or PGUSER")
    }
    self.user = user
    self.database = values[.dbname] ?? user
    self.password = values[.password]
    let home = environment["HOME"]
    self.passfile = values[.passfile] ?? home.map { $0 + "/.pgpass" }
    self.tls = try TLSConfiguration(values, home: home)
    self.channelBinding = try Self.choice(values, .channelBinding) ?? .prefer
    self.requiredAuthentication = try Self.parse(values, .requireAuth, RequiredAuthentication.init)
    self.requiredPeer = values[.requirepeer]
    self.protocolVersions = try Self.protocolVersions(values)
    self.targetSessionAttrs = try Self.choice(values, .targetSessionAttrs) ?? .any
    self.loadBalanceHosts = try Self.choice(values, .loadBalanceHosts) ?? .disable
    let seconds = try Self.integer(values, .connectTimeout) ?? 0
    self.connectTimeout = seconds > 0 ? .seconds(seconds) : nil
    self.options = values[.options]
    self.applicationName = values[.applicationName] ?? values[.fallbackApplicationName]
    self.environmentSettings = Self.environmentSettings(environment)
    self.socketOptions = try SocketOptions(values)
    self.scramKeys = try Credential.SCRAMKeys(values)
  }

  /// The same for one server only, such as ``Connection/reachedHost``.
  public func only(_ host: Host) -> ConnectionParameters {
    var copy = self
    copy.hosts = [host]
    return copy
  }

  private static func merge(
    _ string: ConnectionString, _ service: [ConnectionKeyword: String],
    _ environment: [String: String]
  ) throws(PGError) -> [ConnectionKeyword: String] {
    var values: [ConnectionKeyword: String] = [:]
    for keyword in ConnectionKeyword.allCases {
      let variable = keyword.environmentVariable.flatMap { environment[$0] }
      let value = string.values[keyword] ?? service[keyword] ?? variable
      // An empty value means the default, but is no word, as in libpq.
      guard let value, !value.isEmpty || keyword.definition.isChoice else { continue }
      try keyword.check(value)
      values[keyword] = value
    }
    // The old name of a mode that was the only one.
    if values[.sslmode] == nil, environment["PGREQUIRESSL"]?.hasPrefix("1") == true {
      values[.sslmode] = SSLMode.require.rawValue
    }
    return values
  }

  /// Variables that libpq turns into settings; `default` leaves the server's.
  private static func environmentSettings(
    _ environment: [String: String]
  ) -> [(name: String, value: String)] {
    let variables = [("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")]
    return variables.compactMap { variable, name in
      guard let value = environment[variable], value.lowercased() != "default" else { return nil }
      return (name, value)
    }
  }

  /// 3.0 alone unless something else is asked for: not every pooler can say that it lacks 3.2.
  private static func protocolVersions(
    _ values: [ConnectionKeyword: String]
  ) throws(PGError) -> ClosedRange<ProtocolVersion> {
    let least = try protocolVersion(values, .minProtocolVersion) ?? .v3_0
    let most =
      try protocolVersion(values, .maxProtocolVersion) ?? (least > .v3_0 ? .latest : .v3_0)
    guard least <= most else {
      throw .connectionString("min_protocol_version is greater than max_protocol_version")
    }
    return least...most
  }

  private static func protocolVersion(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword
  ) throws(PGError) -> ProtocolVersion? {
    guard let text = values[keyword] else { return nil }
    guard let version = ProtocolVersion(text) else {
      throw .connectionString("\(keyword.rawValue)=\(text) is unknown. Use 3.0, 3.2 or latest")
    }
    return version
  }
}

extension ConnectionParameters {
  /// The value of a keyword as a number; nil when it is not set.
  static func integer(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword
  ) throws(PGError) -> Int? {
    guard let text = values[keyword] else { return nil }
    guard let value = Int32(trim(text)) else {
      throw .connectionString("\(keyword.rawValue)=\(text) is no integer")
    }
    return Int(value)
  }

  /// The value of a keyword as one of a few words; nil when it is not set.
  static func choice<T: RawRepresentable & CaseIterable>(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword
  ) throws(PGError) -> T? where T.RawValue == String {
    guard let text = values[keyword] else { return nil }
    guard let choice = T(rawValue: text) else {
      let words = T.allCases.map(\.rawValue).joined(separator: ", ")
      throw .connectionString("\(keyword.rawValue)=\(text) is unknown. Use one of \(words)")
    }
    return choice
  }

  /// The value of a keyword as something that has a syntax of its own; nil when it is not set.
  static func parse<T>(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword,
    _ parse: (String) throws(PGError) -> T
  ) throws(PGError) -> T? {
    guard let text = values[keyword] else { return nil }
    return try parse(text)
  }

  static func trim(_ text: String) -> String {
    var text = text[...]
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}

extension ConnectionParameters: CustomStringConvertible {
  /// Where to, as whom and how; no secret.
  public var description: String {
    let servers = hosts.map(\.description).joined(separator: ",")
    return "\(user)@\(servers)/\(database) sslmode=\(tls.mode.rawValue)"
  }
}
