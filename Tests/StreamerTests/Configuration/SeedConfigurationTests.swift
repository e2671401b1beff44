import PGWire
import Testing

@testable import Streamer

/// Files of the Go program keep working: every key, with its meaning and default.
@Suite struct SeedConfigurationTests {
  static let everyKey = """
    http = ":12080"
    tickerInterval = "30s"
    boltdb = "/tmp/psql-streamer.bolt"

    [source.db1]
    type = "postgres"
    dsn = "dbname=test sslmode=disable"
    publication = "pub1"
    replicationSlot = "db1"
    sendRetryInterval = "1s"
    startRetryInterval = "2s"
    batchSize = 400
    batchFlushInterval = "3s"
    timeout = "4s"
    walPositionOverride = 26843976
    walRetain = 1048576
    verbose = true
    debug = true

    [source.kafka1]
    type = "kafka"
    hosts = [ "kafka1:9092", "kafka2:9092" ]
    topics = [ "topic1", "topic2" ]
    groupID = "bar"
    sendRetryInterval = "200ms"
    batchSize = 500
    batchFlushInterval = "5s"
    verbose = false
    debug = false

    [sink.kafka1]
    type = "kafka"
    sources = [ "kafka1", "DB1" ]
    hosts = [ "kafka1:9092", "kafka3" ]
    handlers = [ "passthrough" ]
    tableTopicMapping = { table1 = "topic1", table2 = "topic2" }
    topicFallback = "garbageBin"
    timeout = "6s"
    maxAttempts = 3
    rebalanceInterval = "5s"
    requiredAcks = -1
    async = false
    batchSize = 200
    batchTimeout = "10ms"
    verbose = false
    debug = false

    [sink.log]
    type = "stub_log"
    sources = [ "db1" ]
    verbose = true
    debug = true

    [sink.nothing]
    type = "stub_discard"
    sources = [ "db1" ]
    """

  @Test func everyKeyIsAcceptedWithItsMeaning() throws {
    let configuration = try ConfigurationFixture.parse(Self.everyKey)
    #expect(configuration.http.description == ":12080")
    #expect(configuration.tickerInterval == .seconds(30))
    #expect(configuration.store == "/tmp/psql-streamer.bolt")
    #expect(configuration.sources.map(\.name) == ["db1", "kafka1"])
    #expect(configuration.sinks.map(\.name) == ["kafka1", "log", "nothing"])

    let db1 = configuration.sources[0]
    #expect(db1.batchSize == 400)
    #expect(db1.batchFlushInterval == .seconds(3))
    #expect(db1.sendRetryInterval == .seconds(1))
    #expect(db1.verbose && db1.debug)
    guard case .postgres(let postgres) = db1.kind else {
      Issue.record("db1 is no postgres source")
      return
    }
    #expect(try postgres.dsn.string == ConnectionString("dbname=test sslmode=disable"))
    #expect(postgres.publication == "pub1")
    #expect(postgres.replicationSlot == "db1")
    #expect(postgres.startRetryInterval == .seconds(2))
    #expect(postgres.timeout == .seconds(4))
    #expect(postgres.walPositionOverride == LSN(26_843_976))
    #expect(postgres.walRetain == ByteSize(1_048_576))

    guard case .kafka(let source) = configuration.sources[1].kind else {
      Issue.record("kafka1 is no kafka source")
      return
    }
    #expect(source.hosts == ["kafka1:9092", "kafka2:9092"])
    #expect(source.topics == ["topic1", "topic2"])
    #expect(source.groupID == "bar")
    #expect(source.malformed == .stop)
  }

  @Test func kafkaSinkKeepsItsMeaning() throws {
    let configuration = try ConfigurationFixture.parse(Self.everyKey)
    let sink = configuration.sinks[0]
    #expect(sink.sources == ["kafka1", "db1"], "names are found in any letter case")
    guard case .kafka(let kafka) = sink.kind else {
      Issue.record("kafka1 is no kafka sink")
      return
    }
    #expect(kafka.hosts == ["kafka1:9092", "kafka3"])
    #expect(kafka.topics.topic(database: "d", schema: "public", table: "table2") == "topic2")
    #expect(kafka.topics.topic(database: "d", schema: "public", table: "x") == "garbageBin")
    #expect(kafka.timeout == .seconds(6))
    #expect(kafka.requiredAcks == -1)
    #expect(!kafka.async)
    #expect(kafka.batchSize == 200)
    #expect(kafka.batchTimeout == .milliseconds(10))
    #expect(
      configuration.notes.map(\.description) == [
        "c.toml:39: sink.kafka1.maxAttempts: "
          + "has no effect: sending is retried until it succeeds, in order",
        "c.toml:40: sink.kafka1.rebalanceInterval: "
          + "has no effect: onPartitionsChanged says what new partitions do",
      ])
  }

  @Test func defaultsAreTheSeeds() throws {
    let configuration = try ConfigurationFixture.parse(ConfigurationFixture.minimal)
    #expect(configuration.http.description == "127.0.0.1:12080")
    #expect(configuration.tickerInterval == .seconds(10))
    #expect(configuration.startTimeout == .seconds(10))
    #expect(configuration.shutdownTimeout == .seconds(30))
    #expect(configuration.inFlight == .mebibytes(16))
    let source = configuration.sources[0]
    #expect(source.batchSize == 100)
    #expect(source.batchFlushInterval == .seconds(1))
    #expect(source.sendRetryInterval == .milliseconds(100))
    guard case .postgres(let postgres) = source.kind else {
      Issue.record("db1 is no postgres source")
      return
    }
    #expect(postgres.timeout == .seconds(2))
    #expect(postgres.startRetryInterval == .seconds(5))
    #expect(postgres.walPositionOverride == nil)
    #expect(postgres.walRetain == ByteSize(0))
    #expect(postgres.createSlot && !postgres.createPublication && postgres.output.messages)
    #expect(
      postgres.onGap == .stop && !postgres.temporary && postgres.output.protocolVersion == nil)
    #expect(configuration.notes.isEmpty)
  }

  @Test func batchKeysOfASinkActOnlyWhenWritten() throws {
    let configuration = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [sink.k]
        TYPE = "kafka"
        Sources = "db1"
        HOSTS = "k1:9092 k2:9092"
        topicFallback = "t"
        """)
    guard case .kafka(let kafka) = configuration.sinks[1].kind else {
      Issue.record("k is no kafka sink")
      return
    }
    #expect(kafka.batchSize == nil && kafka.batchTimeout == nil)
    #expect(kafka.hosts == ["k1:9092", "k2:9092"], "a string is split at its blanks")
    #expect(kafka.timeout == .seconds(2))
  }
}
