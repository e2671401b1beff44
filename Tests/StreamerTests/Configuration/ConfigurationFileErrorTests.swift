import Testing

@testable import Streamer

/// What whole files are told, every error of each.
@Suite struct ConfigurationFileErrorTests {
  private static let source = ConfigurationPieces.source
  private static let kafka = ConfigurationPieces.kafka
  private static let out = ConfigurationPieces.out

  /// Whole files and everything that they are told.
  static let files: [(text: String, errors: [String])] = [
    (
      "",
      [
        "c.toml:1: source: found nothing, expected at least one source. "
          + "It begins with [source.db1].",
        "c.toml:1: sink: found nothing, expected at least one sink. "
          + "It begins with [sink.kafka1].",
      ]
    ),
    (
      "a = 'x' y",
      [
        "c.toml:1: found what is no TOML at column 9, expected TOML 1.0. Error while parsing "
          + "key-value pair: expected a comment or whitespace, saw 'y'."
      ]
    ),
    (
      source.replacingFirst("store = \"/p.db\"\n", with: "") + out,
      [
        "c.toml:1: store: found nothing, expected the path of the position store. "
          + "Such as \"/var/lib/psql-streamer/positions.db\"."
      ]
    ),
    (
      """
      [source.k]
      type = "kafka"
      hosts = ["b:1"]
      topics = ["t"]
      groupID = "g"
      [sink.q]
      type = "kafka"
      sources = ["k"]
      hosts = ["b:1"]
      topicFallback = "u"
      oversized = "quarantine"
      """,
      [
        "c.toml:1: store: found nothing, expected the path of the position store, beside which "
          + "sink.q holds records. Or name a directory: quarantine.dir."
      ]
    ),
    (
      source.replacingFirst("/p.db", with: "kafka") + out,
      [
        "c.toml:1: store: found \"kafka\", expected a file, for sink.out. Only sinks with "
          + "delivery = \"exactly-once\" keep their position in Kafka."
      ]
    ),
    (
      source.replacingFirst("store = \"/p.db\"", with: "boltdb = \"/old/bolt.db\"") + out,
      [
        "c.toml:1: boltdb: found a BoltDB file, as the old psql-streamer wrote it, expected the "
          + "path of a new position store. \(SeedStore.remedy)"
      ]
    ),
    (
      source + out.replacingFirst("db1", with: "db2"),
      [
        "c.toml:9: sink.out.sources: found \"db2\", expected the name of a [source.NAME]. "
          + "Did you mean \"db1\"?"
      ]
    ),
    (
      source + "[source.DB1]\ntype = \"kafak\"\n" + out,
      [
        "c.toml:7: source.DB1: found the same name a second time, expected each name once. "
          + "Names are the same in any letter case.",
        "c.toml:8: source.DB1.type: found \"kafak\", expected one of \"postgres\", \"kafka\", "
          + "\"recording\". Did you mean \"kafka\"?",
      ]
    ),
    (
      source
        + source.replacingFirst("store = \"/p.db\"\n", with: "").replacingFirst("db1", with: "b")
        + out.replacingFirst("[\"db1\"]", with: "[\"db1\", \"b\"]"),
      [
        "c.toml:7: source.b.replicationSlot: found the slot of source.db1, expected a slot of its "
          + "own. A slot serves one source; a source may feed several sinks."
      ]
    ),
    (
      source + kafka.replacingFirst("topicFallback = \"rest\"\n", with: ""),
      [
        "c.toml:7: sink.k: found no topic for any table, expected at least one of "
          + "tableTopicMapping, topicTemplate and topicFallback."
      ]
    ),
    (
      source + "[sink.\"a.b\"]\ntype = \"file\"\nsources = []\n",
      [
        "c.toml:7: sink.\"a.b\".path: found nothing, expected a file's path.",
        "c.toml:9: sink.\"a.b\".sources: found an empty list, expected a list of sources such as "
          + "[\"db1\"].",
      ]
    ),
    (
      """
      [source.k]
      type = "kafka"
      hosts = ["http://k:1", "k:x", ""]
      topics = ["a", "a", "b/c"]
      malformed = "dead-letter"
      librdkafka = { group.id = "x", enable.auto.commit = true }
      [sink.out]
      type = "stdout"
      sources = ["k"]
      """,
      [
        "c.toml:1: source.k.groupID: found nothing, expected a consumer group's name.",
        "c.toml:1: source.k.deadLetterTopic: found nothing, expected a topic's name for "
          + "malformed = \"dead-letter\".",
        "c.toml:3: source.k.hosts: found an empty string in the list, expected a list of brokers "
          + "such as [\"kafka1:9092\"].",
        "c.toml:3: source.k.hosts: found \"http://k:1\", expected \"host:port\".",
        "c.toml:3: source.k.hosts: found \"k:x\", expected \"host:port\".",
        "c.toml:4: source.k.topics: found \"a\" twice, expected each one once.",
        "c.toml:4: source.k.topics: found \"b/c\", expected a topic's name.",
        "c.toml:6: source.k.librdkafka.\"group.id\": found a property that psql-streamer sets "
          + "itself, expected other properties only. Write groupID instead.",
        "c.toml:6: source.k.librdkafka.\"enable.auto.commit\": found true, expected \"false\". "
          + "Offsets are committed only when every sink has acknowledged.",
      ]
    ),
  ]

  @Test(arguments: files)
  func wholeFile(_ text: String, _ errors: [String]) {
    #expect(ConfigurationFixture.errors(text) == errors)
  }
}

extension String {
  /// The text with the first occurrence of `old` replaced; a fixture that lacks it is a mistake.
  fileprivate func replacingFirst(_ old: String, with new: String) -> String {
    guard let range = firstRange(of: old) else { preconditionFailure("\(old) is not in the text") }
    return replacingCharacters(in: range, with: new)
  }

  private func firstRange(of other: String) -> Range<Index>? {
    indices.first { self[$0...].hasPrefix(other) }.map {
      $0..<index($0, offsetBy: other.count)
    }
  }

  private func replacingCharacters(in range: Range<Index>, with new: String) -> String {
    self[..<range.lowerBound] + new + self[range.upperBound...]
  }
}
