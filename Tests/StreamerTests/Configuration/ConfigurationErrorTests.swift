import Testing

@testable import Streamer

/// What a wrong file says, line by line.
@Suite struct ConfigurationErrorTests {
  private static let source = """
    store = "/p.db"
    [source.db1]
    type = "postgres"
    dsn = "dbname=test"
    publication = "pub1"
    replicationSlot = "slot1"

    """
  private static let kafka = """
    [sink.k]
    type = "kafka"
    sources = ["db1"]
    hosts = ["k:9092"]
    topicFallback = "rest"

    """
  private static let out = "[sink.out]\ntype = \"stub_discard\"\nsources = [\"db1\"]\n"

  /// A line at the top and what it is told, without "c.toml:1: ".
  static let top: [(line: String, error: String)] = [
    (
      "stroe = \"x\"",
      "stroe: found an unknown key, expected a key of the top of the file. Did you mean \"store\"?"
    ),
    (
      "http = \"localhost\"",
      "http: found \"localhost\", expected an address such as \"127.0.0.1:12080\", "
        + "or \":12080\" for all interfaces."
    ),
    ("http = 12080", "http: found an integer, expected a string."),
    (
      "tickerInterval = 10",
      "tickerInterval: found 10, expected a duration such as \"10s\" or 0. "
        + "An integer counts nanoseconds; write the unit."
    ),
    (
      "shutdownTimeout = 0",
      "shutdownTimeout: found 0, expected a duration such as \"100ms\"."
    ),
    (
      "startTimeout = \"10 parsecs\"",
      "startTimeout: found \"10 parsecs\", expected a duration such as \"10s\" or 0. "
        + "Units are ms, s, m and h."
    ),
    (
      "inFlight = \"1KiB\"",
      "inFlight: found \"1KiB\", expected a size of at least 64KiB, in bytes or such as \"64MiB\"."
    ),
    (
      "inFlight = 1.5",
      "inFlight: found 1.5, expected a size of at least 64KiB, in bytes or such as \"64MiB\"."
    ),
    (
      "logFormat = \"jsno\"",
      "logFormat: found \"jsno\", expected one of \"logfmt\", \"json\". Did you mean \"json\"?"
    ),
    (
      "logLevel = true",
      "logLevel: found true, expected one of \"trace\", \"debug\", \"info\", \"warn\", \"error\"."
    ),
    (
      "httpTLS = { cert = \"c\", key = \"k\" }",
      "httpTLS: found a key that comes with a later version, expected a key of the top of the file."
        + " Remove it."
    ),
    (
      "boltdb = \"/x\"",
      "boltdb: found the old name of store beside it, expected one of the two. Remove boltdb."
    ),
    (
      "logLevel = \"a\\nb\"",
      "logLevel: found \"a b\", expected one of \"trace\", \"debug\", \"info\", \"warn\", \"error\"."
    ),
    (
      "http = '\(String(repeating: "x", count: 100))'",
      "http: found \"\(String(repeating: "x", count: 60))…\", expected an address such as "
        + "\"127.0.0.1:12080\", or \":12080\" for all interfaces."
    ),
    ("http = 2026-01-01", "http: found a date or time, expected a string."),
  ]

  @Test(arguments: top)
  func topOfTheFile(_ line: String, _ error: String) {
    let text = line + "\n" + Self.source + Self.out
    #expect(ConfigurationFixture.errors(text) == ["c.toml:1: \(error)"])
  }

  /// A line of a PostgreSQL source and what it is told, without "c.toml:7: source.db1.".
  static let postgres: [(line: String, error: String)] = [
    ("batchSize = \"x\"", "batchSize: found \"x\", expected an integer."),
    ("batchSize = 0", "batchSize: found 0, expected an integer of at least 1."),
    ("verbose = 1", "verbose: found 1, expected true or false."),
    ("timeout = \"0s\"", "timeout: found \"0s\", expected a duration such as \"100ms\"."),
    (
      "walRetain = -1", "walRetain: found -1, expected a size, in bytes or such as \"64MiB\"."
    ),
    (
      "walPositionOverride = \"1/G\"",
      "walPositionOverride: found \"1/G\", expected a log position: an integer or such as "
        + "\"16/B374D848\"."
    ),
    (
      "walPositionOverride = -5",
      "walPositionOverride: found -5, expected a log position: an integer or such as "
        + "\"16/B374D848\"."
    ),
    ("protocol = 5", "protocol: found 5, expected 1."),
    (
      "protocol = 2",
      "protocol: found 2, expected 1. protocol 2 to 4 come with a later version."
    ),
    (
      "onGap = \"snapshot\"",
      "onGap: found \"snapshot\", expected one of \"stop\", \"accept\". "
        + "\"snapshot\" comes with a later version."
    ),
    (
      "temporary = true",
      "temporary: found true, expected onGap = \"accept\" beside it. "
        + "A temporary slot forgets what happens while psql-streamer is not connected."
    ),
    (
      "tables = [\"orders\"]",
      "tables: found \"orders\", expected \"schema.table\", with * for any characters and ! "
        + "before those left out."
    ),
    (
      "tables = [\"!public.x\"]",
      "tables: found only tables to leave out, expected at least one to publish. "
        + "Put \"*.*\" first for all tables."
    ),
    (
      "twoPhase = true",
      "twoPhase: found a key that comes with a later version, expected a key of a postgres source."
        + " Remove it."
    ),
    (
      "Batch_Size = 5",
      "Batch_Size: found an unknown key, expected a key of a postgres source. "
        + "Did you mean \"batchSize\"?"
    ),
    (
      "DSN = \"again\"",
      "DSN: found the same key a second time, expected each key once. "
        + "Keys are the same in any letter case."
    ),
  ]

  @Test(arguments: postgres)
  func postgresSource(_ line: String, _ error: String) {
    let text = Self.source + line + "\n" + Self.out
    #expect(ConfigurationFixture.errors(text) == ["c.toml:7: source.db1.\(error)"])
  }

  /// A line of a Kafka sink and what it is told, without "c.toml:12: sink.k.".
  static let sink: [(line: String, error: String)] = [
    (
      "batchsize = \"x\"",
      "batchSize: found \"x\", expected an integer."
    ),
    (
      "async = true",
      "async: found true, expected false. It counts events as delivered before Kafka has them, so "
        + "that a failure loses them; allowLoss = true permits it. "
        + "Batches are sent without waiting anyway."
    ),
    (
      "requiredAcks = 0",
      "requiredAcks: found 0, expected -1, which waits for all in-sync replicas. "
        + "Fewer acknowledgements may lose events; allowLoss = true permits it."
    ),
    ("requiredAcks = -2", "requiredAcks: found -2, expected an integer from -1 to 1000."),
    (
      "delivery = \"exactly-once\"",
      "delivery: found \"exactly-once\", expected \"at-least-once\". "
        + "\"exactly-once\" comes with a later version."
    ),
    (
      "format = \"avro\"",
      "format: found \"avro\", expected \"psql-streamer\". \"avro\" comes with a later version."
    ),
    ("format = \"xml\"", "format: found \"xml\", expected \"psql-streamer\"."),
    (
      "oversized = \"dead-letter\"",
      "oversized: found \"dead-letter\", expected \"fail\". "
        + "\"dead-letter\" comes with a later version."
    ),
    (
      "handlers = [\"passthrough\", \"domain\"]",
      "handlers: found \"domain\", expected \"passthrough\"."
    ),
    ("handlers = []", "handlers: found an empty list, expected [\"passthrough\"]."),
    (
      "tableTopicMapping = { a = \"rest\" }",
      "tableTopicMapping.a: found the same topic as topicFallback, expected another topic. "
        + "Leave the table out of tableTopicMapping: it goes to topicFallback anyway."
    ),
    (
      "tableTopicMapping = { \"public.\" = \"t\" }",
      "tableTopicMapping.\"public.\": found no table's name, expected \"table\" or "
        + "\"schema.table\", with * for any characters."
    ),
    (
      "messageTopic = \"a b\"",
      "messageTopic: found \"a b\", expected a topic's name: letters, digits, \".\", \"_\" "
        + "and \"-\"."
    ),
    (
      "topicTemplate = \"{schema}.{tabel}\"",
      "topicTemplate: found \"{schema}.{tabel}\", expected a topic's name with {database}, "
        + "{schema} and {table}."
    ),
    (
      "topics = { partitions = 0 }",
      "topics.partitions: found 0, expected at least 1, or -1 for the broker's own."
    ),
    (
      "topics = { partition = 3 }",
      "topics.partition: found an unknown key, expected a key of the topics to create. "
        + "Did you mean \"partitions\"?"
    ),
    (
      "key = [\"id\"]",
      "key: found a key that comes with a later version, expected a key of a kafka sink. Remove it."
    ),
    (
      "librdkafka = { acks = 1 }",
      "librdkafka.acks: found 1, expected \"all\" or \"-1\". Records that not every in-sync replica "
        + "has may be lost; allowLoss = true permits it."
    ),
    (
      "librdkafka = { enable.idempotence = false }",
      "librdkafka.\"enable.idempotence\": found false, expected \"true\". Without idempotence a "
        + "retry may repeat or reorder records; allowLoss = true permits it."
    ),
    (
      "librdkafka = { \"bootstrap.servers\" = \"k:1\" }",
      "librdkafka.\"bootstrap.servers\": found a property that psql-streamer sets itself, expected "
        + "other properties only. Write hosts instead."
    ),
    (
      "librdkafka = { x = [] }",
      "librdkafka.x: found an array, expected a string, an integer or a boolean."
    ),
    ("librdkafka = \"x\"", "librdkafka: found a string, expected a table."),
    (
      "[sink.k.table.\"public.orders\"]",
      "table: found a key that comes with a later version, expected a key of a kafka sink. "
        + "Remove it."
    ),
  ]

  @Test(arguments: sink)
  func kafkaSink(_ line: String, _ error: String) {
    let text = Self.source + Self.kafka + line + "\n"
    #expect(ConfigurationFixture.errors(text) == ["c.toml:12: sink.k.\(error)"])
  }

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
      source.replacingFirst("/p.db", with: "kafka") + out,
      [
        "c.toml:1: store: found \"kafka\", expected a path. "
          + "Positions in Kafka come with a later version."
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
        "c.toml:8: source.DB1.type: found \"kafak\", expected one of \"postgres\", \"kafka\". "
          + "Did you mean \"kafka\"?",
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

  @Test func printedFormHasTheProgramsName() {
    let error = #expect(throws: ConfigurationErrors.self) {
      try ConfigurationFixture.parse("htp = 1\nstroe = 2\n[source]\n[sink]\n")
    }
    let lines = error?.description.split(separator: "\n") ?? []
    #expect(lines.count == 4)
    #expect(lines.allSatisfy { $0.hasPrefix("psql-streamer: c.toml:") })
    #expect(error?.exit == .usage)
  }

  @Test func fileThatIsMissingSaysSo() {
    let error = #expect(throws: ConfigurationErrors.self) {
      try Configuration.load(path: "/nonexistent/c.toml")
    }
    #expect(
      error?.description
        == "psql-streamer: /nonexistent/c.toml: found a file that cannot be read "
        + "(No such file or directory), expected a configuration in TOML.")
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
