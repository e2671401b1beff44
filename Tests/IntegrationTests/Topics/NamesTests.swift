import Support
import Testing

extension Integration.FirstThird {
  /// Random names, the whole way from the file to topics, metrics, logs and hints.
  ///
  /// `Tests/Differential/names` makes them up and judges. `NAMES_SEEDS` says how many seeds.
  @Suite(.needsKafka) struct NamesTests {
    @Test("names of any kind go the whole way")
    func names() throws {
      let server = try Integration.postgres
      let seeds = TestEnvironment["NAMES_SEEDS"] ?? "2"
      let first = TestEnvironment["NAMES_SEED"].map { ["--seed", $0] } ?? []
      let promtool = ["/usr/bin/promtool"].filter { FileBytes.exists($0) }
      let output = try Subprocess.run(
        "python3",
        [
          "\(Binary.project)/Tests/Differential/names", "--program", Binary.psqlStreamer,
          "--socket", server.socketDirectory, "--port", "\(server.port)",
          "--kafka", try Integration.kafka.bootstrap, "--psql", server.program("psql"),
          "--seeds", seeds,
        ] + promtool.flatMap { ["--promtool", $0] } + first, within: .seconds(600))
      printToStandardError(output.standardOutput + output.standardError)
      #expect(
        output.termination == .exited(0) && output.standardOutput.contains("failed: none"),
        "\(output.standardOutput)\(output.standardError)")
    }
  }
}
