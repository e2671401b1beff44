import Support
import Testing

extension Integration.LastThird {
  /// The events agree with the server's own decoding, for random schemas, DDL and changes.
  ///
  /// `Tests/Differential` makes them up and judges, in Python, with a decoder of its own. Each run has
  /// other seeds and prints them; `DIFFERENTIAL_SEED` says with which to begin, `DIFFERENTIAL_SEEDS` how
  /// many there are: so many on 15, and a fifth of them on each other version.
  @Suite(.serialized) struct DifferentialTests {
    private static let versions = [13, 15, 16, 17, 18].filter {
      PostgresPrograms.installed[$0] != nil
    }
    private static let asked = TestEnvironment["DIFFERENTIAL_SEEDS"].flatMap { Int($0) }

    private static func seeds(on version: Int) -> Int {
      guard let asked else { return version == 15 ? 4 : 2 }
      return version == 15 ? asked : asked / 5
    }

    @Test("events agree with the server's own decoding", arguments: versions)
    func differential(version: Int) throws {
      // What makes transactions streamed, and lets them be prepared.
      let server = try PostgresServer(
        settings: [
          "logical_decoding_work_mem": "64kB", "max_prepared_transactions": "20",
          "max_replication_slots": "40", "max_wal_senders": "40",
        ], version: version)
      let first = TestEnvironment["DIFFERENTIAL_SEED"].map { ["--seed", $0] } ?? []
      let kept = try TemporaryDirectory("differential")
      let keep = TestEnvironment["DIFFERENTIAL_KEEP"] ?? kept.path
      let output = try Subprocess.run(
        "python3",
        [
          "\(Binary.project)/Tests/Differential/differential", "--program", Binary.psqlStreamer,
          "--socket", server.socketDirectory, "--port", "\(server.port)",
          "--seeds", "\(Self.seeds(on: version))", "--keep", keep,
        ] + first, within: .seconds(120 + 10 * Self.seeds(on: version)))
      printToStandardError(output.standardOutput + output.standardError)
      #expect(output.termination == .exited(0), "\(output.standardOutput)\(output.standardError)")
      #expect(output.standardOutput.contains("failed: none"), "\(output.standardOutput)")
    }
  }
}
