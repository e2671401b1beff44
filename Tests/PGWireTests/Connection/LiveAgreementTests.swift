import Support
import Testing

@testable import PGWire

/// The same connection strings for a real server, by psql 17 and by us: both get in, or neither.
@Suite(
  .enabled(if: LiveServer.isAvailable, "needs a PostgreSQL server"), .needsPostgres(17), .serialized
)
struct LiveAgreementTests {
  let server: LiveServer

  init() throws { server = try #require(LiveServer.shared) }

  private static let users = [
    "user=trust_user", "user=clear_user password='clear secret'",
    "user=md5_user password='md5 secret'", "user=scram_user password='scram secret'",
    "user=tls_user password='tls secret'", "user=plain_user password=wrong",
    "user=scram_user password=wrong",
  ]

  private func psqlGetsIn(_ text: String) throws -> Bool {
    try psqlIsEncrypted(text) != nil
  }

  /// Whether psql had TLS; nil when it did not get in.
  private func psqlIsEncrypted(_ text: String) throws -> Bool? {
    let folder = try #require(PostgresPrograms.installed[17])
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    let output = try Subprocess.run("\(folder)/psql", ["-XAtw", text, "-c", query])
    return output.termination == .exited(0) ? output.standardOutput == "t\n" : nil
  }

  private func weGetIn(_ text: String) -> (isIn: Bool, error: PGError?) {
    do throws(PGError) {
      let connection = try Connection.open(ConnectionParameters(ConnectionString(text)))
      let (isEncrypted, cancel) = (connection.isEncrypted, connection.cancelRequest)
      #expect(cancel?.encryption == (isEncrypted ? .requested : .clear))
      connection.close()
      return (true, nil)
    } catch {
      return (false, error)
    }
  }

  private func compare(_ keywords: String, host: String = "127.0.0.1") throws {
    let text = "dbname=postgres host=\(host) port=\(server.port) \(keywords)"
    let (expected, ours) = (try psqlGetsIn(text), weGetIn(text))
    #expect(
      ours.isIn == expected,
      "psql gets in with \(keywords): \(expected); we: \(ours.error?.description ?? "as well")")
    #expect(ours.error?.description.contains("secret") != true)
  }

  /// One difference is on purpose: `prefer` does not go on in clear after a refusal over TLS.
  @Test(arguments: ["disable", "allow", "prefer", "require"])
  func modes(mode: String) throws {
    for user in Self.users {
      let keywords = "\(user) sslmode=\(mode)"
      if mode == "prefer", user.contains("plain_user") {
        let text = "dbname=postgres host=127.0.0.1 port=\(server.port) \(keywords)"
        #expect(try psqlGetsIn(text))
        let error = weGetIn(text).error
        #expect(error?.sqlState == "28P01")
      } else {
        try compare(keywords)
      }
    }
  }

  @Test(arguments: [
    "password", "md5", "scram-sha-256", "none", "!none", "!password", "md5,scram-sha-256", "gss",
    "!scram-sha-256", "!md5,!none",
  ])
  func requiredAuthentication(methods: String) throws {
    for user in Self.users.prefix(4) {
      try compare("\(user) sslmode=disable require_auth=\(methods)")
    }
    try compare("user=tls_user password='tls secret' sslmode=require require_auth=\(methods)")
  }

  @Test(arguments: ["disable", "prefer", "require"])
  func channelBinding(wish: String) throws {
    for user in Self.users.prefix(5) {
      for mode in ["disable", "require"] {
        try compare("\(user) sslmode=\(mode) channel_binding=\(wish)")
      }
    }
  }

  @Test func clientCertificates() throws {
    let own = "sslcert=\(server.tls("client.crt")) sslkey=\(server.tls("client.key")) "
    for mode in ["disable", "allow", "require"] {
      try compare("user=cert_user sslmode=require \(own) sslcertmode=\(mode)")
      try compare("user=cert_user sslmode=require sslcertmode=\(mode)")
      try compare("user=trust_user sslmode=require sslcertmode=\(mode)")
      try compare("user=trust_user sslmode=disable \(own) sslcertmode=\(mode)")
    }
  }

  @Test func theServersUser() throws {
    for peer in ["postgres", "root", "nobody"] {
      try compare("user=trust_user requirepeer=\(peer)", host: server.directory)
      // Over TCP there is nothing to check.
      try compare("user=trust_user requirepeer=\(peer)")
    }
    let text = "host=\(server.directory) port=\(server.port) user=trust_user requirepeer=nobody"
    let error = weGetIn(text).error
    #expect(error?.description.contains("requirepeer specifies \"nobody\"") == true)
  }

  @Test func authoritiesAndNames() throws {
    let byName = "hostaddr=127.0.0.1 "
    for (authority, mode) in [
      ("ca.crt", "verify-ca"), ("ca.crt", "verify-full"), ("other.crt", "verify-ca"),
      ("other.crt", "require"), ("none.crt", "require"), ("none.crt", "verify-ca"),
    ] {
      let trust = "user=trust_user sslmode=\(mode) sslrootcert=\(server.tls(authority)) "
      for host in ["127.0.0.1", "localhost", "elsewhere"] {
        try compare(trust + byName, host: host)
      }
      try compare(trust + byName + "sslcrl=\(server.tls("revoked.crl"))", host: "localhost")
      try compare(trust + byName + "sslcrl=\(server.tls("empty.crl"))", host: "localhost")
    }
    try compare("user=trust_user \(byName) sslrootcert=system", host: "localhost")
  }

  /// Where we are stricter, on purpose (docs/CONNECTING.md).
  @Test func revocationsThatCannotBeRead() throws {
    let text =
      "dbname=postgres host=127.0.0.1 port=\(server.port) user=trust_user sslmode=verify-ca "
      + "sslrootcert=\(server.tls("ca.crt")) sslcrl=\(server.tls("none.crl"))"
    #expect(try psqlGetsIn(text))
    let error = weGetIn(text).error
    #expect(error?.description.contains("sslcrl cannot be read") == true)
  }

  /// Where libpq goes on in clear, since the certificate is wrong, we keep TLS.
  @Test func preferWithAnotherAuthority() throws {
    let text =
      "dbname=postgres host=127.0.0.1 port=\(server.port) user=trust_user sslmode=prefer "
      + "sslrootcert=\(server.tls("other.crt"))"
    #expect(try psqlIsEncrypted(text) == false)
    let connection = try Connection.open(ConnectionParameters(ConnectionString(text)))
    let isEncrypted = connection.isEncrypted
    #expect(isEncrypted)
    connection.close()
  }

  /// The default list of revoked certificates counts when it is there.
  @Test func theDefaultFiles() throws {
    let home = try TemporaryDirectory("home")
    let folder = home.file(".postgresql")
    try Subprocess.check("mkdir", [folder])
    try Subprocess.check("cp", [server.tls("ca.crt"), "\(folder)/root.crt"])
    let text =
      "dbname=postgres host=localhost hostaddr=127.0.0.1 port=\(server.port) user=trust_user "
      + "sslmode=verify-full"
    func open() throws(PGError) {
      let connection = try Connection.open(
        ConnectionParameters(ConnectionString(text), environment: ["HOME": home.path]))
      connection.close()
    }
    try open()
    try Subprocess.check("cp", [server.tls("empty.crl"), "\(folder)/root.crl"])
    try open()
    try Subprocess.check("cp", [server.tls("revoked.crl"), "\(folder)/root.crl"])
    do throws(PGError) {
      try open()
      Issue.record("a revoked certificate was expected to be refused")
    } catch {
      #expect(error.description.contains("revoked"))
    }
  }

  /// The keys that a verifier is made of stand in for its password.
  @Test func keysInsteadOfAPassword() throws {
    let password = Array("scram secret".utf8)
    var settings = try Connection.open(
      ConnectionParameters(
        ConnectionString(
          "host=\(server.directory) port=\(server.port) user=postgres dbname=postgres")))
    let rows = try settings.query(
      "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")
    settings.close()
    // SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
    let verifier = try #require(rows.first?.rows.first?.first ?? nil)
    let parts = verifier.split { $0 == "$" || $0 == ":" }
    let salt = try #require(Base64.decode(Array(parts[2].utf8)))
    let salted = try Digest.pbkdf2SHA256(
      password: password, salt: salt, iterations: try #require(Int(parts[1])))
    func text(_ key: [UInt8]) -> String { String(decoding: Base64.encode(key), as: UTF8.self) }
    let client = text(try Digest.hmacSHA256(key: salted, Array("Client Key".utf8)))
    let keys = "scram_client_key=\(client) scram_server_key="
    let base = "host=127.0.0.1 port=\(server.port) dbname=postgres user=scram_user "
    for mode in ["disable", "require"] {
      #expect(weGetIn("\(base) sslmode=\(mode) \(keys)\(parts[4])").isIn)
    }
    // A server that does not know the right ServerKey is no friend.
    let wrong = text([UInt8](repeating: 7, count: 32))
    guard case .authentication(let reason) = weGetIn("\(base) \(keys)\(wrong)").error else {
      Issue.record("a wrong server key was expected to be refused")
      return
    }
    #expect(reason.contains("impostor"))
  }

  /// A name's further addresses and the other hosts are left out, the name is kept for TLS.
  @Test func theSameServerAgain() throws {
    let parameters = try ConnectionParameters(
      ConnectionString(
        "host=/nonexistent,localhost port=1,\(server.port) dbname=postgres user=trust_user "
          + "sslmode=verify-full sslrootcert=\(server.tls("ca.crt"))"))
    let first = try Connection.open(parameters)
    let reached = first.reachedHost
    first.close()
    #expect(reached == .init(name: "localhost", address: "127.0.0.1", port: server.port))
    let only = parameters.only(reached)
    #expect(only.hosts == [reached])
    let second = try Connection.open(only)
    let isEncrypted = second.isEncrypted
    #expect(isEncrypted)
    second.close()
    let socket = try Connection.open(
      ConnectionParameters(
        ConnectionString(
          "host=\(server.directory) port=\(server.port) user=trust_user dbname=postgres")))
    let same = (socket.host == socket.reachedHost)
    #expect(same)
    socket.close()
  }

  @Test func environmentSettings() throws {
    let environment = ["PGTZ": "Asia/Kolkata", "PGDATESTYLE": "German", "PGGEQO": "default"]
    let text = "host=127.0.0.1 port=\(server.port) dbname=postgres user=trust_user"
    let parameters = try ConnectionParameters(
      ConnectionString(text), environment: environment)
    #expect(parameters.environmentSettings.map(\.name) == ["datestyle", "timezone"])
    var connection = try Connection.open(parameters, startup: [("DateStyle", "ISO, MDY")])
    #expect(try connection.query("SHOW timezone").first?.rows == [["Asia/Kolkata"]])
    // What the program itself sets comes first.
    #expect(try connection.query("SHOW datestyle").first?.rows == [["ISO, MDY"]])
    connection.close()
  }
}
