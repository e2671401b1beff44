/// A `[source.NAME]` table with `type = "kafka"`: events that another instance wrote.
struct KafkaSourceConfiguration: Hashable, Sendable {
  /// What to do with a record that is no event.
  enum MalformedAction: String, CaseIterable, Sendable {
    /// Stop the pipeline.
    case stop
    /// Count it and produce it to `deadLetterTopic`.
    case deadLetter = "dead-letter"
  }

  /// The brokers to ask first, each "host:port".
  let hosts: [String]
  /// The topics to read.
  let topics: [String]
  /// The consumer group.
  let groupID: String
  /// What to do with a record that is no event.
  let malformed: MalformedAction
  /// Where malformed records go.
  let deadLetterTopic: String?
  /// Properties that go to librdkafka verbatim.
  let librdkafka: [String: Secret]

  /// Reads the keys of this kind.
  init(in reader: inout ConfigurationReader) {
    hosts = reader.hosts()
    topics = reader.topicNames()
    groupID = reader.requiredString("groupID", expected: "a consumer group's name")
    malformed = reader.choice("malformed", default: MalformedAction.stop)
    deadLetterTopic = reader.topic("deadLetterTopic")
    librdkafka = reader.librdkafkaProperties(rules: LibrdkafkaRule.consumer)
    if malformed == .deadLetter, deadLetterTopic == nil {
      reader.missing("deadLetterTopic", expected: "a topic's name for malformed = \"dead-letter\"")
    } else if let topic = deadLetterTopic, topics.contains(topic) {
      reader.fail(
        "deadLetterTopic", at: reader.entry("deadLetterTopic")?.position,
        found: "one of the topics that are read", expected: "another topic",
        hint: "It would be read again for ever.")
    }
  }
}

extension ConfigurationReader {
  /// Reads `topics` of a Kafka source.
  fileprivate mutating func topicNames() -> [String] {
    let texts = requiredTexts("topics", expected: "a list of topics such as [\"orders\"]")
    for text in texts where !text.value.isEmpty && !TopicRouting.isTopicName(text.value) {
      fail("topics", at: text.position, found: text.shown, expected: "a topic's name")
    }
    return texts.map(\.value)
  }
}
