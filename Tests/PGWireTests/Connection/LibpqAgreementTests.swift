import Support
import Testing

@testable import PGWire

/// The same strings for libpq, by psql, and for us: both take them, or neither does.
///
/// The strings name a socket directory that does not exist, so that psql either complains of the
/// string or fails to connect.
struct LibpqAgreementTests {
  /// Our judgement and that of psql; nil where this version cannot be asked.
  private func psqlAccepts(
    _ text: String, version: Int, environment: [String: String] = [:]
  ) throws -> Bool? {
    guard let folder = Self.folder(version) else { return nil }
    let output = try Subprocess.run(
      "\(folder)/psql", ["-X", "-w", text, "-c", ""], environment: environment)
    let complaint = output.standardError
    #expect(output.termination != .exited(0), "psql got a connection with \(text)")
    return complaint.contains("connection to server") || complaint.contains("could not translate")
      || complaint.contains("root certificate file")
  }

  /// Where a version's psql lies; without it the reason is printed and there is nothing to compare.
  private static func folder(_ version: Int) -> String? {
    let folder = PostgresPrograms.installed[version]
    let isThere = Requirement.present(
      folder != nil, else: "no psql of PostgreSQL \(version): run make servers")
    return isThere ? folder : nil
  }

  private func isAccepted(_ text: String, environment: [String: String] = [:]) -> Bool {
    do throws(PGError) {
      _ = try ConnectionParameters(ConnectionString(text), environment: environment)
      return true
    } catch {
      return false
    }
  }

  private static let nowhere = "host=/nonexistent "

  private static let strings = [
    "port=1", "port=+5", "port=' 5 '", "port='5 x'", "port=0", "port=65535", "port=65536", "port=x",
    "port=", "user=", "dbname=''", "dbname='a b'", "dbname=a\\ b", "dbname='a", "foo=1", "=1",
    "user", "user =x", "user= x", "USER=x", "user=x user=y", "options='-c a=b'", "tty=x",
    "authtype=x",
    "connect_timeout=1", "connect_timeout=-1", "keepalives=0", "tcp_user_timeout=5",
    "target_session_attrs=any", "target_session_attrs=read-write",
    "target_session_attrs=read-only", "target_session_attrs=primary",
    "target_session_attrs=standby", "target_session_attrs=prefer-standby",
    "target_session_attrs=ANY", "target_session_attrs=master", "target_session_attrs=",
    "load_balance_hosts=disable", "load_balance_hosts=random", "load_balance_hosts=Random",
    "load_balance_hosts=",
    "require_auth=password", "require_auth=md5,scram-sha-256", "require_auth=!none",
    "require_auth=!md5,!gss", "require_auth=md5,!gss", "require_auth=!md5,gss",
    "require_auth=md5,md5", "require_auth=md5,", "require_auth=,md5", "require_auth='md5, gss'",
    "require_auth=MD5", "require_auth=", "require_auth=sspi,none", "require_auth=!",
    "channel_binding=require", "channel_binding=prefer", "channel_binding=disable",
    "channel_binding=yes", "channel_binding=",
    "gssencmode=disable", "gssencmode=prefer", "gssencmode=x", "gssencmode=allow",
    "sslmode=disable", "sslmode=allow", "sslmode=prefer", "sslmode=x", "sslmode=Require",
    "sslmode=", "ssl_min_protocol_version=TLSv1.2", "ssl_min_protocol_version=tlsv1.3",
    "ssl_min_protocol_version=x", "ssl_max_protocol_version=SSLv3",
    "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    "ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2",
    "sslcertmode=allow", "sslcertmode=disable", "sslcertmode=x", "sslnegotiation=postgres",
    "sslnegotiation=x", "sslcompression=1", "sslsni=0", "requirepeer=postgres",
    "krbsrvname=x", "gsslib=gssapi", "gssdelegation=1", "replication=database",
    "client_encoding=LATIN1", "sslpassword=geheim", "servicefile=/x", "service=nowhere",
    "service=''", "host=a,b port=1,2,3", "host=,/nonexistent port=1,2", "hostaddr=1.1.1.1,2.2.2.2",
    "hostaddr=foo", "hostaddr=/tmp",
  ]

  @Test(arguments: [17, 18]) func keywordsAndValues(version: Int) throws {
    for text in Self.strings {
      let whole = Self.nowhere + text
      guard let expected = try psqlAccepts(whole, version: version) else { return }
      #expect(isAccepted(whole) == expected, "psql \(version) takes \(text): \(expected)")
    }
  }

  @Test(arguments: [17, 18]) func uris(version: Int) throws {
    for text in [
      "postgresql://%2Fnonexistent", "postgres://%2Fnonexistent/d",
      "postgresql://%2Fnonexistent:5/d",
      "postgresql://u:p@%2Fnonexistent/d", "postgresql:///d?host=/nonexistent",
      "postgresql://%2Fnonexistent,%2Fnone:7/d", "postgresql://%2Fnonexistent/d?ssl=true",
      "postgresql://%2Fnonexistent/d?ssl=1", "postgresql://%2Fnonexistent/d?x=y",
      "postgresql://%2Fnonexistent/d?user", "postgresql://%2Fnonexistent/d?user=a=b",
      "postgresql://%2Fnonexistent/d?user=a&", "postgresql://%2Fnonexistent/d?&user=a",
      "postgresql://%2Fnonexistent/%", "postgresql://%2Fnonexistent/%zz",
      "postgresql://%2Fnonexistent/a%00", "postgresql://%2Fnonexistent/a b",
      "postgresql://%2Fnonexistent/ a ", "postgresql://%2Fnonexistent:x/d",
      "postgresql://%2Fnonexistent:/d", "postgresql://%2Fnonexistent/d?", "postgresql://[]/d",
      "postgresql://[::1/d", "postgresql://[::1]x/d",
      "postgresql://%2Fnonexistent/d?sslmode=disable&application_name=a%20b",
      "postgresql://%2Fnonexistent?dbname=d", "postgresql://%2Fnonexistent/d#f",
      "postgresql://%2Fnonexistent/d?target_session_attrs=primary",
      "postgresql://%2Fnonexistent/d?target_session_attrs=x", "postgresql://@%2Fnonexistent",
      "postgresql://:@%2Fnonexistent", "postgresql://u:a:b@%2Fnonexistent",
    ] {
      guard let expected = try psqlAccepts(text, version: version) else { return }
      // libpq built without TLS does not know JDBC's word for it; spaces inside are errors from 18 on.
      if version == 18, text.contains("ssl=true") { continue }
      if version == 17, text.contains("a b") { continue }
      #expect(isAccepted(text) == expected, "psql \(version) takes \(text): \(expected)")
    }
  }

  /// The ports that psql names in its complaint, host by host, and ours.
  @Test(
    arguments: [17, 18],
    [
      "postgresql://%2Fnonexistent/d", "postgresql://%2Fnonexistent,%2Fnone/d",
      "postgresql://%2Fnonexistent:5,%2Fnone/d", "postgresql://%2Fnonexistent,%2Fnone:6/d",
      "postgresql://%2Fnonexistent:/d", "postgresql://%2Fnonexistent:,%2Fnone:/d",
      "postgresql:///d?host=/nonexistent,/none", "host=/nonexistent,/none",
      "host=/nonexistent,/none port=,", "host=/nonexistent,/none port=5",
    ])
  func ports(version: Int, text: String) throws {
    let environment = ["PGPORT": "7"]
    guard let folder = Self.folder(version) else { return }
    let output = try Subprocess.run(
      "\(folder)/psql", ["-X", "-w", text, "-c", ""], environment: environment)
    let theirs = output.standardError.split(separator: ".s.PGSQL.").dropFirst()
      .compactMap { UInt16($0.prefix { $0.isNumber }) }
    let parameters = try ConnectionParameters(ConnectionString(text), environment: environment)
    #expect(parameters.hosts.map(\.port) == theirs, "psql: \(output.standardError)")
  }

  /// What only one of the two psql can be asked: 17 is built with TLS, 18 has protocol 3.2.
  @Test(arguments: [
    (17, "sslnegotiation=direct"), (17, "sslnegotiation=direct sslmode=prefer"),
    (17, "sslnegotiation=direct sslmode=require"), (17, "sslmode=require"),
    (17, "sslnegotiation=direct sslmode=verify-full"), (17, "sslcertmode=require"),
    (17, "sslrootcert=system"), (17, "sslrootcert=system sslmode=require"),
    (17, "sslrootcert=system sslmode=verify-ca"), (17, "sslrootcert=system sslmode=verify-full"),
    (17, "sslmode=verify-full"),
    (18, "max_protocol_version=3.0"), (18, "max_protocol_version=3.1"),
    (18, "max_protocol_version=3.2"), (18, "max_protocol_version=latest"),
    (18, "max_protocol_version=4.0"), (18, "max_protocol_version="),
    (18, "min_protocol_version=3.2"), (18, "min_protocol_version=3.1"),
    (18, "min_protocol_version=3.2 max_protocol_version=3.0"),
    (18, "min_protocol_version=latest max_protocol_version=latest"),
    (18, "require_auth=oauth"), (18, "scram_client_key=zz"), (18, "scram_server_key=AAAA"),
    (18, "scram_client_key=AAAA scram_server_key=AAAA"), (18, "oauth_scope=x"),
    (
      18,
      "scram_client_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "
        + "scram_server_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    ),
  ])
  func ofOneVersion(version: Int, text: String) throws {
    let whole = Self.nowhere + text
    guard let expected = try psqlAccepts(whole, version: version) else { return }
    #expect(isAccepted(whole) == expected, "psql \(version) takes \(text): \(expected)")
  }

  /// Where we are stricter, on purpose (docs/CONNECTING.md).
  @Test(arguments: [
    "connect_timeout=x", "sslsni=x", "keepalives=x", "tcp_user_timeout=x", "sslkeylogfile=/x",
    "scram_client_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  ])
  func stricter(text: String) throws {
    let whole = Self.nowhere + text
    #expect(!isAccepted(whole))
    guard let theirs = try psqlAccepts(whole, version: 18) else { return }
    #expect(theirs)
  }

  /// Each variable with a value that its keyword refuses: it is read when that is refused.
  @Test(arguments: [
    ("PGPORT", "x"), ("PGHOSTADDR", "x"), ("PGSSLMODE", "x"), ("PGCHANNELBINDING", "x"),
    ("PGREQUIREAUTH", "x"), ("PGGSSENCMODE", "x"), ("PGTARGETSESSIONATTRS", "x"),
    ("PGLOADBALANCEHOSTS", "x"), ("PGSSLNEGOTIATION", "x"), ("PGSSLCERTMODE", "x"),
    ("PGSSLMINPROTOCOLVERSION", "x"), ("PGSSLMAXPROTOCOLVERSION", "x"), ("PGSERVICE", "x"),
    ("PGMINPROTOCOLVERSION", "x"), ("PGMAXPROTOCOLVERSION", "x"), ("PGUNKNOWN", "x"),
    ("PGUSER", "x"), ("PGDATABASE", "x"), ("PGPASSWORD", "x"), ("PGPASSFILE", "x"),
    ("PGOPTIONS", "x"), ("PGAPPNAME", "x"), ("PGREQUIREPEER", "x"), ("PGSSLCERT", "x"),
    ("PGSSLKEY", "x"), ("PGSSLROOTCERT", "x"), ("PGSSLCRL", "x"), ("PGSSLCRLDIR", "x"),
    ("PGCLIENTENCODING", "UTF8"), ("PGKRBSRVNAME", "x"), ("PGGSSLIB", "x"), ("PGTZ", "x"),
    ("PGDATESTYLE", "x"), ("PGGEQO", "x"), ("PGREQUIRESSL", "0"),
  ])
  func variables(name: String, value: String) throws {
    let text = "host=/nonexistent"
    let environment = [name: value]
    guard let expected = try psqlAccepts(text, version: 18, environment: environment) else {
      return
    }
    #expect(isAccepted(text, environment: environment) == expected, "psql: \(expected)")
  }
}
