import Glibc
import Support
import Testing

extension Integration.FirstThird {
  /// `[source.NAME] type = "kafka"` on a real broker: the group, its offsets, the exit codes.
  @Suite(.needsKafka) struct KafkaSource {
    /// One member of a group: the program, its configuration and its file.
    private struct Member {
      let program: Subprocess
      let file: String
      let directory: TemporaryDirectory

      init(_ broker: KafkaBroker, topic: String, lines: [String] = []) throws {
        directory = try TemporaryDirectory("member")
        file = directory.file("events.ndjson")
        let configuration = directory.file("c.toml")
        try FileBytes.write(
          """
          http = "127.0.0.1:0"
          [source.k]
          type = "kafka"
          hosts = ["\(broker.bootstrap)"]
          topics = ["\(topic)"]
          groupID = "g-\(topic)"
          \(lines.joined(separator: "\n"))
          [sink.f]
          type = "file"
          sources = ["k"]
          path = "\(file)"
          """, to: configuration)
        program = try Subprocess(Binary.psqlStreamer, ["run", "--config", configuration])
      }

      /// The lines of its file.
      var lines: [String] {
        guard FileBytes.exists(file) else { return [] }
        return ((try? FileBytes.text(of: file)) ?? "").split(separator: "\n").map(String.init)
      }

      /// Waits for that many lines.
      func await(_ count: Int) throws {
        try eventually(within: .seconds(60), "\(count) lines (there are \(lines.count))") {
          try Scenario.requireAlive(program)
          return lines.count >= count
        }
      }

      func stop() throws -> Subprocess.Termination {
        program.send(SIGTERM)
        return try program.wait(within: .seconds(60))
      }
    }

    private static func events(_ numbers: Range<Int>) -> [String] {
      numbers.map {
        #"{"Database":"d","Table":"t","Action":"insert","Columns":{"id":\#($0)},"Schema":"s"}"#
      }
    }

    private static func produce(
      _ events: [String], to topic: String, _ broker: KafkaBroker
    ) throws {
      let directory = try TemporaryDirectory("produce")
      let file = directory.file("events")
      let lines = events.enumerated().map { "k\($0 % 20)|\($1)\n" }.joined()
      try FileBytes.write(lines, to: file)
      try Subprocess.check(
        "kcat",
        [
          "-P", "-b", broker.bootstrap, "-t", topic, "-K", "|", "-X", "partitioner=murmur2_random",
          "-l", file,
        ])
    }

    @Test func `A restart goes on where the last one ended`() throws {
      let broker = try Integration.kafka
      try broker.createTopic("again")
      try Self.produce(Self.events(0..<1000), to: "again", broker)
      let first = try Member(broker, topic: "again")
      try first.await(1000)
      #expect(try first.stop() == .exited(0))
      #expect(Set(first.lines) == Set(Self.events(0..<1000)) && first.lines.count == 1000)
      try Self.produce(Self.events(1000..<1100), to: "again", broker)
      let second = try Member(broker, topic: "again")
      try second.await(100)
      #expect(try second.stop() == .exited(0))
      #expect(second.lines.sorted() == Self.events(1000..<1100).sorted())
    }

    @Test func `Two members hand partitions over without repeating or missing a record`() throws {
      let broker = try Integration.kafka
      try broker.createTopic("shared")
      try Self.produce(Self.events(0..<500), to: "shared", broker)
      let first = try Member(broker, topic: "shared")
      try first.await(500)
      let second = try Member(broker, topic: "shared")
      var next = 500
      try eventually(within: .seconds(60), every: .milliseconds(100), "a share for the second") {
        try Self.produce(Self.events(next..<next + 100), to: "shared", broker)
        next += 100
        return !second.lines.isEmpty
      }
      #expect(try first.stop() == .exited(0))
      try Self.produce(Self.events(next..<next + 100), to: "shared", broker)
      next += 100
      try eventually(within: .seconds(60), "all \(next) records") {
        first.lines.count + second.lines.count >= next
      }
      #expect(try second.stop() == .exited(0))
      #expect((first.lines + second.lines).sorted() == Self.events(0..<next).sorted())
    }

    @Test func `A missing topic and a malformed record end the program with their name`() throws {
      let broker = try Integration.kafka
      let absent = try Member(broker, topic: "absent")
      #expect(try absent.program.wait(within: .seconds(60)) == .exited(3))
      #expect(absent.program.standardError.contains("absent"))
      try broker.createTopic("broken", partitions: 1)
      try Self.produce(Self.events(0..<3) + ["no JSON"], to: "broken", broker)
      let broken = try Member(broker, topic: "broken")
      #expect(try broken.program.wait(within: .seconds(60)) == .exited(1))
      #expect(
        broken.program.standardError.contains("topic broken, partition 0, offset 3 is no event"))
      #expect(broken.lines == Self.events(0..<3))
    }
  }
}
