import Support
import Testing

@testable import PGWire

/// What differs between the versions of real servers when connecting.
@Suite(.serialized)
struct VersionsConnectionTests {
  private static let versions = [13, 15, 16, 17, 18].filter(isInstalled)

  private static func isInstalled(_ version: Int) -> Bool {
    Requirement.present(
      PostgresPrograms.installed[version] != nil,
      else: "no PostgreSQL \(version): run make servers")
  }

  private func open(
    _ text: String, replication: Bool = false
  ) throws(PGError) -> Connection {
    try Connection.open(
      ConnectionParameters(ConnectionString(text)), replication: replication,
      timeout: .seconds(20))
  }

  private func failure(_ text: String, replication: Bool = false) -> PGError? {
    do throws(PGError) {
      let connection = try open(text, replication: replication)
      connection.close()
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: versions) func protocolVersions(version: Int) throws {
    let server = try PostgresServer(version: version)
    for (keywords, replication) in [("", false), ("max_protocol_version=latest", true)] {
      var connection = try open(
        server.dsn(more: "sslmode=disable \(keywords)"), replication: replication)
      let isNew = version >= 18 && !keywords.isEmpty
      let (spoken, key) = (connection.protocolVersion, connection.keyData?.secretKey.count)
      #expect(spoken == (isNew ? .v3_2 : .v3_0))
      #expect(key == (isNew ? 32 : 4))
      #expect(try connection.query("SELECT 1").first?.rows == [["1"]])
      try checkCancelling(&connection, server)
      connection.close()
    }
    let strict = failure(server.dsn(more: "sslmode=disable min_protocol_version=3.2"))
    if version >= 18 {
      #expect(strict == nil)
    } else {
      guard case .protocol(_, _, .some(.negotiateProtocolVersion)) = strict else {
        Issue.record("\(String(describing: strict))")
        return
      }
    }
  }

  /// Cancels a query as soon as the server works on it.
  private func checkCancelling(
    _ connection: inout Connection, _ server: PostgresServer
  ) throws {
    let (offered, pid) = (connection.cancelRequest, connection.backendProcessID ?? 0)
    let cancel = try #require(offered)
    let canceller = BackgroundThread {
      try? eventually("a query to cancel") {
        try server.psql("SELECT state FROM pg_stat_activity WHERE pid = \(pid)") == "active"
      }
      try? cancel.send()
    }
    do throws(PGError) {
      _ = try connection.query("SELECT pg_sleep(60)")
      Issue.record("the query was expected to be cancelled")
    } catch {
      #expect(error.sqlState == "57014")
    }
    canceller.join()
    #expect(try connection.query("SELECT 2").first?.rows == [["2"]])
  }

  @Test(.needsPostgres(17)) func directTLS() throws {
    let certificates = try TestCertificates()
    let server = try PostgresServer(
      tls: .init(
        certificate: certificates.serverCertificate, key: certificates.serverKey,
        clientAuthority: certificates.authority), version: 17)
    try server.psql("SET password_encryption = 'scram-sha-256'; ALTER ROLE postgres PASSWORD 'p'")
    try server.writeHBA(["local all all trust", "hostssl all all 127.0.0.1/32 scram-sha-256"])
    try server.reload()
    let trust = "sslrootcert=\(certificates.authority) sslmode=verify-full channel_binding=require"
    for negotiation in ["direct", "postgres"] {
      var connection = try open(
        server.dsn(password: "p", more: "\(trust) sslnegotiation=\(negotiation)"))
      let (isEncrypted, cancel) = (connection.isEncrypted, connection.cancelRequest)
      #expect(isEncrypted)
      #expect(cancel?.encryption == (negotiation == "direct" ? .direct : .requested))
      #expect(try connection.query("SELECT 1").first?.rows == [["1"]])
      try checkCancelling(&connection, server)
      connection.close()
      // A certificate that must be shown: the server asks for one, and gets none or one.
      let demand = "\(trust) sslcertmode=require sslnegotiation=\(negotiation)"
      guard case .authentication(let reason) = failure(server.dsn(password: "p", more: demand))
      else {
        Issue.record("a missing certificate was expected to be said")
        return
      }
      #expect(reason.contains("without a certificate"))
      let own = "sslcert=\(certificates.clientCertificate) sslkey=\(certificates.clientKey)"
      #expect(failure(server.dsn(password: "p", more: "\(demand) \(own)")) == nil)
      #expect(
        failure(server.dsn(password: "p", more: "\(trust) \(own) sslcertmode=disable")) == nil)
    }
  }

  /// Up to 16, a server hangs up on TLS that it was not asked about.
  @Test(.needsPostgres(15)) func directTLSOfAnOldServer() throws {
    let certificates = try TestCertificates()
    let server = try PostgresServer(
      tls: .init(certificate: certificates.serverCertificate, key: certificates.serverKey),
      version: 15)
    let error = failure(server.dsn(more: "sslmode=require sslnegotiation=direct"))
    guard case .connect(_, let reason) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reason.contains("Servers before 17"))
    // It has no authority for clients, so it asks for no certificate.
    guard
      case .authentication(let text) = failure(
        server.dsn(more: "sslmode=require sslcertmode=require"))
    else {
      Issue.record("a server that asks for no certificate was expected to be refused")
      return
    }
    #expect(text.contains("did not request"))
    #expect(failure(server.dsn(more: "sslmode=require")) == nil)
  }

  /// 13 has to be asked, 15 says it itself.
  @Test(arguments: [13, 15].filter(isInstalled)) func standby(version: Int) throws {
    let primary = try PostgresServer(version: version)
    let standby = try Standby(of: primary)
    func port(_ ports: [Int], _ keywords: String, replication: Bool = false) throws -> Int {
      let list = ports.map { "\($0)" }.joined(separator: ",")
      let connection = try open(
        "host=127.0.0.1,127.0.0.1 port=\(list) user=postgres dbname=postgres sslmode=disable "
          + keywords, replication: replication)
      let port = connection.host.port
      connection.close()
      return Int(port)
    }
    let both = [[primary.port, standby.port], [standby.port, primary.port]]
    for ports in both {
      for target in ["primary", "read-write"] {
        #expect(try port(ports, "target_session_attrs=\(target)") == primary.port)
        #expect(
          try port(ports, "target_session_attrs=\(target)", replication: true) == primary.port)
      }
      for target in ["standby", "read-only", "prefer-standby"] {
        #expect(try port(ports, "target_session_attrs=\(target)") == standby.port)
      }
      #expect(try port(ports, "target_session_attrs=any") == ports[0])
      // A setting of the session makes a primary read-only, too.
      let readOnly = "options='-c default_transaction_read_only=on' target_session_attrs="
      #expect(try port(ports, readOnly + "read-only") == ports[0])
    }
    let alone = [primary.port, primary.port]
    #expect(try port(alone, "target_session_attrs=prefer-standby") == primary.port)
    #expect(throws: PGError.self) { try port(alone, "target_session_attrs=standby") }
    #expect(throws: PGError.self) {
      try port([standby.port, standby.port], "target_session_attrs=primary")
    }
  }
}
