/// A `[sink.NAME]` table with `type = "kafka"`.
struct KafkaSinkConfiguration: Hashable, Sendable {
  /// What `delivery` promises.
  enum Delivery: String, CaseIterable, Sendable {
    /// Nothing is lost; a crash may repeat.
    case atLeastOnce = "at-least-once"
    /// Nothing is lost, and who reads what is committed gets nothing twice.
    case exactlyOnce = "exactly-once"
  }

  /// What to do with a topic that does not exist.
  enum TopicCreation: String, CaseIterable, Sendable {
    /// Refuse to start.
    case require
    /// Create it.
    case create
  }

  /// What to do with a record that is larger than the broker takes.
  enum OversizedAction: String, CaseIterable, Sendable {
    /// Stop the pipeline.
    case fail
    /// Produce what is known of it to `deadLetterTopic`.
    case deadLetter = "dead-letter"
    /// Hold it, and what follows it in its topic, on disk.
    case quarantine
  }

  /// Where records are held, and how many.
  struct Quarantine: Hashable, Sendable {
    /// The folder of its file; `nil` for that of `store`.
    var directory: String?
    /// Bytes that may be held for one source (1GiB).
    var limit = ByteSize(Limits.quarantineBytes)

    /// The file for one sink and one source; nil when there is no folder for it.
    func path(store: String?, source: String, sink: String) -> String? {
      guard let folder = directory ?? store.map({ FileAccess.directory(of: $0) }) else {
        return nil
      }
      let owner = "\(FileAccess.part(named: source))-\(FileAccess.part(named: sink))"
      return "\(folder)/quarantine-\(owner).sqlite"
    }
  }

  /// What becomes of partitions that are added to a topic while records go there.
  enum PartitionsAction: String, CaseIterable, Sendable {
    /// They get no records before the next start, so that keys stay where they are.
    case keep
    /// They get records within half a minute, and most keys move.
    case use
  }

  /// How topics are created.
  struct NewTopics: Hashable, Sendable {
    /// How many partitions; -1 leaves it to the broker.
    var partitions = -1
    /// How many replicas; -1 leaves it to the broker.
    var replication = -1
    /// The topic's own configuration, by Kafka's names.
    var config: [String: String] = [:]
  }

  /// The brokers to ask first, each "host:port".
  let hosts: [String]
  /// Which table goes where.
  var topics: TopicRouting
  /// What the trouble of one table with its topic does; `nil` stops for a table that was there at
  /// the start, and leaves out one that appears later.
  var onTableError: TableErrorAction?
  /// Where logical messages go; `nil` leaves them out.
  var messageTopic: String?
  /// Whose rows and messages name their topics themselves; `nil` for none.
  var outbox: OutboxOptions?
  /// How long one request may take (2s).
  let timeout: Duration
  /// How many replicas acknowledge, -1 for all in sync.
  let requiredAcks: Int
  /// Whether events count as delivered before the broker acknowledged them.
  let async: Bool
  /// Whether settings are permitted that may lose events.
  let allowLoss: Bool
  /// How many records make a batch; `nil` leaves it to librdkafka.
  let batchSize: Int?
  /// How long a batch waits to fill; `nil` sends at once.
  let batchTimeout: Duration?
  /// The guarantee.
  let delivery: Delivery
  /// The transactional.id; `nil` makes it of the source's and the sink's names.
  let transactionalID: String?
  /// The topic of the position; `nil` makes its name of the transactional.id.
  let positionTopic: String?
  /// How long a Kafka transaction stays open, and how large it grows.
  let transactionRules: KafkaTransaction.Rules
  /// The headers that records carry.
  var headers: EventHeaders
  /// What to do with a topic that does not exist.
  let createTopics: TopicCreation
  /// How topics are created.
  let newTopics: NewTopics
  /// What becomes of partitions that are added to a topic while records go there.
  let onPartitionsChanged: PartitionsAction
  /// What to do with a record that is larger than the broker takes.
  let oversized: OversizedAction
  /// Where what cannot be delivered goes; with `oversized = "quarantine"` only changes of which no record
  /// can be made, and so held.
  let deadLetterTopic: String?
  /// Where each gap of its sources is told; `nil` for nowhere.
  let gapTopic: String?
  /// Where it goes what is told of copies of existing rows.
  let notificationTopic: String?
  /// Where somebody may ask for such copies; `nil` for nowhere.
  let signalTopic: String?
  /// Where it goes what is told of transactions.
  let transactionTopic: String?
  /// Where it is held with `oversized = "quarantine"`.
  let quarantine: Quarantine
  /// Properties that go to librdkafka verbatim.
  let librdkafka: [String: Secret]

  /// Keys of a later version.
  static let later = [
    "key", "partitionBy", "tombstones", "schemaRegistry",
  ]

  /// Reads the keys of this kind; the rules of tables may name topics as well.
  init(_ rules: TableRules, in reader: inout ConfigurationReader) {
    hosts = reader.hosts()
    reader.checkHandlers()
    outbox = OutboxOptions(in: &reader)
    topics = reader.topicRouting(rules, isOptional: outbox != nil)
    onTableError =
      reader.has("onTableError")
      ? reader.choice("onTableError", default: TableErrorAction.exclude) : nil
    messageTopic = reader.topic("messageTopic")
    timeout = reader.duration("timeout", default: .seconds(2))
    allowLoss = reader.boolean("allowLoss", default: false)
    requiredAcks = reader.requiredAcks(allowLoss: allowLoss)
    async = reader.async(allowLoss: allowLoss)
    batchSize =
      reader.has("batchSize") ? reader.integer("batchSize", default: 100, in: 1...Int.max) : nil
    batchTimeout =
      reader.has("batchTimeout")
      ? reader.duration("batchTimeout", default: .milliseconds(5), zero: true) : nil
    delivery = reader.choice("delivery", default: Delivery.atLeastOnce)
    transactionalID = reader.transactionKey("transactionalID", delivery) {
      $0.text("transactionalID")?.value
    }
    positionTopic = reader.transactionKey("positionTopic", delivery) { $0.topic("positionTopic") }
    transactionRules = reader.transactionRules(delivery)
    if delivery == .exactlyOnce, requiredAcks != -1 || async {
      reader.fail(
        "delivery", at: reader.entry("delivery")?.position, found: "\"exactly-once\"",
        expected: "neither requiredAcks nor async beside it",
        hint: "Both give up what it promises.")
    }
    headers = reader.eventHeaders()
    createTopics = reader.choice("createTopics", default: TopicCreation.require)
    newTopics = reader.newTopics(isUsed: createTopics == .create)
    onPartitionsChanged = reader.choice("onPartitionsChanged", default: PartitionsAction.keep)
    oversized = reader.choice("oversized", default: OversizedAction.fail)
    quarantine = reader.quarantine(oversized, delivery)
    deadLetterTopic = reader.topic("deadLetterTopic")
    reader.checkDeadLetterTopic(
      deadLetterTopic, oversized,
      others: topics.named + [messageTopic].compactMap(\.self))
    gapTopic = reader.topic("gapTopic")
    notificationTopic = reader.topic("notificationTopic")
    let others = topics.named + [messageTopic, deadLetterTopic].compactMap(\.self)
    reader.check("gapTopic", gapTopic, others: others)
    reader.check(
      "notificationTopic", notificationTopic, others: others + [gapTopic].compactMap(\.self))
    signalTopic = reader.topic("signalTopic")
    reader.check(
      "signalTopic", signalTopic,
      others: others + [gapTopic, notificationTopic].compactMap(\.self))
    transactionTopic = reader.topic("transactionTopic")
    reader.check(
      "transactionTopic", transactionTopic,
      others: others + [gapTopic, notificationTopic, signalTopic].compactMap(\.self))
    librdkafka = reader.librdkafkaProperties(rules: LibrdkafkaRule.producer, allowLoss: allowLoss)
    reader.readIneffectiveKeys()
  }
}

extension KafkaSinkConfiguration {
  /// The transactional.id under which the sink writes what one source sends.
  func transactionalID(source: String, sink: String) -> String {
    transactionalID ?? "psql-streamer-\(source)-\(sink)"
  }
}

extension ConfigurationReader {
  /// Reads a key that only exactly-once has.
  fileprivate mutating func transactionKey<T>(
    _ key: String, _ delivery: KafkaSinkConfiguration.Delivery,
    _ read: (inout ConfigurationReader) -> T
  ) -> T {
    if has(key), delivery != .exactlyOnce {
      note(key, "has no effect without delivery = \"exactly-once\"")
    }
    return read(&self)
  }

  /// Reads the bounds of a Kafka transaction.
  fileprivate mutating func transactionRules(
    _ delivery: KafkaSinkConfiguration.Delivery
  ) -> KafkaTransaction.Rules {
    var rules = KafkaTransaction.Rules()
    rules.interval = transactionKey("transactionInterval", delivery) {
      $0.duration("transactionInterval", default: Limits.transactionInterval)
    }
    rules.bytes = transactionKey("transactionMaxBytes", delivery) {
      $0.size("transactionMaxBytes", default: ByteSize(Limits.transactionBytes)).bytes
    }
    return rules
  }

  /// Checks `handlers`: there is one kind, and it is always there.
  fileprivate mutating func checkHandlers() {
    guard let entry = entry("handlers") else { return }
    let handlers = requiredTexts("handlers", expected: "[\"passthrough\"]")
    for handler in handlers where handler.value != "passthrough" {
      fail("handlers", at: entry.position, found: handler.shown, expected: "\"passthrough\"")
    }
  }

  /// Checks that dead letters have a topic of their own.
  fileprivate mutating func checkDeadLetterTopic(
    _ topic: String?, _ action: KafkaSinkConfiguration.OversizedAction, others: [String]
  ) {
    if action == .deadLetter, topic == nil {
      missing("deadLetterTopic", expected: "a topic's name for oversized = \"dead-letter\"")
    } else if let topic, others.contains(topic) {
      fail(
        "deadLetterTopic", at: entry("deadLetterTopic")?.position, found: "a topic of events",
        expected: "another topic")
    }
    if action == .fail {
      note(
        "deadLetterTopic",
        "has no effect without oversized = \"dead-letter\" or oversized = \"quarantine\"")
    }
  }

  /// Checks that what is no event has a topic of its own.
  fileprivate mutating func check(_ key: String, _ topic: String?, others: [String]) {
    guard let topic, others.contains(topic) else { return }
    fail(
      key, at: entry(key)?.position, found: "a topic of something else",
      expected: "another topic")
  }

  /// Reads the table `quarantine`.
  fileprivate mutating func quarantine(
    _ action: KafkaSinkConfiguration.OversizedAction, _ delivery: KafkaSinkConfiguration.Delivery
  ) -> KafkaSinkConfiguration.Quarantine {
    var quarantine = KafkaSinkConfiguration.Quarantine()
    if action == .quarantine, delivery == .exactlyOnce {
      fail(
        "oversized", at: entry("oversized")?.position, found: "\"quarantine\"",
        expected: "another action beside delivery = \"exactly-once\"",
        hint: "What is held on disk is in no Kafka transaction.")
    }
    guard var section = section("quarantine", subject: "the quarantine") else { return quarantine }
    if action != .quarantine {
      note("quarantine", "has no effect without oversized = \"quarantine\"")
    }
    if let text = section.text("dir", expected: "a directory") {
      quarantine.directory = text.value
      if text.value.isEmpty {
        section.fail("dir", at: text.position, found: text.shown, expected: "a directory")
      }
    }
    quarantine.limit = section.size("limit", default: quarantine.limit)
    section.finish()
    absorb(section)
    return quarantine
  }

  /// Reads `requiredAcks`: less than all replicas only with `allowLoss`.
  fileprivate mutating func requiredAcks(allowLoss: Bool) -> Int {
    let acks = integer("requiredAcks", default: -1, in: -1...1000)
    if acks != -1, !allowLoss {
      fail(
        "requiredAcks", at: entry("requiredAcks")?.position, found: "\(acks)",
        expected: "-1, which waits for all in-sync replicas",
        hint: "Fewer acknowledgements may lose events; allowLoss = true permits it.")
    }
    return acks
  }

  /// Reads `async`, which is only permitted with `allowLoss`.
  fileprivate mutating func async(allowLoss: Bool) -> Bool {
    let async = boolean("async", default: false)
    if async, !allowLoss {
      fail(
        "async", at: entry("async")?.position, found: "true", expected: "false",
        hint: "It counts events as delivered before Kafka has them, so that a failure loses them;"
          + " allowLoss = true permits it. Batches are sent without waiting anyway.")
    }
    return async
  }

  /// Reads the table `topics` of a Kafka sink.
  fileprivate mutating func newTopics(isUsed: Bool) -> KafkaSinkConfiguration.NewTopics {
    var topics = KafkaSinkConfiguration.NewTopics()
    guard var section = section("topics", subject: "the topics to create") else { return topics }
    if !isUsed { note("topics", "has no effect without createTopics = \"create\"") }
    topics.partitions = section.integer("partitions", default: -1, in: -1...100_000)
    if topics.partitions == 0 {
      section.fail(
        "partitions", at: section.entry("partitions")?.position, found: "0",
        expected: "at least 1, or -1 for the broker's own")
    }
    topics.replication = section.integer("replication", default: -1, in: -1...100)
    if topics.replication == 0 {
      section.fail(
        "replication", at: section.entry("replication")?.position, found: "0",
        expected: "at least 1, or -1 for the broker's own")
    }
    if var config = section.section("config", subject: "a topic's configuration") {
      topics.config = config.verbatim(config.table, prefix: "")
      section.absorb(config)
    }
    section.finish()
    absorb(section)
    return topics
  }

  /// Reads names with points and their values as text.
  private mutating func verbatim(_ table: TOMLTable, prefix: String) -> [String: String] {
    var values: [String: String] = [:]
    for entry in table.entries {
      let name = prefix + entry.key
      switch entry.value.content {
      case .table(let below):
        values.merge(verbatim(below, prefix: name + ".")) { $1 }
      case .string(let raw):
        values[name] = expand(raw, of: name, at: entry.position)?.value
      case .integer(let number): values[name] = "\(number)"
      case .float(let number): values[name] = "\(number)"
      case .boolean(let flag): values[name] = "\(flag)"
      case .time, .array:
        fail(
          name, at: entry.position, found: entry.value.kind,
          expected: "a string, an integer or a boolean")
      }
    }
    return values
  }

  /// Reads the seed's keys that have no effect any more, and notes it.
  fileprivate mutating func readIneffectiveKeys() {
    _ = integer("maxAttempts", default: 3, in: 1...Int.max)
    note("maxAttempts", "has no effect: sending is retried until it succeeds, in order")
    _ = duration("rebalanceInterval", default: .seconds(15))
    note("rebalanceInterval", "has no effect: onPartitionsChanged says what new partitions do")
  }
}
