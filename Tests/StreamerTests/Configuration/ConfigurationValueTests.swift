import Testing

@testable import Streamer

/// Units, patterns and names.
@Suite struct ConfigurationValueTests {
  static let durations: [(text: String, duration: Duration?)] = [
    ("10s", .seconds(10)), ("100ms", .milliseconds(100)), ("2m", .seconds(120)),
    ("1h", .seconds(3600)), ("1h30m", .seconds(5400)), ("1.5s", .milliseconds(1500)),
    ("250µs", .microseconds(250)), ("250us", .microseconds(250)), ("7ns", .nanoseconds(7)),
    ("0", .zero), ("0s", .zero), (".5s", .milliseconds(500)),
    ("", nil), ("10", nil), ("s", nil), ("-1s", nil), ("1d", nil), ("1 s", nil), ("1s ", nil),
    ("1..2s", nil), ("1S", nil), ("999999999h", nil), ("890000h", nil),
    ("876000h", .seconds(3_153_600_000)), ("1e3s", nil), ("infs", nil), ("١s", nil),
  ]

  @Test(arguments: durations)
  func duration(_ text: String, _ duration: Duration?) {
    #expect(DurationText.parse(text) == duration)
  }

  static let sizes: [(text: String, bytes: Int?)] = [
    ("0", 0), ("17", 17), ("17B", 17), ("64MiB", 64 << 20), ("64 mib", 64 << 20),
    ("1kB", 1000), ("2KiB", 2048), ("3GB", 3_000_000_000), ("1TiB", 1 << 40),
    ("", nil), ("MiB", nil), ("-1", nil), ("1.5MiB", nil), ("1Mi", nil),
    ("9223372036854775807KiB", nil), ("99999999999999999999", nil),
  ]

  @Test(arguments: sizes)
  func size(_ text: String, _ bytes: Int?) {
    #expect(ByteSize(text)?.bytes == bytes)
  }

  @Test func sizeIsDescribedInItsLargestUnit() {
    #expect(ByteSize(64 << 20).description == "64MiB")
    #expect(ByteSize(1500).description == "1500")
    #expect(ByteSize(0).description == "0")
  }

  @Test func integersOfDurationsCountNanoseconds() throws {
    let configuration = try ConfigurationFixture.parse(
      "tickerInterval = 2_000_000_000\nstartTimeout = 0\n" + ConfigurationFixture.minimal)
    #expect(configuration.tickerInterval == .seconds(2))
    #expect(configuration.startTimeout == nil)
    #expect(configuration.sources[0].startTimeout == nil)
    #expect(
      configuration.notes.map(\.description) == [
        "c.toml:1: tickerInterval: an integer counts nanoseconds, as it always did"
      ])
  }

  static let addresses: [(text: String, host: String?, port: UInt16)] = [
    ("127.0.0.1:12080", "127.0.0.1", 12080), (":80", "", 80), ("[::1]:8080", "::1", 8080),
    ("localhost:0", "localhost", 0), ("x", nil, 0), ("x:", nil, 0), ("x:70000", nil, 0),
    ("::1:80", nil, 0), ("[]:80", nil, 0), ("a b:80", nil, 0), ("x:+8", nil, 0),
    ("http://x:80", nil, 0),
  ]

  @Test(arguments: addresses)
  func address(_ text: String, _ host: String?, _ port: UInt16) {
    let address = HTTPAddress(text)
    #expect(address?.host == host)
    if let address {
      #expect(address.port == port)
      #expect(address.description == text)
    }
  }

  @Test func loopbackIsKnown() {
    #expect(HTTPAddress("127.1.2.3:1")?.isLoopback == true)
    #expect(HTTPAddress("[::1]:1")?.isLoopback == true)
    #expect(HTTPAddress(":1")?.isLoopback == false)
    #expect(HTTPAddress("10.0.0.1:1")?.isLoopback == false)
  }

  static let patterns: [(pattern: String, schema: String, table: String, matches: Bool)] = [
    ("orders", "public", "orders", true), ("orders", "x", "orders", true),
    ("orders", "public", "Orders", false), ("public.orders", "public", "orders", true),
    ("public.orders", "x", "orders", false), ("public.*", "public", "anything", true),
    ("*.*", "a", "b", true), ("*", "a", "b", true), ("audit_*", "p", "audit_log", true),
    ("audit_*", "p", "audit", false), ("*_log", "p", "audit_log", true),
    ("a*b*c", "p", "axxbxbc", true), ("a*b*c", "p", "axxbxb", false), ("a**", "p", "a", true),
    ("p*.t", "public", "t", true), ("s.a.b", "s", "a.b", true), ("", "p", "", false),
    // Parts quoted as SQL quotes them: points and stars are the name's own.
    (#""a.b".c"#, "a.b", "c", true), (#""a.b".c"#, "a", "b.c", false),
    (#""a.b"."c""#, "a.b", "c", true), (#"s."t""q""#, "s", #"t"q"#, true),
    (#""t""q""#, "s", #"t"q"#, true), (#""a.b".*"#, "a.b", "x", true),
    (#""*".t"#, "s", "t", false), (#""*".t"#, "*", "t", true), (#"s."*""#, "s", "x", false),
    (#"s.t"q"#, "s", #"t"q"#, true), (#""a"b"#, "s", "ab", false), (#""a.b"#, "a", "b", false),
    (#"""#, "s", #"""#, false), (#""""#, "s", "", false), (#""a"."#, "a", "", false),
  ]

  @Test(arguments: patterns)
  func pattern(_ pattern: String, _ schema: String, _ table: String, _ matches: Bool) {
    #expect((TablePattern(pattern)?.matches(schema: schema, table: table) ?? false) == matches)
  }

  /// A pattern that is written for a table reads as that table and no other.
  @Test(arguments: [
    ("public", "orders"), ("a.b", "c"), ("a", "b.c"), ("a\"", "\"b\""), ("*", "x*"), ("s", "t*"),
    ("My schema", "é😀"), ("\"", "."), ("a\u{301}", "\"\u{301}"), ("x.\u{301}y", "*\u{301}"),
  ])
  func writtenPatternIsReadBack(schema: String, table: String) throws {
    let name = TablePattern(schema: .init(name: schema), table: .init(name: table))
    let read = try #require(TablePattern("\(name)"))
    #expect(read.isExact)
    #expect(read.schema?.text == schema && read.table.text == table)
  }

  @Test func mostPreciseMappingWins() throws {
    let configuration = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        topicTemplate = "{database}.{schema}.{table}"
        topicFallback = "rest"
        [sink.k.tableTopicMapping]
        "*" = "t-any"
        "o*" = "t-o"
        "public.*" = "t-public"
        orders = "t-orders"
        lines = "t-lines"
        public.orders = "t-public-orders"
        "a.b".c = "t-toml"
        '"a.b".d' = "t-sql"
        """)
    guard case .kafka(let kafka) = configuration.sinks[1].kind else {
      Issue.record("k is no kafka sink")
      return
    }
    func topic(_ schema: String, _ table: String) -> String? {
      kafka.topics.topic(database: "shop", schema: schema, table: table)
    }
    #expect(topic("public", "orders") == "t-public-orders")
    #expect(topic("x", "orders") == "t-orders")
    #expect(topic("public", "items") == "t-public")
    #expect(topic("a.b", "c") == "t-toml")
    #expect(topic("a.b", "d") == "t-sql")
    #expect(topic("public", "lines") == "t-lines", "a name is more precise than a pattern")
    #expect(topic("x", "items") == "t-any", "of equals the first one wins")
  }

  @Test func templateComesBeforeFallback() {
    var routing = TopicRouting(mappings: [], template: "{database}.{schema}.{table}", fallback: "f")
    #expect(routing.topic(database: "d", schema: "s", table: "t") == "d.s.t")
    routing.template = nil
    #expect(routing.topic(database: "d", schema: "s", table: "t") == "f")
    routing.fallback = nil
    #expect(routing.topic(database: "d", schema: "s", table: "t") == nil)
  }

  static let names: [(name: String, near: String?)] = [
    ("batchsiz", "batchSize"), ("batch_size", "batchSize"), ("bacthSize", "batchSize"),
    ("dns", "dsn"), ("xyz", nil), ("", nil), ("batchFlush", nil),
  ]

  @Test(arguments: names)
  func nearestName(_ name: String, _ near: String?) {
    #expect(NearestName.of(name, among: ["batchSize", "batchFlushInterval", "dsn"]) == near)
  }

  @Test func filesAndSinksWithoutTrouble() throws {
    let configuration = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [source.lonely]
        type = "postgres"
        dsn = "host=x"
        publication = "p"
        replicationSlot = "lonely"
        [sink.f]
        type = "file"
        sources = ["db1"]
        path = "/out/{source}.ndjson"
        rotateSize = "10MB"
        numeric = "double"
        interval = "iso8601"
        bytea = "hex"
        json = "string"
        [sink.o]
        type = "stdout"
        sources = ["db1"]
        """)
    guard case .file(let file) = configuration.sinks[1].kind else {
      Issue.record("f is no file sink")
      return
    }
    #expect(file.path(for: "db1") == "/out/db1.ndjson")
    #expect(file.rotateSize == ByteSize(10_000_000))
    let format = configuration.sinks[1].format
    #expect(format.numeric == .double && format.interval == .iso8601)
    #expect(format.bytea == .hex && format.json == .string)
    #expect(configuration.sinks(of: "db1").map(\.name) == ["out", "f", "o"])
    #expect(configuration.sinks[2].format == FormatConfiguration())
    #expect(
      configuration.notes.map(\.description) == [
        "c.toml:10: source.lonely: no sink lists this source: it is not started"
      ])
  }

  @Test func allowLossPermitsWhatMayLose() throws {
    let configuration = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        topicFallback = "t"
        allowLoss = true
        async = true
        requiredAcks = 0
        createTopics = "create"
        topics = { partitions = 6, replication = 3, config = { retention.ms = 5, "a" = true } }
        [sink.k.librdkafka]
        acks = 1
        "linger.ms" = 5.5
        security.protocol = "SSL"
        """)
    guard case .kafka(let kafka) = configuration.sinks[1].kind else {
      Issue.record("k is no kafka sink")
      return
    }
    #expect(kafka.allowLoss && kafka.async && kafka.requiredAcks == 0)
    #expect(kafka.createTopics == .create)
    #expect(
      kafka.newTopics
        == .init(partitions: 6, replication: 3, config: ["retention.ms": "5", "a": "true"]))
    #expect(
      kafka.librdkafka.mapValues(\.revealed)
        == ["acks": "1", "linger.ms": "5.5", "security.protocol": "SSL"])
  }
}
