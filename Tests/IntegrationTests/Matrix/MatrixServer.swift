import PGWire
import Support
import Testing

/// A server of one version, and the ways in which the checks talk to it.
final class MatrixServer: Sendable {
  let major: Int
  private let real: PostgresServer?
  private let imitation: ImitatedServer?
  /// As the server reports it, such as 15.18.
  let version: ServerVersion
  let certificates: TestCertificates
  /// Whether it was built with OpenSSL.
  let speaksTLS: Bool

  init(major: Int) throws {
    self.major = major
    certificates = try TestCertificates()
    let settings = [
      "max_prepared_transactions": "10", "autovacuum": "off", "password_encryption": "md5",
    ]
    let hba = [
      "local all all trust", "local replication all trust",
      "host all plus 127.0.0.1/32 scram-sha-256", "host all md5 127.0.0.1/32 md5",
      "host all scram 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust",
      "host replication all 127.0.0.1/32 trust",
    ]
    let tls = PostgresServer.TLS(
      certificate: certificates.serverCertificate, key: certificates.serverKey)
    var started: PostgresServer?
    do {
      started = try PostgresServer(settings: settings, hba: hba, tls: tls, version: major)
    } catch let error as SupportError
      where error.description.contains("SSL is not supported by this build")
    {}
    speaksTLS = started != nil
    let postgres = try started ?? PostgresServer(settings: settings, hba: hba, version: major)
    real = postgres
    imitation = nil
    try postgres.psql(
      """
      CREATE ROLE md5 LOGIN PASSWORD 'secret';
      SET password_encryption = 'scram-sha-256';
      CREATE ROLE scram LOGIN PASSWORD 'secret'; CREATE ROLE plus LOGIN PASSWORD 'secret'
      """)
    let connection = try Connection.open(Self.parameters(postgres.dsn()))
    version = connection.serverVersion
    connection.close()
  }

  /// An imitated server; only checks that are `isImitable` can be asked of it.
  init(imitating major: Int) throws {
    self.major = major
    certificates = try TestCertificates()
    speaksTLS = false
    let server = try ImitatedServer(major: major)
    imitation = server
    real = nil
    version = try #require(ServerVersion(server.versionText))
  }

  /// The real server.
  var postgres: PostgresServer {
    guard let real else { preconditionFailure("an imitation is asked for what only servers have") }
    return real
  }

  /// A connection string of the superuser.
  func dsn(database: String = "postgres") -> String {
    if let imitation {
      return
        "host=127.0.0.1 port=\(imitation.port) user=postgres dbname=\(database) sslmode=disable"
    }
    return postgres.dsn(database: database)
  }

  static func parameters(_ text: String) throws -> ConnectionParameters {
    try ConnectionParameters(ConnectionString(text))
  }

  // MARK: - Connections

  /// Opens a connection to the server's database.
  func open(
    replication: Bool = true, startup: [(name: String, value: String)] = [],
    database: String = "postgres"
  ) throws -> Connection {
    try Connection.open(
      Self.parameters(dsn(database: database)), startup: startup,
      replication: replication)
  }

  /// Asks on an ordinary connection of its own and returns the first result's rows.
  @discardableResult func sql(_ text: String) throws -> [[String?]] {
    var connection = try open(replication: false)
    let results = try connection.query(text)
    connection.close()
    return results.first?.rows ?? []
  }

  /// Sends a command of the replication grammar on a connection of its own.
  @discardableResult func command(_ text: String) throws -> [QueryResult] {
    var connection = try open()
    let results = try connection.query(text)
    connection.close()
    return results
  }

  /// The SQLSTATE with which the server refuses something; nil when it does not.
  func refusal(_ body: () throws -> Void) throws -> String? { try serverError(body)?.code }

  /// The error with which the server refuses something; nil when it does not.
  func serverError(_ body: () throws -> Void) throws -> ServerError? {
    do {
      try body()
      return nil
    } catch PGError.server(let error) {
      return error
    }
  }

  /// What works when the server does not refuse it.
  func seen(_ note: String = "", _ body: () throws -> Void) throws -> Seen {
    try refusal(body).map(Seen.refused) ?? .works(note)
  }

  /// A command that the client writes by version: the client's gate and the server must agree.
  ///
  /// `body` sends it. Where the client has it, the server must take it; where the client refuses, it
  /// is sent as for the newest version, and the server must refuse it too.
  func gated(
    _ command: (_ serverVersion: Int) throws(PGError) -> String, _ body: (String) throws -> Void
  ) throws -> Seen {
    do {
      let text = try command(version.number)
      if let code = try refusal({ try body(text) }) {
        throw SupportError("\(version) refuses \(text): \(code)")
      }
      return .works()
    } catch PGError.unsupported {
      let text = try command(99_00_00)
      guard let code = try refusal({ try body(text) }) else {
        throw SupportError("\(version) takes what the client refuses to ask: \(text)")
      }
      return .refused(code)
    }
  }

  // MARK: - Slots

  /// A slot as the client reads it.
  func slot(_ name: String) throws -> ReplicationSlot? {
    try sql(ReplicationSlot.query(name: name, serverVersion: version.number))
      .compactMap(ReplicationSlot.init(row:)).first
  }

  /// Creates a slot as the client does, for as long as `body` runs.
  func withSlot<T>(_ name: String, _ body: () throws -> T) throws -> T {
    try command(ReplicationCommand.createSlot(name, serverVersion: version.number))
    defer { _ = try? command(ReplicationCommand.dropSlot(name, wait: true)) }
    return try body()
  }
}
