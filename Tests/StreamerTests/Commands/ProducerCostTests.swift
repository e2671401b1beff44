import Support
import Testing

@testable import Streamer

/// What many producers cost is said before they are made (fault A4).
struct ProducerCostTests {
  private func check(sources: Int, sinks: Int, alike: Bool = false) throws -> String {
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
        + "topicFallback = \"t\"\nbatchTimeout = \"\(alike ? 1 : number)ms\"\n"
    }
    try FileBytes.write(text, to: path)
    return try CheckCommand.producers(of: Configuration.load(path: path))?.found ?? ""
  }

  @Test func manyProducersAreToldOf() throws {
    #expect(try check(sources: 13, sinks: 3).isEmpty)
    // A source's sinks that are alike share one.
    #expect(try check(sources: 20, sinks: 20, alike: true).isEmpty)
    #expect(try check(sources: 40, sinks: 1).hasPrefix("40 Kafka producers"))
    let found = try check(sources: 20, sinks: 20)
    #expect(found.hasPrefix("400 Kafka producers take"))
    #expect(found.contains("1200 threads, 2400 descriptors and 1600MiB"))
  }
}
