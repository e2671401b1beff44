import Glibc
import KafkaBridge
import Support
import Testing

extension Integration.SecondThird {
  /// README's first way to a row of one's own, as it stands there.
  @Suite struct Readme {
    private static func text() throws -> String {
      let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
      return try FileBytes.text(of: root + "/README.md")
    }

    @Test func `The first way has five steps and eight lines, and its row arrives`() throws {
      let readme = try Self.text()
      let start = try #require(readme.firstRange(of: "\n## Your first row in Kafka\n")).upperBound
      let rest = readme[start...]
      let section = rest[..<(rest.firstRange(of: "\n## ")?.lowerBound ?? rest.endIndex)]
      let steps = section.matches(of: #/\n(\d)\. /#)
      #expect(steps.map { String($0.1) } == ["1", "2", "3", "4", "5"])
      // What is typed: the lines of blocks, and the commands that stand in a step's own line.
      let blocks = section.split(separator: "```").enumerated().filter { $0.offset % 2 == 1 }
        .map { block in
          block.element.split(separator: "\n").dropFirst().filter { !$0.allSatisfy(\.isWhitespace) }
        }
      let commands = section.matches(of: /\n\d\. [^\n`]*`([^`\n]+)`\n/).map { String($0.1) }
      #expect(commands.count == 2 && blocks.flatMap(\.self).count + commands.count <= 8)
      #expect(commands.last == ".build/release/psql-streamer run -c shop.toml")

      let cluster = try MockCluster()
      let server = try Integration.postgres
      try server.psql("CREATE DATABASE shop")
      try server.psql("CREATE PUBLICATION shop FOR ALL TABLES", database: "shop")
      let directory = try TemporaryDirectory("readme")
      let file = directory.file("shop.toml")
      let port = try FreePort.take()
      let configuration = blocks[1].map { $0.drop { $0 == " " } }.joined(separator: "\n")
        .replacing("postgres:///shop", with: server.dsn(database: "shop"))
        .replacing("localhost:9092", with: cluster.bootstrapServers)
        .replacing("positions.db", with: directory.file("positions.db"))
      try FileBytes.write("http = \"127.0.0.1:\(port)\"\n\(configuration)\n", to: file)
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "-c", file])
      try eventually("the stream") {
        try Scenario.requireAlive(streamer)
        return try Scenario.get("/ready", port: port).status == 200
      }
      for match in try #require(blocks[2].first).matches(of: /-c "([^"]+)"/) {
        try server.psql(String(match.1), database: "shop")
      }
      try eventually("the row") {
        try Scenario.requireAlive(streamer)
        let stats = try JSON(try Scenario.get("/stats", port: port).body)
        return stats["sinks"]?["kafka"]?["kafkaMessages"]?.int == 1
      }
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))
      // The shared server has a limited number of slots.
      try server.psql("SELECT pg_drop_replication_slot('shop')")
    }
  }
}
