import Glibc
import Testing

@testable import PGWire

/// Sessions with a real server: every method, every mode, the usual mistakes.
@Suite(.enabled(if: LiveServer.isAvailable, "needs a PostgreSQL server"), .serialized)
struct LiveConnectionTests {
  let server: LiveServer

  init() throws { server = try #require(LiveServer.shared) }

  private func user(_ keywords: String) throws -> [QueryResult] {
    var connection = try Connection.open(server.parameters(keywords))
    let results = try connection.query(
      "SELECT current_user AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    connection.close()
    return results
  }

  private func error(_ keywords: String) throws -> PGError {
    do throws(PGError) {
      let connection = try Connection.open(try parameters(keywords))
      connection.close()
    } catch {
      return error
    }
    Issue.record("the connection was expected to be refused")
    return .timeout("")
  }

  private func parameters(_ keywords: String) throws(PGError) -> ConnectionParameters {
    do { return try server.parameters(keywords) } catch { throw .connectionString("\(error)") }
  }

  @Test(arguments: [
    "user=trust_user", "user=clear_user password='clear secret'",
    "user=md5_user password='md5 secret'", "user=scram_user password='scram secret'",
  ])
  func authenticates(keywords: String) throws {
    let name = try #require(keywords.split { $0 == "=" || $0 == " " }.dropFirst().first)
    for mode in ["disable", "allow", "prefer", "require"] {
      let results = try user("\(keywords) sslmode=\(mode)")
      #expect(results.first?[first: "name"] == String(name))
      let isEncrypted = mode == "prefer" || mode == "require"
      #expect(results.first?[first: "ssl"] == (isEncrypted ? "t" : "f"))
      #expect(results.first?.commandTag == "SELECT 1")
    }
  }

  @Test func overTheUnixSocket() throws {
    var connection = try Connection.open(
      server.parameters("host=\(server.directory) user=trust_user sslmode=verify-full"))
    let (isEncrypted, process) = (connection.isEncrypted, connection.backendProcessID)
    #expect(!isEncrypted)
    #expect(try connection.query("SELECT pg_backend_pid()").first?.rows == [["\(process ?? 0)"]])
    connection.close()
  }

  @Test func bindsSCRAMToTheCertificate() throws {
    let secret = "user=tls_user password='tls secret' "
    for binding in ["disable", "prefer", "require"] {
      let results = try user(secret + "sslmode=require channel_binding=\(binding)")
      #expect(results.first?[first: "ssl"] == "t")
    }
    guard
      case .authentication = try error(
        "user=scram_user password='scram secret' sslmode=disable channel_binding=require")
    else {
      Issue.record("binding without TLS was expected to be refused")
      return
    }
  }

  /// RFC 5929: the hash of the certificate follows its signature; Ed25519 has none.
  @Test(arguments: ["rsa1", "rsa384", "pss", "ec512", "ed25519"])
  func bindsToCertificatesOfEveryKind(name: String) throws {
    var settings = try Connection.open(
      server.parameters("host=\(server.directory) user=postgres"))
    let secret = "user=tls_user password='tls secret' sslmode=verify-ca "
    func use(_ name: String, authority: String) throws -> String {
      for (setting, ending) in [("ssl_cert_file", "crt"), ("ssl_key_file", "key")] {
        let file = server.tls("\(name).\(ending)")
        _ = try settings.query("ALTER SYSTEM SET \(setting) = '\(file)'")
      }
      _ = try settings.query("SELECT pg_reload_conf()")
      // New sessions have the certificate only when the postmaster has taken it up.
      let keywords = secret + "sslrootcert=\(server.tls(authority)) "
      var attempts = 0
      while (try? user(keywords + "channel_binding=disable")) == nil, attempts < 2000 {
        attempts += 1
      }
      return keywords
    }
    defer { _ = try? use("server", authority: "ca.crt") }
    let isThere = try use(name, authority: "\(name).crt")
    let required = isThere + "channel_binding=require"
    if name == "ed25519" {
      guard case .authentication = try error(required) else {
        Issue.record("binding to Ed25519 was expected to be refused")
        return
      }
    } else {
      #expect(try user(required).count == 1)
    }
    #expect(try user(isThere + "channel_binding=prefer").count == 1)
  }

  /// The role's passwords go through the server's SASLprep, ours through our own.
  @Test func preparesPasswordsAsTheServerDoes() throws {
    let prepared = ["\u{2168}\u{AD}\u{AA} e\u{301}", "IXa \u{E9}", "IXa\u{A0}e\u{301}"]
    for password in prepared {
      #expect(try user("user=prepared_user password='\(password)'").count == 1)
    }
    #expect(try user("user=raw_user password='\u{627}1'").count == 1)
    guard case .server(let refusal) = try error("user=prepared_user password='IXa e'") else {
      Issue.record("another password was expected to be refused")
      return
    }
    #expect(refusal.code == "28P01")
  }

  @Test func clientCertificate() throws {
    let certificate = "user=cert_user sslmode=require sslcert=\(server.tls("client.crt")) "
    let key = "sslkey=\(server.tls("client.key"))"
    #expect(try user(certificate + key).first?[first: "name"] == "cert_user")
    let encrypted = "sslkey=\(server.tls("encrypted.key")) "
    #expect(try user(certificate + encrypted + "sslpassword=opens").count == 1)
    for (keywords, expected) in [
      (certificate + encrypted, "sslpassword"),
      (certificate + encrypted + "sslpassword=opensnot", "sslpassword"),
      (certificate + "sslkey=\(server.tls("open.key"))", "chmod 0600"),
      (certificate + "sslkey=\(server.tls("none.key"))", "cannot be read"),
      (certificate + "sslkey=\(server.tls("other.key"))", "sslkey"),
      ("user=cert_user sslmode=require sslcert=/none.crt", "cannot be read"),
    ] {
      let error = try error(keywords)
      guard case .tls(let text) = error else {
        Issue.record("\(error)")
        continue
      }
      #expect(text.contains(expected), "\(text)")
      #expect(!error.isRetryable)
    }
    guard case .server(let refusal) = try error("user=cert_user sslmode=require") else {
      Issue.record("a client without certificate was expected to be refused")
      return
    }
    #expect(refusal.code == "28000")
  }

  @Test func aCertificateTheServerDoesNotKnow() throws {
    let error = try error(
      "user=cert_user sslmode=require sslcert=\(server.tls("other.crt")) "
        + "sslkey=\(server.tls("other.key"))")
    guard case .tls(let text) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(text.contains("unknown ca"), "\(text)")
  }

  @Test func verifiesTheServersCertificate() throws {
    let good = "user=trust_user sslrootcert=\(server.tls("ca.crt")) "
    let other = "user=trust_user sslrootcert=\(server.tls("other.crt")) "
    let none = "user=trust_user sslrootcert=/none.crt "
    let byName = "host=localhost hostaddr=127.0.0.1 "
    #expect(try user(good + "sslmode=verify-ca").count == 1)
    #expect(try user(good + byName + "sslmode=verify-full").count == 1)
    #expect(try user(none + "sslmode=require").count == 1)
    let revocations = "sslmode=verify-ca sslcrl="
    #expect(try user(good + revocations + server.tls("empty.crl")).count == 1)
    for (keywords, expected) in [
      (good + "sslmode=verify-full", "not for host \"127.0.0.1\""),
      (good + "host=db hostaddr=127.0.0.1 sslmode=verify-full", "not for host \"db\""),
      (good + "hostaddr=127.0.0.1 sslmode=verify-full", "needs a host name"),
      (other + "sslmode=verify-ca", "Put the certificate of that authority there"),
      (other + byName + "sslmode=verify-full", "Put the certificate of that authority there"),
      // Like libpq, require checks when there is something to check with.
      (other + "sslmode=require", "Put the certificate of that authority there"),
      (none + "sslmode=verify-ca", "cannot be read"),
      (good + revocations + server.tls("revoked.crl"), "revoked"),
      (good + revocations + "/none.crl", "sslcrl"),
      ("user=trust_user sslrootcert=\(server.tls("ca.key")) sslmode=verify-ca", "PEM"),
    ] {
      let error = try error(keywords)
      guard case .tls(let text) = error else {
        Issue.record("\(keywords): \(error)")
        continue
      }
      #expect(text.contains(expected), "\(text)")
      #expect(!error.isRetryable)
    }
  }

  @Test func aMistakeInTheConfigurationDoesNotEndInClear() throws {
    guard case .tls = try error("user=trust_user sslmode=prefer sslcert=/none.crt") else {
      Issue.record("a missing certificate was expected to be said")
      return
    }
  }

  @Test func passwordsFromAPassfile() throws {
    let path = "\(server.directory)/passfile"
    let file = try unsafe #require(fopen(path, "w"))
    _ = unsafe fputs("127.0.0.1:\(server.port):postgres:scram_user:scram secret\n", file)
    _ = unsafe fclose(file)
    #expect(unsafe chmod(path, 0o600) == 0)
    #expect(try user("user=scram_user passfile=\(path)").count == 1)
    // Readable by others it is ignored, and the reason is kept for the log.
    #expect(unsafe chmod(path, 0o644) == 0)
    guard case .authentication = try error("user=scram_user passfile=\(path)") else {
      Issue.record("a password was expected to be missing")
      return
    }
    let trusted = try Connection.open(server.parameters("user=trust_user passfile=\(path)"))
    let notice = trusted.notices.first?.message
    #expect(
      notice == "passfile \(path) is ignored: others may read it. Run chmod 0600 on it")
    trusted.close()
  }

  @Test func versionsOfTLS() throws {
    for version in ["TLSv1.2", "tlsv1.3"] {
      let bounds = "ssl_min_protocol_version=\(version) ssl_max_protocol_version=\(version)"
      var connection = try Connection.open(
        server.parameters("user=trust_user sslmode=require " + bounds))
      let used = try connection.query(
        "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
      #expect(used.first?.rows == [[version == "TLSv1.2" ? "TLSv1.2" : "TLSv1.3"]])
      connection.close()
    }
  }

  @Test func refusals() throws {
    for (keywords, code) in [
      ("user=scram_user password=wrong", "28P01"), ("user=md5_user password=wrong", "28P01"),
      ("user=clear_user password=wrong", "28P01"), ("user=nobody password=x", "28P01"),
      ("user=trust_user dbname=none", "3D000"),
      // hostssl only: sslmode=disable never gets in; hostnossl only: prefer does not give up TLS.
      ("user=plain_user password=x sslmode=prefer", "28P01"),
    ] {
      let error = try error(keywords)
      guard case .server(let refusal) = error else {
        Issue.record("\(keywords): \(error)")
        continue
      }
      #expect(refusal.code == code)
      #expect(!error.isRetryable)
    }
    #expect(try user("user=plain_user sslmode=disable").count == 1)
    #expect(try user("user=plain_user sslmode=allow").count == 1)
  }

  @Test func unreachableServers() throws {
    for keywords in [
      "user=u host=no-such-host.invalid", "user=u host=/no/such/directory", "user=u port=1",
    ] {
      let error = try error(keywords)
      guard case .connect(_, let reason) = error else {
        Issue.record("\(keywords): \(error)")
        continue
      }
      #expect(!reason.isEmpty)
      #expect(error.isRetryable)
      #expect(!error.description.contains("\n"))
    }
  }

  @Test func simpleQueries() throws {
    var connection = try Connection.open(
      server.parameters("user=trust_user"), startup: [("application_name", "test")])
    let results = try connection.query("SELECT 1 AS a, NULL AS b; SELECT 'x' WHERE false; ")
    #expect(results.map(\.rows) == [[["1", nil]], []])
    #expect(results.map(\.commandTag) == ["SELECT 1", "SELECT 0"])
    #expect(results.first?.columns.map(\.name) == ["a", "b"])
    #expect(try connection.query("").map(\.commandTag) == [""])
    #expect(throws: PGError.self) { try connection.query("SELECT 1; SELEC 2") }
    #expect(throws: PGError.self) { try connection.query("COPY pg_class FROM STDIN") }
    #expect(try connection.query("COPY (SELECT 1) TO STDOUT").map(\.commandTag) == ["COPY 1"])
    _ = try connection.query("SET application_name = 'changed'")
    let name = connection.parameterStatus["application_name"]
    #expect(name == "changed")
    let big = try connection.query("SELECT repeat('x', 3000000) FROM generate_series(1, 3)")
    #expect(big.first?.rows.map { $0.first??.utf8.count } == [3_000_000, 3_000_000, 3_000_000])
    _ = try connection.query("DO $$ BEGIN RAISE NOTICE 'seen'; END $$")
    let notice = connection.notices.last?.message
    #expect(notice == "seen")
    let version = connection.serverVersion
    #expect(try connection.query("SHOW server_version_num").first?.rows == [["\(version.number)"]])
    connection.close()
  }

  @Test func aQueryThatTakesTooLong() throws {
    var connection = try Connection.open(server.parameters("user=trust_user"))
    #expect(throws: PGError.timeout("waiting for a query's answer")) {
      try connection.query("SELECT pg_sleep(30)", timeout: .milliseconds(50))
    }
    #expect(throws: PGError.closed(.query)) { try connection.query("SELECT 1") }
    connection.close()
  }

  @Test func replication() throws {
    for mode in ["disable", "require"] {
      var connection = try Connection.open(
        server.parameters("user=trust_user sslmode=\(mode)"), replication: true)
      let system = try connection.query("IDENTIFY_SYSTEM")
      #expect(system.first?[first: "dbname"] == "postgres")
      #expect(throws: PGError.self) {
        try connection.startCopyBoth("START_REPLICATION SLOT \"none\" LOGICAL 0/0")
      }
      _ = try connection.query(
        "CREATE_REPLICATION_SLOT \"s_\(mode)\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
      try connection.startCopyBoth(
        "START_REPLICATION SLOT \"s_\(mode)\" LOGICAL 0/0 (proto_version '1', publication_names 'p')"
      )
      var parts = connection.intoParts()
      let isOpen = try parts.transport.receive(
        5, into: &parts.input, until: Deadline(after: .seconds(30)), what: "a keepalive")
      #expect(isOpen)
      let tag = MessageTag(rawValue: parts.input.readable[0])
      #expect(tag == .copyData)
    }
  }
}
