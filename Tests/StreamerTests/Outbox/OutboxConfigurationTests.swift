import Testing

@testable import Streamer

/// `[sink.NAME.outbox]`.
@Suite struct OutboxConfigurationTests {
  private static func text(_ lines: String) -> String {
    ConfigurationPieces.source + ConfigurationPieces.kafka + "[sink.k.outbox]\n" + lines + "\n"
  }

  @Test func theNamesAreDebeziums() throws {
    let sink = try ConfigurationFixture.parse(Self.text("table = \"shop.outbox\"")).sinks[0]
    let outbox = try #require(sink.setup(for: "db").outbox)
    #expect(outbox.columns.map(\.column) == ["id", "aggregateid", "payload", "aggregatetype"])
    #expect(outbox.topic(of: "Order", .refuse) == "outbox.event.Order")
    #expect(outbox.covers(schema: "shop", table: "outbox"))
    #expect(!outbox.covers(schema: "public", table: "outbox"))
    #expect(!outbox.expandPayload && !outbox.tombstoneOnEmptyPayload)
    #expect(outbox.onInvalidOperation == .warn && outbox.messages == nil)
  }

  /// A sink whose tables go nowhere else needs no other key for topics.
  @Test func anOutboxIsEnough() throws {
    let text =
      ConfigurationPieces.source + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        [sink.k.outbox]
        messages = "outbox"

        """
    #expect(ConfigurationFixture.errors(text).isEmpty)
  }

  @Test(arguments: [
    ("payload = \"p\"", "outbox: found neither table nor messages"),
    ("table = \"a.\"", "outbox.table: found \"a.\""),
    ("table = \"o\"\ntopicTemplate = \"{value}\"", "outbox.topicTemplate: found \"{value}\""),
    ("table = \"o\"\nplacement = [\"a\"]", "outbox.placement: found \"a\""),
    ("table = \"o\"\nplacement = [\"a:body\"]", "outbox.placement: found \"a:body\""),
    ("table = \"o\"\nplacement = [\"a:partition:b\"]", "outbox.placement: found \"a:partition:b\""),
    ("table = \"o\"\nplacement = [\"a:header:id\"]", "found a second header of that name"),
    ("table = \"o\"\nplacement = [\"a:envelope:payload\"]", "found a second envelope of that name"),
    (
      "table = \"o\"\nplacement = [\"a:header:x\", \"b:header:x\"]",
      "found a second header of that name"
    ),
    ("table = \"o\"\neventID = \"\"", "outbox.eventID: found \"\""),
    ("table = \"o\"\nonInvalidOperation = \"stop\"", "outbox.onInvalidOperation: found \"stop\""),
    ("table = \"o\"\npayloads = \"x\"", "outbox.payloads: found an unknown key"),
  ])
  func mistakesAreTold(_ lines: String, _ error: String) {
    let errors = ConfigurationFixture.errors(Self.text(lines))
    #expect(errors.count == 1)
    #expect(errors.first?.contains(error) == true, "\(errors)")
    #expect(errors.first?.hasPrefix("c.toml:") == true)
  }

  /// Events that come from Kafka are passed on as they are.
  @Test func itNeedsASourceWithTables() {
    let text =
      ConfigurationPieces.source + """
        [source.k]
        type = "kafka"
        hosts = ["k:9092"]
        topics = ["t"]
        groupID = "g"
        [sink.k]
        type = "kafka"
        sources = ["k"]
        hosts = ["k:9092"]
        topicFallback = "x"
        [sink.k.outbox]
        table = "outbox"

        """
    let errors = ConfigurationFixture.errors(text)
    #expect(errors.contains { $0.contains("sink.k.outbox: found an outbox for source.k") })
  }

  @Test func messagesHaveToBeAskedFor() {
    let source = ConfigurationPieces.source + "messages = false\n"
    let sink = ConfigurationPieces.kafka + "[sink.k.outbox]\nmessages = \"o\"\n"
    let errors = ConfigurationFixture.errors(source + sink)
    #expect(errors.count == 1)
    #expect(errors.first?.contains("sink.k.outbox.messages: found an outbox of messages") == true)
  }
}
