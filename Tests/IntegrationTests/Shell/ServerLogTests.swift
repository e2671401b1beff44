import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// U23: what each command that reads a stream leaves in the server's log when it is told to end.
  @Suite struct ServerLog {
    /// Words of the server's lines for a client that went without a word.
    private static let complaints = [
      "FATAL", "ERROR", "PANIC", "could not send", "could not receive", "unexpected EOF",
    ]

    /// Rows of a megabyte, so that a stop finds most of them half read.
    @Test(arguments: ["tail", "record"])
    func `A clean stop leaves no complaint in the server's log`(command: String) throws {
      let server = try PostgresServer()
      let directory = try TemporaryDirectory("log")
      try server.psql(
        "CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
      let session = try server.session()
      for stop in 1...5 {
        let file = command == "record" ? ["-o", directory.file("\(stop).rec")] : []
        let reader = try Subprocess(
          Binary.psqlStreamer, [command, server.dsn(), "-p", "p"] + file)
        try eventually("the slot in use") {
          try Scenario.requireAlive(reader)
          return try server.readSlots() == 1
        }
        try session.run(
          """
          INSERT INTO t (v) SELECT repeat('x', 1000000) FROM generate_series(1, \(stop * 3)) i
          """)
        reader.send(SIGTERM)
        #expect(try reader.wait() == .exited(0), "\(reader.standardError)")
        try eventually("no slot") {
          try server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
        }
      }
      session.close()
      let lines = server.log.split(separator: "\n").filter { line in
        Self.complaints.contains { line.contains($0) }
      }
      #expect(lines == [])
    }
  }
}
