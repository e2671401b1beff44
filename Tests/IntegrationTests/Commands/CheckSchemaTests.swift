import KafkaBridge
import Support
import Testing

extension Trait where Self == ConditionTrait {
  /// The test needs Python's package jsonschema; without it it is skipped and says so.
  fileprivate static var needsJSONSchema: Self {
    .enabled("Python's package jsonschema is needed") {
      Requirement.present(
        (try? Subprocess.run("python3", ["-c", "import jsonschema"]))?.termination == .exited(0),
        else: "no Python package jsonschema: install python3-jsonschema")
    }
  }
}

extension Integration.LastThird {
  /// What `check --json` prints is what docs/check.schema.json says, whatever there is to tell.
  @Suite(.needsJSONSchema) struct CheckSchema {
    private static let schema =
      "/"
      + (#filePath.split(separator: "/").dropLast(4) + ["docs/check.schema.json"])
      .joined(separator: "/")

    /// The validator's complaints about a document; empty when it is valid.
    private static func complaints(of document: String) throws -> String {
      let program = """
        import json, sys, jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft202012Validator.check_schema(schema)
        for error in jsonschema.Draft202012Validator(schema).iter_errors(json.load(sys.stdin)):
          print(error.json_path, error.message)
        """
      let output = try Subprocess.run("python3", ["-c", program, schema], input: document)
      return output.standardOutput + output.standardError
    }

    private let server: PostgresServer
    private let cluster: MockCluster
    private let directory: TemporaryDirectory

    init() throws {
      server = try Integration.postgres
      cluster = try MockCluster()
      directory = try TemporaryDirectory("schema")
    }

    /// Runs `check --json`; the findings are valid and lead to the exit code that came.
    private func findings(_ text: String, exit: Int32) throws -> [JSON] {
      let file = directory.file("check.toml")
      try FileBytes.write(text, to: file)
      let output = try Subprocess.run(Binary.psqlStreamer, ["check", "--json", "-c", file])
      #expect(output.termination == .exited(exit), "\(output.standardError)")
      #expect(try Self.complaints(of: output.standardOutput) == "")
      let findings = try JSON(output.standardOutput).elements
      let exits = findings.compactMap { $0["exit"]?.int }
      #expect([2, 3, 1, 0].first(where: exits.contains) == Int(exit))
      return findings
    }

    private func postgres(_ name: String, _ more: String) -> String {
      """
      [source.\(name)]
      type = "postgres"
      publication = "p"
      replicationSlot = "schema_\(name)"
      createPublication = true
      timeout = "2s"
      \(more)

      """
    }

    private func kafkaSink(_ sources: String) -> String {
      """
      [sink.out]
      type = "kafka"
      sources = [\(sources)]
      hosts = ["\(cluster.bootstrapServers)"]
      topicFallback = "all"

      """
    }

    @Test func `Several sources and sinks, all well, and a server that is not there`() throws {
      try cluster.createTopic("all", partitions: 1)
      let recording = Fixture(scenario: "transactions", version: 15).path
      let file = """
        store = "\(directory.file("positions.sqlite"))"
        \(postgres("a", "dsn = \"\(server.dsn())\""))
        [source.copy]
        type = "kafka"
        hosts = ["\(cluster.bootstrapServers)"]
        topics = ["all"]
        groupID = "check"
        [source.old]
        type = "recording"
        path = "\(recording)"
        \(kafkaSink("\"a\", \"copy\""))
        [sink.file]
        type = "file"
        sources = ["old"]
        path = "\(directory.file("out.ndjson"))"
        [sink.nowhere]
        type = "stub_discard"
        sources = ["a"]

        """
      let well = try findings(file, exit: 0)
      for target in ["source a", "source copy", "source old", "sink out", "sink file"] {
        #expect(well.contains { $0["target"]?.string == target }, "\(target)")
      }
      #expect(well.contains { $0["result"]?.string == "warn" })

      let far = postgres("far", #"dsn = "host=127.0.0.1 port=1 dbname=x user=x""#)
      let trouble = try findings(
        file.replacing("sources = [\"a\", \"copy\"]", with: "sources = [\"a\", \"copy\", \"far\"]")
          + far, exit: 1)
      let failed = trouble.filter { $0["result"]?.string == "fail" }
      #expect(failed.map { $0["target"]?.string } == ["source far"])
    }

    @Test func `A server that refuses`() throws {
      let file = """
        store = "\(directory.file("positions.sqlite"))"
        \(postgres("a", "dsn = \"\(server.dsn(database: "none_such"))\""))
        \(kafkaSink("\"a\""))
        """
      let failed = try findings(file, exit: 3).filter { $0["result"]?.string == "fail" }
      #expect(failed.first?["found"]?.string?.contains("none_such") == true)
    }

    @Test func `Mistakes of the file are findings, each with its key and line`() throws {
      let wrong = try findings(
        "[source.a]\ntype = \"postgres\"\nunknown = 1\n[sink.x]\ntype = \"nothing\"\n", exit: 2)
      #expect(wrong.count > 1 && wrong.allSatisfy { $0["check"]?.string == "configuration" })
      #expect(
        wrong.contains {
          $0["target"]?.string == "source.a.unknown"
            && $0["found"]?.string?.contains("check.toml:3: ") == true
        })
      let missing = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--json", "-c", directory.file("none.toml")])
      #expect(missing.termination == .exited(2))
      #expect(try Self.complaints(of: missing.standardOutput) == "")
      #expect(try JSON(missing.standardOutput).elements.count == 1)
    }

    @Test func `What is no such document is told`() throws {
      let good = #"{"check":"a","target":"b","result":"ok","found":"c","remedy":null,"exit":0}"#
      #expect(try Self.complaints(of: "[\(good)]") == "")
      for (old, new) in [
        (#""exit":0"#, #""exit":1"#), (#""result":"ok""#, #""result":"fail""#),
        (#","remedy":null"#, ""), (#""found":"c""#, #""found":1"#), (#""a""#, #""a","x":1"#),
      ] {
        #expect(try Self.complaints(of: "[\(good.replacing(old, with: new))]") != "", "\(new)")
      }
    }
  }
}
