import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// What the program does while a server is away.
  @Suite(.needsKafka) struct Outage {
    /// A deadline that never moved on once kept the thread spinning from the first missed status
    /// update to the server's return.
    @Test func `While PostgreSQL is away the program sleeps, then goes on`() throws {
      let postgres = try PostgresServer(settings: ["wal_sender_timeout": "1500ms"])
      let scenario = try Scenario(
        "away", postgres: postgres, tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (1)")
      try scenario.waitUntilConfirmed(streamer)
      try postgres.stop()
      pause(.seconds(2))  // past the time of the next status update
      let before = try cpuTicks(streamer)
      pause(.seconds(3))
      let used = try cpuTicks(streamer) - before
      // Three seconds of a spinning thread are 300 ticks; reconnecting five times a second takes few.
      #expect(used < 100, "\(used) ticks of CPU time in three seconds without a server")
      try postgres.start()
      try scenario.psql("INSERT INTO t VALUES (2)")
      try scenario.waitUntilConfirmed(streamer)
      #expect(try scenario.stop(streamer) == .exited(0))
      #expect(try scenario.events().count == 2)
    }

    /// User and system time of the process, in hundredths of a second (proc(5): fields 14, 15).
    private func cpuTicks(_ process: Subprocess) throws -> Int {
      let stat = try FileBytes.text(of: "/proc/\(process.processID)/stat")
      let fields = stat.split(separator: " ")
      return try #require(Int(fields[13])) + #require(Int(fields[14]))
    }
  }
}
