import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// `demo` from outside: what it shows, and that nothing of it stays.
  @Suite struct Demo {
    private let folder: TemporaryDirectory

    init() throws {
      folder = try TemporaryDirectory("demo")
      try Subprocess.check("chmod", ["1777", folder.path])
    }

    private func launch() throws -> Subprocess {
      try Subprocess(Binary.psqlStreamer, ["demo"], environment: ["TMPDIR": folder.path])
    }

    /// No process that has anything to do with the demo's directory, and no file.
    private func expectNothingLeft() throws {
      #expect(try Subprocess.check("ls", ["-A", folder.path]).isEmpty)
      let processes = try Subprocess.check("ps", ["-eo", "args"])
      #expect(!processes.contains("\(folder.path)/psql-streamer-demo"))
    }

    @Test func `Every step's records are shown, and all changes arrive`() throws {
      let demo = try launch()
      #expect(try demo.wait(within: .seconds(120)) == .exited(0), "\(demo.standardError)")
      let output = demo.standardOutput
      for text in [
        #""Action":"insert""#, #""Action":"update""#, #""Action":"delete""#,
        #""Action":"truncate""#, #""Unchanged":["manual"]"#, "shop.public.orders", "20000 of 20000",
        #""Action":"read""#, "existing    3 rows", "committed   20009 changes",
        "captured    20012", "delivered   20012", "consumed    20012",
      ] {
        #expect(output.contains(text), "\(text)")
      }
      // What was rolled back, and what belongs to a terminal, is not there.
      #expect(!output.contains(#"{"id":99}"#))
      #expect(!output.contains("\r") && !output.contains("\u{1B}"))
      try expectNothingLeft()
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `A signal during the load ends it, and nothing stays`(signal: CInt) throws {
      let demo = try launch()
      try eventually("the load") { demo.standardOutput.contains("A load:") }
      demo.send(signal)
      #expect(try demo.wait(within: .seconds(30)) == .exited(1))
      #expect(demo.standardError.contains("psql-streamer: interrupted"))
      try expectNothingLeft()
    }

    @Test func `A signal while the server is being made ends it, and nothing stays`() throws {
      let demo = try launch()
      try eventually("the beginning") { demo.standardOutput.contains("Starting") }
      demo.send(SIGINT)
      #expect(try demo.wait(within: .seconds(30)) == .exited(1))
      try expectNothingLeft()
    }
  }
}
