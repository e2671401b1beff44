/// Everything needed to connect, from a connection string, the environment and defaults.
///
/// Precedence as in libpq: string, then `PG*` variables, then defaults.
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
  public let hosts: [Host]
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
  /// The time for each address; nil for none of its own.
  public let connectTimeout: Duration?
  /// `options` of the StartupMessage: command-line options for the server's process.
  public let options: String?
  /// `application_name`.
  public let applicationName: String?
  /// All that string and environment say, also what this client does not act on yet.
  public let values: [ConnectionKeyword: String]

  let socketOptions: SocketOptions

  /// Merges and checks everything.
  ///
  /// `environment` is looked up for `PG*`, `HOME`; pass ``processEnvironment()`` in programs. Throws
  /// ``PGError/connectionString(_:)``.
  public init(
    _ string: ConnectionString, environment: [String: String] = [:]
  ) throws(PGError) {
    let values = Self.merge(string, environment)
    try Self.refuseUnsupported(values)
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
    let seconds = try Self.integer(values, .connectTimeout) ?? 0
    self.connectTimeout = seconds > 0 ? .seconds(seconds) : nil
    self.options = values[.options]
    self.applicationName = values[.applicationName] ?? values[.fallbackApplicationName]
    self.socketOptions = try SocketOptions(values)
  }

  private static func merge(
    _ string: ConnectionString, _ environment: [String: String]
  ) -> [ConnectionKeyword: String] {
    var values: [ConnectionKeyword: String] = [:]
    for keyword in ConnectionKeyword.allCases {
      let variable = keyword.environmentVariable.flatMap { environment[$0] }
      // An empty value means the default, as in libpq.
      if let value = string.values[keyword] ?? variable, !value.isEmpty { values[keyword] = value }
    }
    return values
  }

  /// What would be less safe, or not what was meant, if it were passed over in silence.
  private static func refuseUnsupported(
    _ values: [ConnectionKeyword: String]
  ) throws(PGError) {
    let harmless: [ConnectionKeyword: Set<String>] = [
      .requireAuth: [], .requirepeer: [], .service: [],
      .sslcertmode: ["allow"], .scramClientKey: [], .scramServerKey: [], .sslkeylogfile: [],
      .sslnegotiation: ["postgres"], .gssencmode: ["disable", "prefer"],
      .targetSessionAttrs: ["any"], .loadBalanceHosts: ["disable"],
      .minProtocolVersion: ["3.0"], .maxProtocolVersion: ["3.0", "3.2", "latest"],
      .sslcompression: ["0"],
    ]
    for keyword in ConnectionKeyword.allCases {
      guard let value = values[keyword], let allowed = harmless[keyword],
        !allowed.contains(value)
      else { continue }
      throw .connectionString(
        "\(keyword.rawValue)\(keyword.isSecret ? "" : "=" + value) is not supported. Leave it out")
    }
  }

  /// Pairs up the lists of `host`, `hostaddr` and `port`.
  private static func hosts(_ values: [ConnectionKeyword: String]) throws(PGError) -> [Host] {
    let names = list(values[.host])
    let addresses = list(values[.hostaddr])
    let ports = list(values[.port])
    let count = max(names.count, addresses.count, 1)
    if !names.isEmpty, !addresses.isEmpty, names.count != addresses.count {
      throw .connectionString(
        "\(names.count) host names and \(addresses.count) hostaddr values do not match. "
          + "Give as many of each")
    }
    guard ports.count <= 1 || ports.count == count else {
      throw .connectionString(
        "\(ports.count) ports and \(count) hosts do not match. Give one port or one for each host")
    }
    var hosts: [Host] = []
    for index in 0..<count {
      let port = ports.isEmpty ? "" : ports.count == 1 ? ports[0] : ports[index]
      hosts.append(
        Host(
          name: index < names.count ? nonEmpty(names[index]) : nil,
          address: index < addresses.count ? nonEmpty(addresses[index]) : nil,
          port: try Self.port(port)))
    }
    return hosts
  }

  private static func list(_ text: String?) -> [String] {
    guard let text else { return [] }
    return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  private static func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }

  private static func port(_ text: String) throws(PGError) -> UInt16 {
    let trimmed = trim(text)
    if trimmed.isEmpty { return defaultPort }
    guard let port = UInt16(trimmed), port > 0 else {
      throw .connectionString("port \"\(text)\" is no number from 1 to 65535")
    }
    return port
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

  private static func trim(_ text: String) -> String {
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

extension ConnectionParameters.Host: CustomStringConvertible {
  /// Name or address and port.
  public var description: String {
    let host = name ?? address ?? ConnectionParameters.defaultSocketDirectory
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

extension ConnectionParameters.Host {
  /// The directory of the Unix socket; nil when the connection goes by TCP.
  var socketDirectory: String? {
    if address != nil { return nil }
    guard let name else { return ConnectionParameters.defaultSocketDirectory }
    return name.hasPrefix("/") || name.hasPrefix("@") ? name : nil
  }

  /// The name that passfiles know this host by.
  var passfileName: String {
    let name = name ?? address ?? "localhost"
    return name == ConnectionParameters.defaultSocketDirectory ? "localhost" : name
  }
}
