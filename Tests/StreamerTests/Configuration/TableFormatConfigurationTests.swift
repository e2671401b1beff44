import Support
import Testing

@testable import Streamer

/// `format` in `[sink.NAME.table."schema.table"]`: what it asks of the sink's other keys.
@Suite struct TableFormatConfigurationTests {
  /// A sink whose keys begin in line 8, with a rule of public.orders behind them.
  private static func text(_ type: String, _ lines: String, rule: String) -> String {
    ConfigurationPieces.source + """
      [sink.k]
      type = "\(type)"
      sources = ["db1"]
      \(type == "kafka" ? "hosts = [\"k:9092\"]\ntopicFallback = \"rest\"" : "verbose = false")
      \(lines)
      [sink.k.table."public.orders"]
      \(rule)

      """
  }

  private static let registry = #"registry = { urls = ["http://r:8081"] }"#

  @Test func aRuleNamesAFormat() throws {
    let setup = try ConfigurationFixture.parse(
      Self.text("kafka", Self.registry, rule: #"format = "avro""#)
    ).sinks[0].setup(for: "db1")
    #expect(setup.format == .psqlStreamer && setup.formats == [.psqlStreamer, .avro])
    let orders = setup.written(in: setup.format(schema: "public", table: "orders"))
    #expect(orders.format == .avro && orders.keyFormat == .avro && setup.keyFormat == .json)
    #expect(setup.format(schema: "public", table: "other") == .psqlStreamer)
  }

  @Test(arguments: [
    // A format that has schemas asks for the registry, wherever it is named.
    (
      "kafka", "", #"format = "avro""#,
      "c.toml:7: sink.k.registry: found nothing, expected a table with the urls of a schema registry. "
        + #"Write [sink.k.registry] urls = ["http://registry:8081"]."#
    ),
    (
      "stub_log", registry, #"format = "avro""#,
      #"c.toml:13: sink.k.table."public.orders".format: found "avro", expected another format: "#
        + #"its records are no lines. A sink of type "kafka" takes it."#
    ),
    (
      "stdout", "", #"format = "falt""#,
      #"c.toml:13: sink.k.table."public.orders".format: found "falt", expected one of "#
    ),
    (
      "kafka", #"keyFormat = "protobuf""#, #"format = "flat""#,
      #"c.toml:12: sink.k.keyFormat: found "protobuf", expected format = "protobuf" beside it."#
    ),
    (
      "kafka", #"format = "debezium""#, "format = \"cloudevents\"\ntombstones = true",
      #"c.toml:15: sink.k.table."public.orders".tombstones: found tombstones, "#
        + #"expected format = "debezium" or "flat", which have them."#
    ),
  ])
  func whatIsWrongIsSaid(type: String, lines: String, rule: String, error: String) {
    let errors = ConfigurationFixture.errors(Self.text(type, lines, rule: rule))
    #expect(errors.count == 1 && errors[0].hasPrefix(error), "\(errors)")
  }

  /// Keys of a format count where a rule has it, and are told where none has.
  @Test(arguments: [
    ("flat", #"flat = { deletes = "rewrite" }"#), ("flat", #"keyFormat = "scalar""#),
    ("debezium", "[sink.k.debezium]\nschemas = true"), ("cloudevents", #"cloudevents = "binary""#),
    ("json-schema", registry), ("avro", registry + "\nschemaStyle = \"plain\""),
  ])
  func aFormatsKeysCountWhereARuleHasIt(format: String, lines: String) throws {
    let rule = "format = \"\(format)\""
    let configuration = try ConfigurationFixture.parse(
      Self.text("kafka", lines, rule: rule))
    #expect(configuration.notes.isEmpty, "\(configuration.notes)")
    let other = Self.text("kafka", lines, rule: "actions = []")
    let isTold = (try? ConfigurationFixture.parse(other))?.notes.isEmpty == false
    #expect(isTold || !ConfigurationFixture.errors(other).isEmpty)
  }

  @Test func headersCountWhereARuleHasTheNativeFormat() throws {
    func notes(_ rule: String) throws -> [String] {
      try ConfigurationFixture.parse(
        Self.text("kafka", "format = \"debezium\"\nheaders = true", rule: rule)
      ).notes.map { "\($0)" }
    }
    #expect(try notes(#"format = "psql-streamer""#).isEmpty)
    #expect(try notes(#"format = "flat""#).count == 1)
  }

  /// `inspect --diff` shows what another format makes of one table, and compares what records say that name schemas.
  @Test func comparisonsKnowFormatsOfTables() throws {
    func configuration(_ format: String?) throws -> Configuration {
      try ConfigurationFixture.parse(
        """
        store = "/p.db"
        [source.r]
        type = "recording"
        path = "r.rec"
        [sink.k]
        type = "kafka"
        sources = ["r"]
        hosts = ["k:9092"]
        topicTemplate = "{source}.{sink}.{table}"
        \(["avro", "protobuf", "json-schema"].contains(format) ? Self.registry : "")
        \(format.map { "[sink.k.table.by_index]\nformat = \"\($0)\"" } ?? "")

        """)
    }
    let path = Fixture(scenario: "identities", version: 15).path
    var lines: [String] = []
    var difference = try RecordingDifference(
      path, configuration(nil), configuration("flat"), source: nil)
    try difference.run { lines.append($0) }
    #expect(difference.counts.same > 5)
    #expect(difference.counts.removed == 5 && difference.counts.added == 5)
    #expect(lines.count == 10 && lines.allSatisfy { $0.contains(" r.k.by_index ") }, "\(lines)")
    // Debezium's envelope and what Avro says of it are one text.
    for other in [FormatConfiguration.Name.debezium, .avro, .protobuf, .jsonSchema] {
      var lines: [String] = []
      var difference = try RecordingDifference(
        path, configuration("avro"), configuration(other.rawValue), source: nil)
      try difference.run { lines.append($0) }
      if other != .protobuf { #expect(lines.isEmpty, "\(other): \(lines)") }
      #expect(difference.counts.same > 5)
    }
  }

  /// Events that come from Kafka are passed on as they are.
  @Test func noFormatForWhatComesFromKafka() {
    let text = """
      store = "/p.db"
      [source.db1]
      type = "kafka"
      hosts = ["k:9092"]
      topics = ["a"]
      groupID = "g"
      [sink.out]
      type = "stub_discard"
      sources = ["db1"]
      [sink.out.table.orders]
      format = "flat"

      """
    let errors = ConfigurationFixture.errors(text)
    #expect(
      errors.count == 1 && errors[0].contains("sink.out.table: found a rule of orders"),
      "\(errors)")
  }
}
