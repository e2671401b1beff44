import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// `status` and `config migrate` from outside.
  @Suite struct Status {
    private let server: PostgresServer
    private let directory: TemporaryDirectory
    private let url: String
    private let file: String

    init() throws {
      server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR ALL TABLES")
      directory = try TemporaryDirectory("status")
      let port = try FreePort.take()
      url = "http://127.0.0.1:\(port)"
      file = directory.file("run.toml")
      try FileBytes.write(
        """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:\(port)"
        [source.pg]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "p"
        replicationSlot = "status"
        [sink.out]
        type = "file"
        sources = ["pg"]
        path = "\(directory.file("out.ndjson"))"
        """, to: file)
    }

    private func status(_ more: String...) throws -> Subprocess.Output {
      try Subprocess.run(Binary.psqlStreamer, ["status", "--url", url] + more)
    }

    @Test func `A running instance is shown, its trouble is code 1, its absence an error`() throws {
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("the slot in use") {
        try Scenario.requireAlive(streamer)
        return try server.readSlots() == 1
      }
      try server.psql("INSERT INTO t VALUES (1), (2), (3)")
      try eventually("three delivered events") {
        let output = try status()
        guard output.termination == .exited(0) else { return false }
        return output.standardOutput.contains(/out +file +streaming +\S+ +0 B +3 +3 +0 +0 +0/)
      }
      try eventually("readiness") { try status("--ready").termination == .exited(0) }
      let shown = try status().standardOutput
      #expect(shown.contains("SOURCE") && shown.contains("at \(url): ok"))
      #expect(shown.contains(/pg +postgres +streaming/) && !shown.contains("\u{1B}"))

      try server.stop(.immediate)
      try eventually("trouble") { try status().termination == .exited(1) }
      let trouble = try status()
      #expect(trouble.standardOutput.contains("not ok"))
      #expect(trouble.standardOutput.contains("\npg: "))
      try server.start()
      streamer.send(SIGTERM)
      _ = try streamer.wait()

      let gone = try status()
      #expect(gone.termination == .exited(1) && gone.standardOutput.isEmpty)
      #expect(gone.standardError.split(separator: "\n").count == 1)
      #expect(gone.standardError.contains("connection refused"))
    }

    @Test func `--watch goes on until nobody reads`() throws {
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("an answer") { try status().termination == .exited(0) }
      let output = try Subprocess.run(
        "sh", ["-c", "'\(Binary.psqlStreamer)' status --url \(url) --watch | grep -m 2 SOURCE"])
      #expect(output.standardOutput.split(separator: "\n").count == 2)
      streamer.send(SIGTERM)
      _ = try streamer.wait()
    }

    @Test func `A server of another kind is named as such`() throws {
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["status", "--url", "http://127.0.0.1:\(server.port)"])
      #expect(output.termination == .exited(1))
      #expect(output.standardError.contains("does not speak HTTP"))
    }

    @Test func `The Go program's file comes out in today's form, and runs`() throws {
      let old = directory.file("old.toml")
      let text = try FileBytes.text(of: file)
        .replacing("store = ", with: "boltdb = ").replacing("positions.sqlite", with: "bolt.db")
      try FileBytes.write("# mine\ntickerInterval = \"5s\"\n\(text)", to: old)
      let output = try Subprocess.run(Binary.psqlStreamer, ["config", "migrate", old])
      #expect(output.termination == .exited(0), "\(output.standardError)")
      #expect(
        output.standardOutput.contains("# mine") && !output.standardOutput.contains("\nboltdb"))
      let new = directory.file("new.toml")
      try FileBytes.write(output.standardOutput, to: new)
      let check = try Subprocess.run(Binary.psqlStreamer, ["check", "-c", new])
      #expect(check.termination == .exited(0), "\(check.standardOutput)\(check.standardError)")

      let missing = try Subprocess.run(
        Binary.psqlStreamer, ["config", "migrate", directory.file("none.toml")])
      #expect(missing.termination == .exited(2) && missing.standardOutput.isEmpty)
    }
  }
}
