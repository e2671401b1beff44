import Support
import Testing

@testable import Streamer

/// What many producers cost is said before they are made (fault A4).
struct ProducerCostTests {
  private func check(sources: Int, sinks: Int) throws -> String {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/c.toml"
    let names = (0..<sources).map { "\"s\($0)\"" }.joined(separator: ", ")
    var text = ""
    for number in 0..<sources {
      text += "[source.s\(number)]\ntype = \"recording\"\npath = \"none.rec\"\n"
    }
    for number in 0..<sinks {
      text +=
        "[sink.k\(number)]\ntype = \"kafka\"\nsources = [\(names)]\nhosts = [\"127.0.0.1:1\"]\n"
        + "topicFallback = \"t\"\n"
    }
    try FileBytes.write(text, to: path)
    return try CheckCommand.producers(of: Configuration.load(path: path))?.found ?? ""
  }

  @Test func manyPairsAreToldOf() throws {
    #expect(try check(sources: 13, sinks: 3).isEmpty)
    let found = try check(sources: 20, sinks: 20)
    #expect(found.hasPrefix("400 pairs of a source and a Kafka sink"))
    #expect(found.contains("1200 threads, 2400 descriptors and 1600MiB"))
  }
}
