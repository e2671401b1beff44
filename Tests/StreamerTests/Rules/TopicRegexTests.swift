import Testing

@testable import Streamer

/// Topics' names by regular expressions, and tables named by them.
@Suite struct TopicRegexTests {
  private static let kafka = """
    store = "/p.db"
    [source.db1]
    type = "postgres"
    dsn = "dbname=test"
    publication = "pub1"
    replicationSlot = "slot1"
    [sink.out]
    type = "kafka"
    hosts = ["k:9092"]
    sources = ["db1"]

    """

  private func routing(_ text: String) throws -> TopicRouting {
    let sink = try ConfigurationFixture.parse(Self.kafka + text).sinks[0]
    return sink.setup(for: "db").routing
  }

  @Test func aNameThatMatchesIsReplaced() throws {
    let routing = try routing(
      """
      topicTemplate = "{schema}.{table}"
      topicRegex = { pattern = "(.*)\\\\.orders_(\\\\d+)", replacement = "all.$1.$2" }
      """)
    #expect(routing.topic(database: "d", schema: "s", table: "orders_12") == "all.s.12")
    #expect(routing.topic(database: "d", schema: "s", table: "orders_12x") == "s.orders_12x")
  }

  /// Shards that come into one topic are meant to.
  @Test func shardsOfOneTopicAreNoCollision() throws {
    let routing = try routing(
      """
      topicTemplate = "{schema}.{table}"
      topicRegex = { pattern = "(.*)_\\\\d+", replacement = "$1" }
      """)
    var owners = TopicOwners(most: 10)
    for table in ["orders_1", "orders_2"] {
      let name = TablePolicy.Name(schema: "s", table: table)
      #expect(owners.claim(name, database: "d", routing) == nil)
    }
  }

  @Test(arguments: [
    ("{ pattern = \"(\", replacement = \"x\" }", "topicRegex.pattern"),
    ("{ pattern = \"(a)\", replacement = \"$2\" }", "topicRegex.replacement"),
    ("{ pattern = \"a\", replacement = \"x$\" }", "topicRegex.replacement"),
    ("{ pattern = \"a\" }", "topicRegex.replacement"),
  ]) func whatIsWrongIsNamed(table: String, key: String) {
    let errors = ConfigurationFixture.errors(
      Self.kafka + "topicTemplate = \"{table}\"\ntopicRegex = \(table)")
    #expect(errors.count == 1 && errors[0].contains("sink.out.\(key): "), "\(errors)")
  }

  @Test func tablesAreNamedByRegularExpressions() throws {
    let routing = try routing(
      """
      topicFallback = "rest"
      exclude = ["re:tmp_.*\\\\..*"]
      tableTopicMapping = { "re:public\\\\.(orders|carts)_\\\\d+" = "shards", "public.carts_9" = "nine" }
      [sink.out.table."re:audit\\\\..*"]
      topic = "audit"
      """)
    func topic(_ schema: String, _ table: String) -> String? {
      routing.topic(database: "d", schema: schema, table: table)
    }
    #expect(topic("public", "Orders_1") == "shards")
    #expect(topic("public", "orders_1x") == "rest")
    #expect(topic("public", "carts_9") == "nine")
    #expect(topic("tmp_a", "t") == nil)
    #expect(topic("AUDIT", "t") == "audit")
    #expect(TablePattern.reading("re:(") == nil)
  }

  /// A rule's topic comes before the sink's other keys; a rule without one leaves them.
  @Test func aRulesTopicCountsFirst() throws {
    let routing = try routing(
      """
      tableTopicMapping = { orders = "mapped", "audit.*" = "logs" }
      [sink.out.table."public.orders"]
      topic = "own"
      [sink.out.table."audit.*"]
      actions = ["insert"]
      """)
    #expect(routing.topic(database: "d", schema: "public", table: "orders") == "own")
    #expect(routing.topic(database: "d", schema: "s", table: "orders") == "mapped")
    #expect(routing.topic(database: "d", schema: "audit", table: "t") == "logs")
    #expect(routing.topic(database: "d", schema: "s", table: "t") == nil)
    let alone = try ConfigurationFixture.parse(
      Self.kafka + "[sink.out.table.orders]\ntopic = \"own\"")
    #expect(alone.sinks[0].setup(for: "db").namedTopics == ["own"])
  }

  /// The names of source and sink stand in templates, those of tables' rules too.
  @Test func templatesKnowSourceAndSink() throws {
    let configuration = try ConfigurationFixture.parse(
      Self.kafka.replacing("sources = [\"db1\"]", with: "sources = [\"db1\", \"b c\"]") + """
        topicTemplate = "{source}.{sink}.{database}.{schema}.{table}"
        topicNames = "replace"
        [sink.out.table.orders]
        topic = "{source}-{table}"
        [sink.out.table.logs]
        topic = "{sink}-{source}"
        [source."b c"]
        type = "recording"
        path = "b.rec"

        """)
    let sink = configuration.sinks[0]
    func topic(_ source: String, _ table: String) -> String? {
      sink.setup(for: source).topic(database: "d", schema: "s", table: table)
    }
    #expect(topic("db1", "t") == "db1.out.d.s.t")
    #expect(topic("b c", "t/u") == "b_c.out.d.s.t_u")
    #expect(topic("db1", "orders") == "db1-orders" && topic("b c", "orders") == "b_c-orders")
    #expect(topic("b c", "logs") == "out-b_c")
    // What no table decides is known at the start.
    #expect(sink.setup(for: "b c").namedTopics == ["out-b_c"])
    let plan = PipelineFactory.plan(sink, source: "db1", configuration)
    #expect(plan.setup == sink.setup(for: "db1"))
    // Without it such a name has no topic that Kafka takes, and the table says so.
    var refusing = sink.setup(for: "b c")
    refusing.routing.names = .refuse
    #expect(refusing.topic(database: "d", schema: "s", table: "orders") == "b c-orders")
  }

  @Test func aRulesTemplateIsChecked() {
    let errors = ConfigurationFixture.errors(
      Self.kafka + "topicFallback = \"t\"\n[sink.out.table.orders]\ntopic = \"{tabel}\"\n")
    #expect(
      errors.map { $0.drop { $0 != "s" } } == [
        "sink.out.table.orders.topic: found \"{tabel}\", expected a topic's name that may have "
          + "{database}, {schema}, {table}, {source} and {sink}."
      ])
  }

  /// What is passed on as it is must not seem to be masked.
  @Test func eventsOfKafkaHaveNoRules() {
    let kafka = """
      [source.again]
      type = "kafka"
      hosts = ["k:9092"]
      topics = ["t"]
      groupID = "g"
      [sink.more]
      type = "stdout"
      sources = ["again"]
      [sink.more.table.orders]
      mask = { email = "redact" }
      """
    let errors = ConfigurationFixture.errors(ConfigurationFixture.minimal + kafka)
    #expect(
      errors.count == 1 && errors[0].contains("sink.more.table: found a rule of orders"),
      "\(errors)")
  }

  @Test func aTopicIsKafkas() {
    let errors = ConfigurationFixture.errors(
      ConfigurationFixture.minimal + "[sink.out.table.orders]\ntopic = \"own\"\ntombstones = true")
    #expect(errors.count == 2)
  }
}
