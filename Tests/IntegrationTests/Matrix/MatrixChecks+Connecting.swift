import PGWire
import Support

@testable import Streamer

extension MatrixChecks {
  static let connecting: [MatrixCheck] = [
    MatrixCheck(.connecting, "TCP") { server in
      try login(server, "host=127.0.0.1 user=postgres sslmode=disable", encrypted: false)
    },
    MatrixCheck(.connecting, "Unix socket") { server in
      try login(server, "host=\(server.postgres.socketDirectory) user=postgres", encrypted: false)
    },
    MatrixCheck(.connecting, "TLS, verify-full") { server in
      try login(
        server,
        "host=127.0.0.1 user=postgres sslmode=verify-full "
          + "sslrootcert=\(server.certificates.authority)", encrypted: true)
    },
    MatrixCheck(.connecting, "MD5 password") { server in
      try login(
        server, "host=127.0.0.1 user=md5 password=secret sslmode=disable", encrypted: false)
    },
    MatrixCheck(.connecting, "SCRAM-SHA-256") { server in
      try login(
        server, "host=127.0.0.1 user=scram password=secret sslmode=disable", encrypted: false)
    },
    MatrixCheck(.connecting, "SCRAM-SHA-256-PLUS, channel binding", since: 11) { server in
      try login(
        server,
        "host=127.0.0.1 user=plus password=secret sslmode=require channel_binding=require",
        encrypted: true)
    },
    MatrixCheck(.connecting, "A wrong password is 28P01, a missing database 3D000") { server in
      let password = try server.refusal {
        _ = try login(server, "host=127.0.0.1 user=scram password=x", encrypted: false)
      }
      let database = try server.refusal { try server.open(database: "none").close() }
      return password == "28P01" && database == "3D000"
        ? .works() : .absent("\(password ?? "none"), \(database ?? "none")")
    },
    MatrixCheck(.connecting, "A role without REPLICATION is 42501") { server in
      try server.sql("CREATE ROLE plain LOGIN")
      let code = try server.refusal {
        let parameters = try MatrixServer.parameters(server.postgres.dsn(user: "plain"))
        try Connection.open(parameters, replication: true).close()
      }
      return code == "42501" ? .works() : .absent(code ?? "permitted")
    },
  ]

  static let settings: [MatrixCheck] = [
    setting("wal_sender_timeout", "30s", .sessionWALSenderTimeout),
    setting("logical_decoding_work_mem", "4MB", .decodingMemory),
    setting("idle_session_timeout", "0", .idleSessionTimeout),
    MatrixCheck(.settings, "What the program asks for overrides role and database") { server in
      try server.sql(
        """
        CREATE ROLE odd LOGIN REPLICATION; ALTER ROLE odd SET datestyle = 'German';
        ALTER ROLE odd SET timezone = 'Asia/Kolkata'; ALTER ROLE odd SET bytea_output = 'escape'
        """)
      var connection = try Connection.open(
        MatrixServer.parameters(server.postgres.dsn(user: "odd")),
        startup: SessionSettings.startup(for: server.version), replication: false)
      let rows = try connection.query(
        """
        SELECT TIMESTAMPTZ '2024-02-29 12:00:00+00', '\\x00ff'::bytea, \
        current_setting('search_path')
        """)[0].rows
      connection.close()
      let read = rows[0].map { $0 ?? "" }
      return read == ["2024-02-29 12:00:00+00", "\\x00ff", ""]
        ? .works() : .absent(read.joined(separator: ", "))
    },
    MatrixCheck(.settings, "They are permitted in a walsender") { server in
      try server.seen {
        try server.open(startup: SessionSettings.startup(for: server.version)).close()
      }
    }.imitable,
  ]

  private static func login(
    _ server: MatrixServer, _ text: String, encrypted: Bool
  ) throws -> Seen {
    if encrypted, !server.speaksTLS { return .notBuilt }
    let parameters = try MatrixServer.parameters(
      "\(text) port=\(server.postgres.port) dbname=postgres")
    var connection = try Connection.open(parameters)
    let isEncrypted = connection.isEncrypted
    let rows = try connection.query("SELECT 1")[0].rows
    connection.close()
    guard rows == [["1"]], isEncrypted == encrypted else {
      return .absent(isEncrypted ? "encrypted" : "in clear")
    }
    return .works()
  }

  /// A setting in the startup packet; FATAL on servers that lack it or keep it for themselves.
  private static func setting(
    _ name: String, _ value: String, _ feature: ServerFeature
  ) -> MatrixCheck {
    MatrixCheck(.settings, name, feature) { server in
      try server.seen {
        var connection = try server.open(startup: [(name, value)])
        guard try connection.query("SHOW \(name)")[0].rows == [[value]] else {
          throw SupportError("\(name) was ignored")
        }
        connection.close()
      }
    }.imitable
  }
}
