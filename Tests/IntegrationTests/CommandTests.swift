import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// The commands beside `run`, from outside.
  @Suite struct Commands {
    @Test func `--version names the libraries, --help the commands`() throws {
      let version = try Subprocess.check(Binary.psqlStreamer, ["--version"])
      #expect(version.contains("psql-streamer"))
      #expect(version.contains("librdkafka") && version.contains("OpenSSL"))
      let help = try Subprocess.check(Binary.psqlStreamer, ["--help"])
      for command in ["run", "demo", "check", "tail", "status", "config migrate"] {
        #expect(help.contains(command))
      }
      // What a package holds of it, without a configuration or a server.
      #expect(try Subprocess.check(Binary.psqlStreamer, ["help", "--man"]).hasPrefix(".TH PSQL"))
      #expect(
        try Subprocess.check(Binary.psqlStreamer, ["completions", "zsh"]).hasPrefix("#compdef"))
      let shell = try Subprocess.run(Binary.psqlStreamer, ["completions", "csh"])
      #expect(shell.termination == .exited(2) && shell.standardError.contains("bash, zsh, fish"))
      #expect(
        try Subprocess.run(Binary.psqlStreamer, ["no-such-command"]).termination == .exited(2))
      #expect(
        try Subprocess.run(Binary.psqlStreamer, ["run", "--no-such-option"]).termination
          == .exited(2))
    }

    @Test func `tail prints changes as they commit, and leaves nothing behind`() throws {
      let server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
      let tail = try Subprocess(
        Binary.psqlStreamer, ["tail", server.dsn(), "--table", "public.t"])
      try eventually("the temporary slot in use") {
        try Scenario.requireAlive(tail)
        return try server.readSlots() == 1
      }
      try server.psql("INSERT INTO u VALUES (1); INSERT INTO t VALUES (2)")
      try eventually("the line of the insert") { tail.standardOutput.contains("\n") }
      let event = try JSON(String(tail.standardOutput.split(separator: "\n")[0]))
      #expect(event["Table"]?.string == "t" && event["Columns"]?["id"]?.int == 2)
      tail.send(SIGINT)
      #expect(try tail.wait() == .exited(0))
      try eventually("no slot and no publication") {
        try server.psql(
          """
          SELECT (SELECT count(*) FROM pg_replication_slots)
            + (SELECT count(*) FROM pg_publication)
          """) == "0"
      }
    }

    @Test(.needsKafka) func `check changes nothing and tells what fails`() throws {
      let scenario = try Scenario("check", tables: "CREATE TABLE t (id int PRIMARY KEY)")
      try scenario.broker.createTopic(scenario.name)
      let file = scenario.directory.file("check.toml")
      try FileBytes.write(scenario.configuration, to: file)
      let good = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--json", "--config", file], within: .seconds(90))
      #expect(good.termination == .exited(0), "\(good.standardOutput)\(good.standardError)")
      #expect(try JSON(good.standardOutput).elements.allSatisfy { $0["result"]?.string != "fail" })
      #expect(
        try scenario.psql(
          "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '\(scenario.slot)'") == "0")
      try scenario.psql("DROP PUBLICATION everything")
      let bad = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--json", "--config", file], within: .seconds(90))
      #expect(bad.termination == .exited(3))
      #expect(try JSON(bad.standardOutput).elements.contains { $0["result"]?.string == "fail" })
    }

    /// Every record that has to come of a format is waited for, and none may come twice.
    @Test(arguments: [
      ("psql-streamer", #""Action":"insert""#), ("flat", #""__deleted":"true""#),
      ("avro", #""op":"t""#), ("protobuf", #""op":"t""#),
    ])
    func `demo shows rows and cleans up behind itself`(format: String, shown: String) throws {
      let folder = try TemporaryDirectory("demo")
      try Subprocess.check("chmod", ["1777", folder.path])
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["demo", "--format", format], environment: ["TMPDIR": folder.path],
        within: .seconds(120))
      #expect(output.termination == .exited(0), "\(output.standardError)")
      #expect(output.standardOutput.contains(shown))
      #expect(try Subprocess.check("ls", ["-A", folder.path]).isEmpty)
    }
  }
}
