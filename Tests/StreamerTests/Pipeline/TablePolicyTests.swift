import PGWire
import Testing

@testable import Streamer

/// What becomes of tables that have no topic, or one that Kafka does not take (faults B3, B17, U5).
struct TablePolicyTests {
  private typealias Name = TablePolicy.Name

  private static let illegal: StreamerError = {
    var error = StreamerError(what: "sink s", why: "no name", cause: .topicName)
    error.kafkaCode = "TOPIC_EXCEPTION"
    return error
  }()
  private static let missing = StreamerError(what: "sink s", why: "gone", cause: .topicMissing)

  private func made(
    _ routing: TopicRouting, onTableError action: TableErrorAction? = nil
  ) -> TablePolicy {
    let sink = SinkPlan(
      name: "s", setup: LaneSetup(routing: routing, onTableError: action, routesTables: true)
    ) { (_, _) throws(StreamerError) in StubSink(log: nil) }
    return TablePolicy(sinks: [sink], log: Log(level: .error, descriptor: -1))
  }

  private func settle(
    _ policy: TablePolicy, _ table: String, _ answer: Result<TopicID, StreamerError>?
  ) throws(StreamerError) -> TableTopics {
    try policy.settle([(Name(schema: "public", table: table), ["t"])], [[answer]])[0]
  }

  @Test(arguments: [illegal, missing])
  func laterTableIsLeftOutAndOneOfTheStartStops(_ error: StreamerError) throws {
    let policy = made(TopicRouting(template: "{schema}.{table}"))
    try policy.start([Name(schema: "public", table: "old")], database: "d")
    let later = try settle(policy, "later", .failure(error))
    #expect(later.topics == [nil] && later.left == [LeftOut(error)])
    let stop = #expect(throws: StreamerError.self) {
      try settle(policy, "old", .failure(error))
    }
    #expect(stop?.why.contains("table public.old") == true)
    #expect(stop?.hint.contains("tableTopicMapping = { \"public.old\" = \"TOPIC\" }") == true)
    #expect(stop?.isRetryable == false)
    #expect(try settle(policy, "old", .success(3)).topics == [3])
  }

  /// What may be written in a file can be: its quotes are TOML's, and nothing is cut off.
  @Test func theRemedyIsTOML() throws {
    let name = #"we "ird" "# + String(repeating: "x", count: 70)
    let policy = made(TopicRouting(template: "{schema}.{table}"))
    let stop = #expect(throws: StreamerError.self) {
      try policy.start([Name(schema: "public", table: name)], database: "d")
    }
    let hint = try #require(stop?.hint)
    let end = try #require(hint.firstRange(of: " }")?.upperBound)
    let start = try #require(hint.firstRange(of: "tableTopicMapping")?.lowerBound)
    let document = try TOMLDocument(parsing: String(hint[start..<end]))
    guard case .table(let mapping) = document.root.entries[0].value.content else {
      Issue.record("no table")
      return
    }
    #expect(TablePattern(mapping.entries[0].key)?.matches(schema: "public", table: name) == true)
  }

  /// A rule that does not fit stops the start, and leaves a table out that appears later.
  @Test func aRuleThatDoesNotFitIsToldAtTheStart() throws {
    let orders = Relation(
      oid: 1, schema: "public", name: "orders", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "customer", type: 25),
      ])
    func policy(_ column: String, _ action: TableErrorAction? = nil) throws -> TablePolicy {
      var setup = LaneSetup(
        routing: TopicRouting(template: "{table}"), onTableError: action, routesTables: true)
      setup.rules = TableRules([
        .init(
          tables: try #require(TablePattern("orders")),
          rule: TableRules.Rule(key: [column]))
      ])
      let sink = SinkPlan(name: "s", setup: setup) { (_, _) throws(StreamerError) in
        StubSink(log: nil)
      }
      return TablePolicy(sinks: [sink], log: Log(level: .error, descriptor: -1))
    }
    let names = [Name(orders)]
    let described = DescribedRelation(relation: orders)
    let error = #expect(throws: StreamerError.self) {
      try policy("customer").start(names, [described], database: "d")
    }
    #expect(error?.exit == .preflight)
    #expect(
      error?.why == "table public.orders: its rule does not fit: column \"customer\" is no part of "
        + "its replica identity, so updates and deletes do not say what it was")
    try policy("id").start(names, [described], database: "d")
    try policy("customer", .exclude).start(names, [described], database: "d")
    let later = try policy("customer")
    try later.start([], database: "d")
    let sinks = SinkList([StubSink(log: nil)])
    #expect(
      try later.find([(Name(orders), ["t"])], [described], in: sinks)[0].left == [.rule])
  }

  @Test func theConfigurationDecidesForBoth() throws {
    for error in [Self.illegal, Self.missing] {
      let stops = made(TopicRouting(template: "{table}"), onTableError: .stop)
      try stops.start([], database: "d")
      #expect(throws: StreamerError.self) { try settle(stops, "later", .failure(error)) }
      let excludes = made(TopicRouting(template: "{table}"), onTableError: .exclude)
      try excludes.start([Name(schema: "public", table: "old")], database: "d")
      #expect(try settle(excludes, "old", .failure(error)).left == [LeftOut(error)])
    }
  }

  /// An outage is nobody's own trouble.
  @Test func whatConcernsAllIsThrownAsItIs() throws {
    let policy = made(TopicRouting(template: "{table}"), onTableError: .exclude)
    let outage = StreamerError(what: "sink s", why: "away", retryable: true)
    let thrown = #expect(throws: StreamerError.self) {
      try settle(policy, "t", .failure(outage))
    }
    #expect(thrown == outage)
  }

  @Test func startNamesWhatCannotHaveATopic() throws {
    let tables = [Name(schema: "public", table: "a b"), Name(schema: "public", table: "fine")]
    let routing = TopicRouting(template: "{table}")
    let error = #expect(throws: StreamerError.self) {
      try made(routing).start(tables, database: "d")
    }
    #expect(error?.exit == .preflight)
    #expect(error?.why.contains("public.a b") == true)
    try made(routing, onTableError: .exclude).start(tables, database: "d")
    var excluding = routing
    excluding.excluded = ["public.a*"].compactMap(TablePattern.init)
    try made(excluding).start(tables, database: "d")
    var replacing = routing
    replacing.names = .replace
    try made(replacing).start(tables, database: "d")
  }

  @Test func reasonsAreTold() throws {
    var routing = TopicRouting(mappings: [], template: nil, fallback: nil)
    routing.excluded = ["repack.*", "public.x"].compactMap(TablePattern.init)
    let policy = made(routing)
    #expect(try settle(policy, "x", nil).left == [.exclude])
    #expect(try settle(policy, "y", nil).left == [.noTopic])
  }

  @Test func tablesThatComeIntoOneTopicAreFoundOnce() {
    func found(_ routing: TopicRouting, _ names: [(String, String)]) -> [String] {
      var owners = TopicOwners(most: 100)
      return names.compactMap { schema, table in
        let name = Name(schema: schema, table: table)
        return owners.claim(name, database: "d", routing).map {
          "\($0.topic): \($0.other.text), \(name.text)"
        }
      }
    }
    var replacing = TopicRouting(template: "{schema}.{table}")
    replacing.names = .replace
    let blanks = [("s", "a b"), ("s", "a/b"), ("s", "a/b"), ("s", "a c"), ("s", "a_b")]
    #expect(found(replacing, blanks) == ["s.a_b: s.a b, s.a/b"])
    let points = [("a.b", "c"), ("a", "b.c")]
    #expect(found(TopicRouting(template: "{schema}.{table}"), points) == ["a.b.c: a.b.c, a.b.c"])
    // Who leaves the schema out means to join what has one name.
    #expect(found(TopicRouting(template: "{table}"), [("a", "t"), ("b", "t")]) == [])
    replacing.template = "{table}"
    #expect(found(replacing, [("a", "t"), ("b", "t")]) == [])
    #expect(found(replacing, [("a", "t 1"), ("b", "t/1")]) == ["t_1: a.t 1, b.t/1"])
    replacing.excluded = ["b.*"].compactMap(TablePattern.init)
    #expect(found(replacing, [("a", "t 1"), ("b", "t/1")]) == [])
    #expect(found(TopicRouting(fallback: "x"), blanks) == [])
  }

  @Test func everyReplacedNameIsLegal() {
    let names = [
      "order lines", "prix€", "a/b", ".", "..", "", String(repeating: "é", count: 400), "a\u{0}b",
      "🐘", "plain", "a\u{301}",
    ]
    var routing = TopicRouting(template: "{table}")
    routing.names = .replace
    for name in names {
      let topic = routing.topic(database: "d", schema: "s", table: name)
      #expect(topic.map(TopicRouting.isTopicName) == true, "\(name)")
    }
    #expect(routing.topic(database: "d", schema: "s", table: "plain") == "plain")
    #expect(routing.topic(database: "d", schema: "s", table: "order lines") == "order_lines")
    #expect(routing.topic(database: "d", schema: "s", table: "prix€") == "prix_")
  }
}
