import Testing

@testable import PGWire

/// Connection strings as libpq reads them.
struct ConnectionStringTests {
  @Test(
    arguments: [
      ("", ""),
      ("   ", ""),
      ("host=a port=5 dbname=d", "host=a port=5 dbname=d"),
      (" host = a\tport\n=\r5 ", "host=a port=5"),
      ("host=  port=5", "host=port=5"),
      ("host='a'port=1", "host=a port=1"),
      ("host=a host=b", "host=b"),
      ("dbname='it''s'", nil),
      ("dbname='it\\'s'", "dbname='it\\'s'"),
      ("dbname=it\\'s\\ a\\\\b", "dbname='it\\'s a\\\\b'"),
      ("dbname=''", "dbname=''"),
      ("dbname=a\\", "dbname=a"),
      ("user=u password=geheim sslpassword=auch", "user=u password=*** sslpassword=***"),
      ("options='-c a=b'", "options='-c a=b'"),
      ("oauth_client_secret=x scram_client_key=y", "scram_client_key=*** oauth_client_secret=***"),
      ("hostx=a", nil), ("host", nil), ("host a", nil), ("dbname='open", nil), ("=a", nil),
      ("Host=a", nil), ("host=a b", nil), ("Postgresql://h/d", nil), ("host=a\0b", nil),
    ] as [(String, String?)])
  func keywordValue(text: String, expected: String?) {
    #expect((try? ConnectionString(text))?.description == expected)
  }

  @Test(
    arguments: [
      ("postgresql://", ""),
      ("postgres://h", "host=h"),
      ("postgresql://u@", "user=u"),
      ("postgresql://u:p@h:5/d", "host=h port=5 dbname=d user=u password=***"),
      ("postgresql://:p@h", "host=h password=***"),
      ("postgresql://h1:1,h2:2,h3/d", "host=h1,h2,h3 port=1,2, dbname=d"),
      ("postgresql://h1,h2", "host=h1,h2 port=,"),
      ("postgresql://[2001:db8::1]:5,[::1]/d", "host=2001:db8::1,::1 port=5, dbname=d"),
      ("postgresql:///d?host=/tmp&port=7", "host=/tmp port=7 dbname=d"),
      ("postgresql://%2Ftmp/d", "host=/tmp dbname=d"),
      ("postgresql://h/d?dbname=e&user=f", "host=h dbname=e user=f"),
      ("postgresql://a@b/?user=c", "host=b user=c"),
      ("postgresql://h?sslmode=require", "host=h sslmode=require"),
      ("postgresql://h/?ssl=true", "host=h sslmode=require"),
      ("postgresql://h/a%20b", "host=h dbname='a b'"),
      ("postgresql://h/a+b#c", "host=h dbname=a+b#c"),
      ("postgresql:// h /d", "host=h dbname=d"),
      ("postgresql://h/d?", "host=h dbname=d"),
      ("postgresql://h/d?options=-c%20a%3Db", "host=h dbname=d options='-c a=b'"),
      ("postgresql://h/d?ssl=1", nil), ("postgresql://h/d?x=y", nil),
      ("postgresql://h/d?user", nil), ("postgresql://h/d?user=a=b", nil),
      ("postgresql://[]/d", nil), ("postgresql://[::1/d", nil), ("postgresql://[::1]x/d", nil),
      ("postgresql://h/%", nil), ("postgresql://h/%4", nil), ("postgresql://h/%zz", nil),
      ("postgresql://h/a%00", nil), ("postgresql://h/a b", nil), ("postgresql://h/d?&user=a", nil),
    ] as [(String, String?)])
  func uri(text: String, expected: String?) {
    #expect((try? ConnectionString(text))?.description == expected)
  }

  @Test func userInfoEndsAtTheFirstAt() throws {
    let string = try ConnectionString("postgresql://user:p@ss@host/d")
    #expect(string.values[.password] == "p")
    #expect(string.values[.host] == "ss@host")
    let encoded = try ConnectionString("postgresql://user:p%40ss%3A@host/d")
    #expect(encoded.values[.password] == "p@ss:")
  }

  @Test func errorsShowNoPassword() throws {
    let strings = [
      "password=geheim geheim2 host=a", "password='geheim", "postgresql://u:ge%zzheim@h",
      "password=a geheim", "postgresql://u:geheim heim@h/d", "user=u password=geheim port=0",
      "postgresql://u:geheim/x@h/d", "postgresql://u:geheim", "postgresql://u:geheim,h:1/d",
      "postgresql://u:1,heim:x/y@h/d", "port=geheim",
    ]
    for text in strings {
      do {
        _ = try ConnectionParameters(ConnectionString(text))
        Issue.record("an error was expected")
      } catch {
        #expect(!"\(error)".contains("heim"), "\(error)")
      }
    }
  }

  /// As libpq reads it, `u:pass/word@h/d` names the host u and a port.
  @Test func aTornPasswordIsNotShown() throws {
    let torn = try ConnectionString("postgresql://u:ge/heim@h/d?user=v")
    #expect(torn.description == "host=*** port=*** dbname=*** user=v")
    #expect(
      try ConnectionString("postgresql://a:1,b:2/d").description == "host=a,b port=1,2 dbname=d")
    for (text, reason) in [
      ("postgresql://u:ge/heim@h/d", "the port is no number from 1 to 65535. If"),
      ("postgresql://a:1,u:ge/heim@h/d", "the port of host 2 is no number from 1 to 65535. If"),
      ("port=65536", #"port "65536" is no number from 1 to 65535"#),
      ("host=a,b port=1,0", #"port "0" of host 2 is no number from 1 to 65535"#),
    ] {
      do {
        _ = try ConnectionParameters(ConnectionString(text))
        Issue.record("an error was expected")
      } catch {
        #expect("\(error)".contains(reason), "\(error)")
      }
    }
  }
}

/// What connection parameters make of strings, environment and defaults.
struct ConnectionParametersTests {
  private func parameters(
    _ text: String, _ environment: [String: String] = [:]
  ) throws -> ConnectionParameters {
    try ConnectionParameters(ConnectionString(text), environment: environment)
  }

  @Test func precedence() throws {
    let environment = [
      "PGHOST": "e", "PGPORT": "7", "PGUSER": "eu", "PGPASSWORD": "ep", "PGSSLMODE": "require",
      "PGAPPNAME": "ea", "PGCONNECT_TIMEOUT": "3", "HOME": "/h",
    ]
    let merged = try parameters("host=s user=su", environment)
    #expect(merged.hosts == [.init(name: "s", address: nil, port: 7)])
    #expect(merged.user == "su")
    #expect(merged.database == "su")
    #expect(merged.password == "ep")
    #expect(merged.tls.mode == .require)
    #expect(merged.tls.trust == .file("/h/.postgresql/root.crt"))
    #expect(merged.applicationName == "ea")
    #expect(merged.connectTimeout == .seconds(3))
    #expect(merged.passfile == "/h/.pgpass")
    #expect(merged.description == "su@s:7/su sslmode=require")
  }

  @Test func defaults() throws {
    let plain = try parameters("")
    #expect(plain.hosts == [.init(name: nil, address: nil, port: 5432)])
    #expect(plain.hosts.first?.socketDirectory == "/var/run/postgresql")
    #expect(plain.user == ConnectionParameters.operatingSystemUser())
    #expect(plain.tls.mode == .prefer)
    #expect(plain.tls.minimumVersion == .tls1_2)
    #expect(plain.channelBinding == .prefer)
    #expect(plain.connectTimeout == nil)
  }

  @Test func listsOfHosts() throws {
    let three = try parameters("host=a,,/tmp hostaddr=1.1.1.1,2.2.2.2, port=1,,3")
    #expect(
      three.hosts == [
        .init(name: "a", address: "1.1.1.1", port: 1),
        .init(name: nil, address: "2.2.2.2", port: 5432),
        .init(name: "/tmp", address: nil, port: 3),
      ])
    #expect(three.hosts.map { $0.socketDirectory != nil } == [false, false, true])
    #expect(try parameters("host=a,b port=9").hosts.map(\.port) == [9, 9])
    #expect(try parameters("port=' 5 '").hosts.map(\.port) == [5])
  }

  @Test(arguments: [
    "port=0", "port=65536", "port=x", "port=-1", "host=a,b,c port=1,2", "host=a hostaddr=::1,::2",
    "hostaddr=b",
    "sslmode=strict", "sslmode=Require", "connect_timeout=x", "channel_binding=yes",
    "ssl_min_protocol_version=TLSv9", "sslrootcert=system sslmode=require",
    "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    "gssencmode=require", "sslkeylogfile=/tmp/keys", "servicefile=/tmp/file",
  ])
  func wrongValuesAreRefused(text: String) {
    #expect(throws: PGError.self) { try parameters(text) }
  }

  @Test func theSystemsAuthoritiesNeedTheName() throws {
    let tls = try parameters("sslrootcert=system").tls
    #expect(tls.mode == .verifyFull)
    #expect(tls.trust == .system)
  }
}

/// The password file.
struct PassfileTests {
  private let file = Passfile(
    Array(
      """
      # comment:1:d:u:no
      db:5432:d:u:exact
      *:5433:*:*:any host
       db:5432:d:u:leading space
      a\\:b:1:d:u:escaped\\:colon\\\\
      empty:1:d:u:
      rest:1:d:u:pass:ignored
      localhost:5432:*:u:local\r
      short:1:d
      *:*:*:star:last

      """.utf8))

  @Test(
    arguments: [
      ("db", 5432, "d", "u", "exact"), ("x", 5433, "y", "z", "any host"),
      (" db", 5432, "d", "u", "leading space"), ("a:b", 1, "d", "u", "escaped:colon\\"),
      ("empty", 1, "d", "u", ""), ("rest", 1, "d", "u", "pass"),
      ("localhost", 5432, "x", "u", "local"), ("db", 5432, "d", "U", nil),
      ("# comment", 1, "d", "u", nil), ("short", 1, "d", "u", nil), ("q", 1, "d", "star", "last"),
    ] as [(String, UInt16, String, String, String?)])
  func firstMatchWins(
    host: String, port: UInt16, database: String, user: String, expected: String?
  ) {
    #expect(
      file.password(host: host, port: port, database: database, user: user) == expected)
  }

  @Test func descriptionHidesEverything() {
    #expect(file.description == "passfile with 10 lines")
  }

  @Test func theNameOfAHost() {
    func name(_ name: String?, _ address: String?) -> String {
      ConnectionParameters.Host(name: name, address: address, port: 1).passfileName
    }
    #expect(name("db", "1.1.1.1") == "db")
    #expect(name(nil, "1.1.1.1") == "1.1.1.1")
    #expect(name(nil, nil) == "localhost")
    #expect(name("/var/run/postgresql", nil) == "localhost")
    #expect(name("/elsewhere", nil) == "/elsewhere")
  }
}
