import Support
import Testing

extension Integration.SecondThird {
  /// What a user gets wrong: one line that names the thing and the remedy, the exit code of
  /// edges.md §1, and no secret.
  @Suite struct BadInput {
    private static let secret = "s3cret-Pa55word"

    /// What a run must end with.
    private struct Expectation {
      let code: Int32
      /// Words of the error line, in any letter case.
      let words: [String]
    }

    /// Runs a configuration that must fail, and looks at what it says.
    private func expectFailure(
      _ configuration: String, _ expected: Expectation,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let directory = try TemporaryDirectory("bad")
      let file = directory.file("psql-streamer.toml")
      let text = configuration.replacing("STORE", with: directory.file("positions.sqlite"))
      try FileBytes.write(text, to: file)
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["run", "--config", file], within: .seconds(60))
      let said = output.standardError
      #expect(
        output.termination == .exited(expected.code), "\(said)", sourceLocation: sourceLocation)
      let lines = said.split(separator: "\n").filter { $0.hasPrefix("psql-streamer: ") }
      #expect(lines.count == 1, "\(said)", sourceLocation: sourceLocation)
      let line = String(lines.last ?? "").lowercased()
      for word in expected.words {
        #expect(
          line.contains(word.lowercased()), "no '\(word)' in: \(said)",
          sourceLocation: sourceLocation)
      }
      #expect(!said.contains(Self.secret), sourceLocation: sourceLocation)
      #expect(output.standardOutput.isEmpty, sourceLocation: sourceLocation)
    }

    private func configuration(
      dsn: String, source: String = "", sink: String = #"type = "stub_discard""#, top: String = ""
    ) -> String {
      """
      store = "STORE"
      http = "127.0.0.1:0"
      startTimeout = "2s"
      \(top)

      [source.pg]
      type = "postgres"
      dsn = "\(dsn)"
      publication = "everything"
      replicationSlot = "bad_input"
      startRetryInterval = "200ms"
      \(source)

      [sink.out]
      sources = ["pg"]
      \(sink)
      """
    }

    /// A server with the publication that the configuration names.
    private func server(
      settings: [String: String] = [:], hba: [String] = PostgresServer.trustEverybody,
      tls: PostgresServer.TLS? = nil
    ) throws -> PostgresServer {
      let server = try PostgresServer(settings: settings, hba: hba, tls: tls)
      try server.psql(
        """
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE PUBLICATION everything FOR ALL TABLES;
        CREATE ROLE streamer LOGIN REPLICATION PASSWORD '\(Self.secret)-right'
        """)
      return server
    }

    @Test func `A wrong password`() throws {
      let server = try server(hba: [
        "local all all trust", "host all all 127.0.0.1/32 scram-sha-256",
        "host replication all 127.0.0.1/32 scram-sha-256",
      ])
      try expectFailure(
        configuration(dsn: server.dsn(user: "streamer", password: Self.secret)),
        Expectation(code: 3, words: ["password", "streamer"]))
    }

    @Test func `An unknown host`() throws {
      try expectFailure(
        configuration(dsn: "host=nosuch.invalid user=u password=\(Self.secret) dbname=d"),
        Expectation(code: 1, words: ["nosuch.invalid"]))
    }

    @Test func `A port where nobody listens`() throws {
      let port = try FreePort.take()
      try expectFailure(
        configuration(dsn: "host=127.0.0.1 port=\(port) user=u password=\(Self.secret) dbname=d"),
        Expectation(code: 1, words: ["127.0.0.1", "\(port)"]))
    }

    @Test func `An unknown database`() throws {
      try expectFailure(
        configuration(dsn: Integration.postgres.dsn(database: "no_such_database")),
        Expectation(code: 3, words: ["no_such_database"]))
    }

    @Test func `A missing publication`() throws {
      try expectFailure(
        configuration(dsn: Integration.postgres.dsn())
          .replacing(#"publication = "everything""#, with: #"publication = "no_such_pub""#),
        Expectation(code: 3, words: ["publication", "no_such_pub", "create"]))
      // The slot is not left behind: it would hold WAL for ever.
      #expect(
        try Integration.postgres.psql(
          "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'bad_input'") == "0")
    }

    @Test func `A server without logical WAL`() throws {
      let server = try server(settings: ["wal_level": "replica"])
      try expectFailure(
        configuration(dsn: server.dsn()),
        Expectation(code: 3, words: ["wal_level", "replica", "logical"]))
    }

    @Test func `A slot of another plugin`() throws {
      let server = try server()
      try server.psql(
        "SELECT pg_create_logical_replication_slot('bad_input', 'test_decoding')")
      try expectFailure(
        configuration(dsn: server.dsn()),
        Expectation(code: 3, words: ["bad_input", "test_decoding", "replicationSlot"]))
    }

    @Test func `A certificate of an unknown authority, and one for another host`() throws {
      let certificates = try TestCertificates(serverNames: "DNS:elsewhere.example")
      let server = try server(
        tls: .init(certificate: certificates.serverCertificate, key: certificates.serverKey))
      func dsn(_ mode: String, _ authority: String) -> String {
        server.dsn(password: Self.secret, more: "sslmode=\(mode) sslrootcert=\(authority)")
      }
      try expectFailure(
        configuration(dsn: dsn("verify-ca", certificates.otherAuthority)),
        Expectation(code: 3, words: ["certificate", "sslrootcert"]))
      try expectFailure(
        configuration(dsn: dsn("verify-full", certificates.authority)),
        Expectation(code: 3, words: ["certificate", "127.0.0.1"]))
    }

    @Test func `An unknown key and a wrong type, with file and line`() throws {
      try expectFailure(
        configuration(dsn: "host=h password=\(Self.secret)", source: "replicationSlott = 1"),
        Expectation(
          code: 2, words: [".toml:12", "replicationSlott", "did you mean", "replicationSlot"]))
      try expectFailure(
        configuration(dsn: "host=h password=\(Self.secret)", source: "timeout = true"),
        Expectation(code: 2, words: [".toml:12", "source.pg.timeout", "true"]))
    }

    @Test func `No configuration file`() throws {
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["run", "--config", "no-such-file.toml"], within: .seconds(60))
      #expect(output.termination == .exited(2))
      #expect(output.standardError.contains("no-such-file.toml"))
    }

    @Test(.needsKafka) func `A missing topic`() throws {
      try expectFailure(
        configuration(
          dsn: Integration.postgres.dsn(database: try databaseWithPublication()),
          sink: """
            type = "kafka"
            hosts = ["\(Integration.kafka.bootstrap)"]
            topicFallback = "no.such.topic"
            """, top: ""),
        Expectation(code: 3, words: ["no.such.topic", "create"]))
    }

    @Test func `Kafka unreachable`() throws {
      let port = try FreePort.take()
      try expectFailure(
        configuration(
          dsn: Integration.postgres.dsn(database: try databaseWithPublication()),
          sink: """
            type = "kafka"
            hosts = ["127.0.0.1:\(port)"]
            topicFallback = "t"
            """),
        Expectation(code: 1, words: ["127.0.0.1:\(port)"]))
    }

    @Test(.needsKafka) func `A wrong password for Kafka`() throws {
      let broker = try KafkaBroker(secure: true)
      let listener = try #require(broker.listeners["SASL_PLAINTEXT"])
      try expectFailure(
        configuration(
          dsn: Integration.postgres.dsn(database: try databaseWithPublication()),
          sink: """
            type = "kafka"
            hosts = ["\(listener)"]
            topicFallback = "t"
            [sink.out.librdkafka]
            "security.protocol" = "SASL_PLAINTEXT"
            "sasl.mechanism" = "PLAIN"
            "sasl.username" = "alice"
            "sasl.password" = "\(Self.secret)"
            """
        ).replacing(#"startTimeout = "2s""#, with: #"startTimeout = "10s""#),
        Expectation(code: 3, words: [listener, "auth"]))
    }

    /// A database of the shared server that has the publication.
    private func databaseWithPublication() throws -> String {
      let server = try Integration.postgres
      let name = "bad_input_\(try FreePort.take())"
      try server.psql("CREATE DATABASE \(name)")
      try server.psql("CREATE PUBLICATION everything FOR ALL TABLES", database: name)
      return name
    }
  }
}
