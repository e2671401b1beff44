import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// What people meet around the stream: secrets in a dsn, one source's trouble, exit codes, and
  /// the commands that keep and end a source's life.
  @Suite struct Shell {
    private static let secret = "s3cret sslmode=disable host=evil.invalid 'x @%2f"
    private let server: PostgresServer
    private let directory: TemporaryDirectory
    private let port: Int

    init() throws {
      server = try PostgresServer(hba: [
        "local all all trust", "host all postgres 127.0.0.1/32 trust",
        "host all all 127.0.0.1/32 scram-sha-256",
      ])
      try server.psql(
        """
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE PUBLICATION everything FOR ALL TABLES;
        CREATE ROLE streamer SUPERUSER LOGIN REPLICATION PASSWORD
          '\(Self.secret.replacing("'", with: "''"))'
        """)
      directory = try TemporaryDirectory("shell")
      port = try FreePort.take()
    }

    /// A source; its name is its slot's.
    private func source(_ name: String, dsn: String? = nil, _ lines: String...) -> String {
      """
      [source.\(name)]
      type = "postgres"
      dsn = "\(dsn ?? server.dsn())"
      publication = "everything"
      replicationSlot = "\(name)"
      startRetryInterval = "200ms"
      \(lines.joined(separator: "\n"))
      """
    }

    private func write(_ top: String, _ sources: [(name: String, text: String)]) throws -> String {
      let file = directory.file("shell.toml")
      let names = sources.map { "\"\($0.name)\"" }.joined(separator: ", ")
      try FileBytes.write(
        """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:\(port)"
        startTimeout = "2s"
        \(top)
        \(sources.map(\.text).joined(separator: "\n"))
        [sink.out]
        type = "file"
        sources = [\(names)]
        path = "\(directory.file("out"))-{source}"
        """, to: file)
      return file
    }

    private func run(_ arguments: String...) throws -> Subprocess.Output {
      try Subprocess.run(Binary.psqlStreamer, arguments, within: .seconds(60))
    }

    private func waitUntilActive(_ slot: String, _ streamer: Subprocess) throws {
      try eventually(within: .seconds(60), "the slot \(slot) in use") {
        try Scenario.requireAlive(streamer)
        return try server.readSlots("slot_name = '\(slot)'") == 1
      }
    }

    private var slots: String {
      get throws {
        try server.psql("SELECT slot_name FROM pg_replication_slots ORDER BY 1")
          .replacing("\n", with: " ")
      }
    }

    @Test func `U3, U10, A11: secrets are values, and one source's trouble stays with it`() throws {
      let secret = directory.file("secret")
      try FileBytes.write(Self.secret + "\n", to: secret)
      let reference = "${file:\(secret)}"
      let keywords = "host=127.0.0.1 port=\(server.port) user=streamer password=\(reference)"
      let file = try write(
        "",
        [
          ("one", source("one", dsn: "\(keywords) dbname=postgres")),
          (
            "two",
            source("two", dsn: "postgres://streamer:\(reference)@127.0.0.1:\(server.port)/postgres")
          ),
          ("lost", source("lost").replacing("\"everything\"", with: "\"nothing\"")),
          ("far", source("far", dsn: "host=127.0.0.1 port=1 user=u dbname=d")),
        ])
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      for slot in ["one", "two"] { try waitUntilActive(slot, streamer) }
      // Longer than startTimeout: what came through goes on.
      pause(.seconds(3))
      try server.psql("INSERT INTO t VALUES (1)")
      try eventually("both have it") {
        try Scenario.requireAlive(streamer)
        return try ["one", "two"].allSatisfy {
          try !FileBytes.text(of: directory.file("out-\($0)")).isEmpty
        }
      }
      let status = try run("status", "--url", "http://127.0.0.1:\(port)").standardOutput
      #expect(status.contains(/lost +postgres +failed/) && status.contains("\"nothing\""))
      #expect(try slots == "one two")
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(3))
      let said = streamer.standardError.split(separator: "\n").filter { $0.hasPrefix("psql-str") }
      #expect(said.count == 1 && !streamer.standardError.contains("evil"), "\(said)")
    }

    @Test func `U10: with "stop" all end`() throws {
      let file = try write(
        "onSourceFailure = \"stop\"",
        [
          ("good", source("good")),
          ("lost", source("lost").replacing("\"everything\"", with: "\"nothing\"")),
        ])
      #expect(try run("run", "--config", file).termination == .exited(3))
    }

    @Test func `U8, U13: positions are shown and moved, a renamed slot is named, all is dropped`()
      throws
    {
      let file = try write("", [("one", source("one"))])
      var streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try waitUntilActive("one", streamer)
      let busy = try run("drop", "--config", file, "--yes")
      #expect(busy.termination == .exited(1) && busy.standardError.contains("in use by process"))
      let standby = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("a standby") { standby.standardError.contains("waiting as a standby") }
      #expect(standby.standardError.contains("in use by process"))
      standby.send(SIGTERM)
      #expect(try standby.wait(within: .seconds(60)) == .exited(0))
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))

      let shown = try run("position", "show", "--config", file)
      #expect(shown.standardOutput.contains(/one +out +[0-9A-F]+\/[0-9A-F]+ +one +postgres/))
      let unasked = try run("position", "set", "0/1", "--config", file)
      #expect(unasked.termination == .exited(2) && unasked.standardError.contains("--yes"))
      #expect(try run("position", "show", "--config", file).standardOutput == shown.standardOutput)
      let moved = try run("position", "set", "0/1", "--config", file, "--yes")
      #expect(moved.termination == .exited(0) && moved.standardError.contains("comes again"))
      #expect(try run("run", "--config", file).termination == .exited(3))
      #expect(try run("position", "reset", "--config", file, "--yes").termination == .exited(0))

      streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try waitUntilActive("one", streamer)
      streamer.send(SIGTERM)
      _ = try streamer.wait(within: .seconds(60))
      let renamed = try FileBytes.text(of: file).replacing("Slot = \"one\"", with: "Slot = \"new\"")
      try FileBytes.write(renamed, to: file)
      let refused = try run("run", "--config", file)
      #expect(refused.termination == .exited(3))
      #expect(refused.standardError.contains("the stored position belongs to slot \"one\""))
      streamer = try Subprocess(
        Binary.psqlStreamer, ["run", "--config", file, "--accept-gap", "one"])
      try waitUntilActive("new", streamer)
      streamer.send(SIGTERM)
      _ = try streamer.wait(within: .seconds(60))

      #expect(try slots == "new one")
      let dropped = try run("drop", "--config", file, "one", "--yes")
      #expect(dropped.termination == .exited(0), "\(dropped.standardError)")
      #expect(try slots == "one")
      #expect(try server.psql("SELECT count(*) FROM pg_publication") == "1")
      #expect(!(try run("position", "show", "--config", file).standardOutput.contains("postgres")))
    }

    @Test func `U7, U14: mistakes are found at load, and what cannot be written is said`() throws {
      let file = try write("", [("one", source("one", dsn: "hots=x"))])
      let (run, check) = (try run("run", "-c", file), try self.run("check", "-c", file))
      #expect(run.termination == .exited(2) && check.termination == .exited(2))
      #expect(run.standardError == check.standardError)
      #expect(run.standardError.contains("shell.toml:7: source.one.dsn"), "\(run.standardError)")
      let full = try Subprocess.run("sh", ["-c", "'\(Binary.psqlStreamer)' --help > /dev/full"])
      #expect(full.termination == .exited(1) && full.standardError.contains("no space left"))
      #expect(try self.run("run", file).standardError.contains("--config FILE"))
    }
  }
}
