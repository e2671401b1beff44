import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// `verify --resume`, between real servers, cut off at any time.
  @Suite(.needsKafka) struct ResumedVerification {
    private static let names = (0..<5).map { "t\($0)" }
    private static let tables =
      names.map {
        "CREATE TABLE \($0) (id int PRIMARY KEY, v text); INSERT INTO \($0) SELECT i, 'v' || i FROM generate_series(1, 2000) i;"
      }.joined() + "ANALYZE"

    private func scenario() throws -> Scenario {
      try Scenario(
        "resumed",
        lines: Scenario.Lines(
          source: [#"snapshot = "initial""#], sink: [#"topicTemplate = "{name}.{table}""#]),
        tables: Self.tables)
    }

    private func verify(_ run: Scenario, _ arguments: String...) throws -> Subprocess {
      try Subprocess(
        Binary.psqlStreamer,
        ["verify", "--config", run.directory.file("psql-streamer.toml"), "--json"] + arguments)
    }

    /// Differences of the first table and of the last, which no run finds in its first part and in its
    /// last one by itself.
    private func plant(_ run: Scenario) throws {
      try run.psql(
        """
        ALTER PUBLICATION everything SET (publish = '');
        UPDATE t0 SET v = 'other' WHERE id = 7; DELETE FROM t0 WHERE id = 8;
        INSERT INTO t4 VALUES (9000, 'missed');
        ALTER PUBLICATION everything SET (publish = 'insert, update, delete, truncate');
        """)
    }

    private func lines(of file: String) -> [String] {
      (try? FileBytes.text(of: file))?.split(separator: "\n").map(String.init) ?? []
    }

    @Test func `A run that is cut off anywhere is gone on with, and tells what one run does`()
      throws
    {
      let run = try scenario()
      let streamer = try run.start()
      try eventually(within: .seconds(60), "the copy of the start") {
        streamer.standardError.contains("existing rows are copied")
      }
      try run.waitUntilConfirmed(streamer)
      try plant(run)
      let whole = try verify(run)
      #expect(try whole.wait(within: .seconds(120)) == .exited(5), "\(whole.standardError)")

      let file = run.directory.file("verified")
      let command = ["--rate", "1000", "--resume", file]
      var (cuts, kept) = (0, 0)
      var (last, code) = (try verify(run, command[0], command[1], command[2], command[3]), -1)
      var random = SeededRandom("cuts of a verification")
      while cuts < 6 || kept < 2 && cuts < 20 {
        // A slow machine gets more time with each of them.
        let pause = Duration.milliseconds(
          Int.random(in: 500...9_000 + 1_000 * cuts, using: &random))
        let end = ContinuousClock.now + pause
        while last.poll() == nil, .now < end { usleep(20_000) }
        last.send(cuts % 3 == 2 ? SIGTERM : SIGKILL)
        if case .exited(let status) = try last.wait(), status != 1 {
          code = Int(status)
          break
        }
        cuts += 1
        let found = lines(of: file).count
        #expect(found >= kept, "what was found is kept")
        kept = found
        // A line that was being written has no end.
        if kept > 1 {
          try FileBytes.write(FileBytes.text(of: file) + #"{"source":"pg","si"#, to: file)
        }
        last = try verify(run, command[0], command[1], command[2], command[3])
      }
      if code == -1, case .exited(let status) = try last.wait(within: .seconds(180)) {
        code = Int(status)
      }
      printToStandardError("cut off \(cuts) times, \(kept) lines were kept")
      #expect(cuts > 0 && kept > 1)
      #expect(code == 5, "\(last.standardError)")
      #expect(last.standardOutput == whole.standardOutput)
      #expect(last.standardError.contains("of 5 tables of out were compared since"))
      #expect(!FileBytes.exists(file), "it is removed once all is told")

      try refuse(run, file)
      #expect(try run.stop(streamer) == .exited(0))
    }

    /// Results that rest on something else are not mixed with new ones.
    private func refuse(_ run: Scenario, _ file: String) throws {
      let first = try verify(run, "--rate", "1000", "--resume", file)
      try eventually(within: .seconds(60), "a part") { self.lines(of: file).count > 1 }
      let second = try verify(run, "--resume", file)
      #expect(try second.wait() == .exited(2))
      #expect(second.standardError.contains("another run has it"))
      first.send(SIGKILL)
      try first.wait()
      let before = lines(of: file)
      let other = try verify(run, "--resume", file, "--table", "public.t4")
      #expect(try other.wait() == .exited(2))
      #expect(other.standardError.contains("with other settings or options"))
      #expect(lines(of: file) == before)
      let foreign = run.directory.file("foreign")
      try FileBytes.write("hello\n", to: foreign)
      let third = try verify(run, "--resume", foreign)
      #expect(try third.wait() == .exited(2))
      #expect(third.standardError.contains("it is no file of verify --resume"))
      #expect(lines(of: foreign) == ["hello"])
    }
  }
}
