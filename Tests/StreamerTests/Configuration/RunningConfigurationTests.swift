import Support
import Testing

@testable import Streamer

/// What a newer file changes of what runs, and what it may not.
struct RunningConfigurationTests {
  private static let text = """
    store = "positions.db"
    logLevel = "info"
    [source.a]
    type = "postgres"
    dsn = "host=h dbname=d"
    publication = "p"
    replicationSlot = "s"
    [source.b]
    type = "recording"
    path = "b.rec"
    [sink.k]
    type = "kafka"
    sources = ["a", "b"]
    hosts = ["h:9092"]
    tableTopicMapping = { "public.t" = "one" }
    [sink.f]
    type = "file"
    sources = ["a"]
    path = "f"

    """

  /// What replacing pieces of the file brings, one after the other.
  private func changes(
    _ replacements: [(String, String)]
  ) throws -> ([RunningConfiguration.Change], RunningConfiguration) {
    let directory = try TemporaryDirectory()
    let file = "\(directory.path)/c.toml"
    try FileBytes.write(Self.text, to: file)
    var running = try RunningConfiguration(path: file)
    var text = Self.text
    var changes: [RunningConfiguration.Change] = []
    for (old, new) in replacements {
      #expect(text.contains(old))
      text = text.replacing(old, with: new)
      try FileBytes.write(text, to: file)
      changes.append(try running.reload())
    }
    return (changes, running)
  }

  @Test func whatCanChangeIsTaken() throws {
    let (changes, running) = try changes([
      ("logLevel = \"info\"", "LogLevel = \"debug\"\nhttpToken = \"t\""),
      ("\"public.t\" = \"one\"", "\"public.t\" = \"two\""),
      ("path = \"f\"", "path = \"f\"\nnumeric = \"number\""),
      ("\"two\" }", "\"two\" }   # nothing new"),
    ])
    #expect(changes.map(\.refused) == [[], [], [], []])
    #expect(
      changes.map(\.taken) == [
        ["logLevel", "httpToken"], ["sink.k.tableTopicMapping"], ["sink.f.numeric"], [],
      ])
    #expect(running.configuration.logLevel == .debug)
    let topic = running.configuration.sinks[0].setup(for: "db").topic(
      database: "d", schema: "public", table: "t")
    #expect(topic == "two")
  }

  /// A rule of a table is a part of its sink's.
  @Test func aTablesFormatCanChange() throws {
    let rule = "\n[sink.k.table.\"public.t\"]\nformat = \"flat\"\ntopic = \"{source}-{table}\"\n"
    let (changes, running) = try changes([("[sink.f]", rule + "[sink.f]")])
    #expect(changes[0].taken == ["sink.k.table"] && changes[0].refused.isEmpty)
    let setup = running.configuration.sinks[0].setup(for: "b")
    #expect(setup.format(schema: "public", table: "t") == .flat)
    #expect(setup.format(schema: "public", table: "u") == .psqlStreamer)
    #expect(setup.topic(database: "d", schema: "public", table: "t") == "b-t")
  }

  /// Each is named as the file names it, and what runs stays what it is, whatever follows.
  @Test(arguments: [
    ("store = \"positions.db\"", "store = \"other.db\"", ["store"]),
    ("dbname=d", "dbname=e", ["source.a.dsn"]),
    ("[source.b]", "[source.c]", ["source.b", "source.c", "sink.k.sources"]),
    ("hosts = [\"h:9092\"]", "hosts = [\"i:9092\"]\nheaders = true", ["sink.k.hosts"]),
    ("[sink.f]", "[sink.g]", ["sink.f", "sink.g"]),
    ("type = \"file\"", "type = \"file\"\nrotateSize = \"1MiB\"", ["sink.f.rotateSize"]),
    ("\npath = \"f\"\n", "\npath = \"g\"\n", ["sink.f.path"]),
  ]) func whatNeedsARestartIsNamed(old: String, new: String, keys: [String]) throws {
    var text = Self.text.replacing(old, with: new)
    if new == "[source.c]" { text = text.replacing("\"b\"]", with: "\"c\"]") }
    let replacements = [(Self.text, text), ("logLevel = \"info\"", "logLevel = \"warn\"")]
    let (changes, running) = try changes(replacements)
    #expect(changes[0].refused == keys)
    // What was refused once is refused as long as the file says it.
    #expect(!changes[1].refused.isEmpty)
    #expect(changes[1].taken == ["logLevel"])
    #expect(changes[0].taken == (new.contains("headers") ? ["sink.k.headers"] : []))
    let reference = try Configuration.own(Self.text)
    #expect(running.configuration.sources == reference.sources)
  }
}
