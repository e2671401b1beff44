import Testing

@testable import Streamer

/// What a wrong file says, line by line.
@Suite struct ConfigurationErrorTests {
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
    let text = line + "\n" + ConfigurationPieces.source + ConfigurationPieces.out
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
    ("protocol = 5", "protocol: found 5, expected an integer from 1 to 4."),
    ("origin = \"some\"", "origin: found \"some\", expected one of \"any\", \"none\"."),
    ("spool = { dir = \"\" }", "spool.dir: found \"\", expected a directory."),
    (
      "spool = { limit = \"much\" }",
      "spool.limit: found \"much\", expected a size, in bytes or such as \"64MiB\"."
    ),
    (
      "onGap = \"wait\"",
      "onGap: found \"wait\", expected one of \"stop\", \"accept\", \"snapshot\"."
    ),
    (
      "temporary = true",
      "temporary: found true, expected onGap = \"accept\" beside it. "
        + "A temporary slot forgets what happens while psql-streamer is not connected."
    ),
    (
      "tables = [\"orders\"]",
      "tables: found \"orders\", expected \"schema.table\", with * for any characters and ! "
        + "before those left out, or \"re:\" and a regular expression."
    ),
    (
      "tables = [\"!public.x\"]",
      "tables: found only tables to leave out, expected at least one to publish. "
        + "Put \"*.*\" first for all tables."
    ),
    (
      "heartbeat = 1",
      "heartbeat: found 1, expected a duration such as \"10s\" or 0. "
        + "An integer counts nanoseconds; write the unit."
    ),
    (
      "heartbeatTable = \"beats\"",
      "heartbeatTable: found \"beats\", expected a table as \"schema.table\"."
    ),
    (
      "heartbeatTable = \"public.*\"",
      "heartbeatTable: found \"public.*\", expected a table as \"schema.table\"."
    ),
    (
      "walBudget = { warn = \"2GiB\", stop = \"1GiB\" }",
      "walBudget.stop: found 1GiB, expected at least as much as warn, 2GiB."
    ),
    (
      "walBudget = { dropSlot = \"1GiB\" }",
      "walBudget.dropSlot: found a size, expected allowLoss = true in the source beside it. "
        + "What the slot holds is lost with it."
    ),
    (
      "snapshot = \"once\"",
      "snapshot: found \"once\", expected one of \"never\", \"initial\", \"only\", \"when-needed\", "
        + "\"always\"."
    ),
    (
      "snapshotWhere = { orders = \"true\" }",
      "snapshotWhere.orders: found no table's name, expected \"schema.table\", with * for any "
        + "characters."
    ),
    (
      "snapshotWhere = { \"public.orders\" = \"1); DROP TABLE a\" }",
      "snapshotWhere.\"public.orders\": found \"1); DROP TABLE a\", expected one expression of SQL. "
        + "This one closes a parenthesis that it has not opened."
    ),
    (
      "signalTable = \"signals\"",
      "signalTable: found \"signals\", expected a table as \"schema.table\"."
    ),
    (
      "snapshot = \"initial\"\ntwoPhase = true",
      "snapshot: found \"initial\", expected twoPhase = false beside it. What is prepared is "
        + "delivered before a snapshot sees it."
    ),
    (
      "visibility = \"primary\"\ntwoPhase = true",
      "visibility: found \"primary\", expected twoPhase = false beside it. What is prepared is "
        + "delivered before anybody sees it."
    ),
    (
      "snapshotTables = [\"orders\"]",
      "snapshotTables: found \"orders\", expected \"schema.table\", with * for any characters and ! "
        + "before those left out."
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
    let text = ConfigurationPieces.source + line + "\n" + ConfigurationPieces.out
    #expect(ConfigurationFixture.errors(text) == ["c.toml:7: source.db1.\(error)"])
  }

  @Test(arguments: [("protocol = 1", "streaming", 2), ("protocol = 2", "twoPhase", 3)])
  func aProtocolThatIsTooOld(_ line: String, _ key: String, _ least: Int) {
    let text = ConfigurationPieces.source + line + "\n\(key) = true\n" + ConfigurationPieces.out
    #expect(
      ConfigurationFixture.errors(text) == [
        "c.toml:8: source.db1.\(key): found true, expected protocol \(least) or higher beside it. "
          + "Leave protocol out for the highest that the server has."
      ])
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
      "delivery = \"none\"",
      "delivery: found \"none\", expected one of \"at-least-once\", \"exactly-once\"."
    ),
    (
      "delivery = \"exactly-once\"\nrequiredAcks = 1\nallowLoss = true",
      "delivery: found \"exactly-once\", expected neither requiredAcks nor async beside it. "
        + "Both give up what it promises."
    ),
    (
      "format = \"xml\"",
      "format: found \"xml\", expected one of \"psql-streamer\", \"debezium\", \"flat\", "
        + "\"cloudevents\", \"text\", \"avro\", \"json-schema\", \"protobuf\"."
    ),
    (
      "keyFormat = \"scalar\"",
      "keyFormat: found \"scalar\", expected \"json\", the only one of format = \"psql-streamer\"."
    ),
    (
      "oversized = \"quarantine\"\ndelivery = \"exactly-once\"",
      "oversized: found \"quarantine\", expected another action beside delivery = "
        + "\"exactly-once\". What is held on disk is in no Kafka transaction."
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
        + "\"schema.table\", with * for any characters and parts quoted as in SQL, or "
        + "\"re:\" and a regular expression."
    ),
    (
      "messageTopic = \"a b\"",
      "messageTopic: found \"a b\", expected a topic's name: letters, digits, \".\", \"_\" "
        + "and \"-\"."
    ),
    (
      "topicTemplate = \"{schema}.{tabel}\"",
      "topicTemplate: found \"{schema}.{tabel}\", expected a topic's name that may have "
        + "{database}, {schema}, {table}, {source} and {sink}."
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
      "[sink.k.outbox]",
      "outbox: found neither table nor messages, expected one of them, or both. table = "
        + "\"public.outbox\" names the outbox, messages = \"outbox\" what the prefixes of logical "
        + "messages begin with."
    ),
  ]

  @Test(arguments: sink)
  func kafkaSink(_ line: String, _ error: String) {
    let text = ConfigurationPieces.source + ConfigurationPieces.kafka + line + "\n"
    #expect(ConfigurationFixture.errors(text) == ["c.toml:12: sink.k.\(error)"])
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
