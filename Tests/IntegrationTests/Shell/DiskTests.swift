import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// A position store whose disk is full, or whose turn does not come.
  @Suite struct Saving {
    /// A store on a small disk of the program's own, which goes with it.
    private static func onSmallDisk(_ run: LocalRun) -> [String] {
      let folder = run.directory.file("store")
      return [
        "unshare", "-m", "sh", "-c",
        "mount -t tmpfs -o size=1m tmpfs \(folder) && exec \"$@\"", "small-disk",
      ]
    }

    private static let reconnects =
      #"psql_streamer_reconnects_total{sourceName="pg",cause="connection"}"#
    private static let cannotSave = #"psql_streamer_cannot_save{sourceName="pg"}"#

    /// S2, S16: every answer of the worker counts, the stream goes on, also for tables whose keys
    /// would be remembered, and saving begins again by itself.
    @Test(.enabled("a disk must be mounted") { SmallDisk.isPossible })
    func `A full disk of the store pauses the saving and nothing else`() throws {
      let sinks = (1...8).map { "out\($0)" }
      var lines = Scenario.Lines()
      lines.source = [#"flushInterval = "100ms""#]
      let run = try LocalRun("full", lines: lines, tables: "CREATE TABLE t (id int PRIMARY KEY)")
      run.change { $0.more = sinks.map(run.fileSink) }
      let streamer = try run.start(by: Self.onSmallDisk(run))
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      let before = try (walsender: run.walsender(), confirmed: confirmed(run))
      let filler = "/proc/\(streamer.processID)/root\(run.directory.file("store/filler"))"
      _ = try Subprocess.run("dd", ["if=/dev/zero", "of=\(filler)", "bs=4k"])
      for id in 2...20 {
        try run.psql(
          """
          INSERT INTO t VALUES (\(id)); CREATE TABLE whole\(id) (id int PRIMARY KEY);
          ALTER TABLE whole\(id) REPLICA IDENTITY FULL; INSERT INTO whole\(id) VALUES (1)
          """)
        pause(.milliseconds(50))
      }
      for sink in sinks {
        try eventually("39 events in \(sink)") { try run.events(of: sink).count == 39 }
      }
      #expect(try run.events(of: sinks[0]).last?["Key"]?.names == ["id"])
      try eventually("cannot_save") { try run.metric(Self.cannotSave) == 1 }
      #expect(try run.walsender() == before.walsender, "no connection is given up")
      #expect(try confirmed(run) == before.confirmed, "what is not saved is not acknowledged")
      #expect(try run.metric(Self.reconnects) == 0)
      try Subprocess.check("rm", [filler])
      try run.waitUntilConfirmed(streamer)
      #expect(try run.metric(Self.cannotSave) == 0)
      #expect(try run.walsender() == before.walsender)
      #expect(try run.stop(streamer) == .exited(0))
      for sink in sinks { #expect(try run.events(of: sink).count == 39, "\(sink)") }
    }

    /// A spool that finds the disk full is dropped, and the transaction comes without streaming.
    @Test(.enabled("a disk must be mounted") { SmallDisk.isPossible })
    func `A full disk of the spool costs a connection and loses nothing`() throws {
      let postgres = try PostgresServer(settings: ["logical_decoding_work_mem": "64kB"])
      var lines = Scenario.Lines()
      lines.source = [#"spool = { memory = 0, limit = "1GiB" }"#]
      let run = try LocalRun(
        "spool", postgres: postgres, lines: lines,
        tables: "CREATE TABLE t (id int PRIMARY KEY, v text)")
      let streamer = try run.start(by: Self.onSmallDisk(run))
      try run.psql(
        "INSERT INTO t SELECT i, repeat('x', 400) FROM generate_series(1, 8000) i")
      try run.psql("INSERT INTO t VALUES (8001, 'last')")
      try run.waitUntilConfirmed(streamer)
      let ids = try run.events().compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == Array(1...8001))
      #expect(
        streamer.standardError.contains("does without streaming"), "\(streamer.standardError)")
      let streaming = #"psql_streamer_reconnects_total{sourceName="pg",cause="streaming"}"#
      #expect(try run.metric(streaming) ?? 0 >= 1)
      #expect(try run.metric(Self.cannotSave) == 0)
      #expect(try run.stop(streamer) == .exited(0))
    }

    /// A store that can only be read is refused at the start, in one line.
    @Test(.enabled("a disk must be mounted") { SmallDisk.isPossible })
    func `A store that can only be read is refused`() throws {
      let run = try LocalRun("readonly", tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let first = try run.start()
      #expect(try run.stop(first) == .exited(0))
      let positions = try run.positions()
      let folder = run.directory.file("store")
      let refused = try run.launch(by: [
        "unshare", "-m", "sh", "-c",
        "mount --bind \(folder) \(folder) && mount -o remount,ro,bind \(folder) && exec \"$@\"",
        "read-only",
      ])
      let code = try refused.wait()
      #expect(code == .exited(3) || code == .exited(1), "\(refused.standardError)")
      let lines = refused.standardError.split(separator: "\n").filter {
        $0.hasPrefix("psql-streamer: ")
      }
      #expect(lines.count == 1 && lines[0].contains("read-only"), "\(refused.standardError)")
      #expect(lines.first?.contains("positions.sqlite") == true)
      #expect(try run.positions() == positions)
    }

    private func confirmed(_ run: LocalRun) throws -> String {
      try run.postgres.psql(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(run.name)'")
    }

    /// S2: a save that has to wait behind an attempt to connect is not forgotten.
    @Test func `A server that accepts connections and does not answer holds up nothing for good`()
      throws
    {
      let postgres = try PostgresServer()
      var lines = Scenario.Lines()
      lines.source = [#"timeout = "2s""#, #"flushInterval = "10ms""#]
      let run = try LocalRun(
        "frozen", postgres: postgres, lines: lines, tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1)")
      try run.waitUntilConfirmed(streamer)
      let postmaster = try FileBytes.text(of: "\(postgres.dataDirectory)/postmaster.pid").split(
        separator: "\n")[0]
      let session = try postgres.session(database: run.name)
      try session.run("SELECT 1")
      kill(try #require(pid_t(postmaster)), SIGSTOP)
      do {
        defer { kill(pid_t(postmaster) ?? 0, SIGCONT) }
        try session.run(
          """
          INSERT INTO t SELECT generate_series(2, 500);
          SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
          """)
        pause(.seconds(5))
      }
      session.close()
      try run.psql("INSERT INTO t VALUES (501)")
      try run.waitUntilConfirmed(streamer)
      let ids = try run.events().compactMap { $0["Columns"]?["id"]?.int }
      #expect(ids == Array(1...501))
      let status = try Scenario.get("/ready", port: run.httpPort)
      #expect(status.status == 200, "\(status.body)")
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
