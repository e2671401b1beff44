import Glibc
import KafkaBridge
import PGWire

/// Examines one sink: whether it can be reached and written to.
struct SinkCheck {
  /// What the configuration says of it.
  let sink: SinkConfiguration
  /// The tables of its sources, as far as they are known.
  let sources: [PublishedTables]
  /// The file of the position store; nil without one.
  var store: String?

  private var target: String { "sink \(sink.name)" }

  /// Adds what it finds.
  func run(_ report: inout CheckReport) {
    if let registry = sink.format.schemas.registry, sink.formats.contains(where: \.hasSchemas) {
      examine(registry, &report)
    }
    examineRules(&report)
    examineOutbox(&report)
    examineQuarantine(&report)
    switch sink.kind {
    case .kafka(let kafka): examine(kafka, &report)
    case .file(let file): for source in sink.sources { examine(file.path(for: source), &report) }
    case .stdout: report.add(.init("output", target, .ok, "standard output"))
    case .stubLog, .stubDiscard:
      report.add(
        .init("output", target, .warn, "\(sink.typeName) keeps nothing", "It is meant for trials."))
    }
  }

  private func examine(_ registry: RegistryConfiguration, _ report: inout CheckReport) {
    do throws(StreamerError) {
      let url = try SchemaRegistry(registry).check(sink: sink.name)
      report.add(.init("schema registry", target, .ok, "reached \(url)"))
    } catch {
      let remedy =
        error.isRetryable
        ? "Start it, or correct urls in [sink.\(sink.name).registry]." : error.hint
      report.add(.init("schema registry", target, .fail, error.why, remedy))
    }
  }

  private func examine(_ path: String, _ report: inout CheckReport) {
    if FileAccess.isDirectory(path) {
      return report.add(
        .init("path", target, .fail, "\(path) is a directory", "Let path name a file."))
    }
    let exists = FileAccess.exists(path)
    let examined = exists ? path : FileAccess.directory(of: path)
    if let reason = FileAccess.whyNotWritable(examined) {
      return report.add(
        .init(
          "path", target, .fail, "\(path) cannot be written: \(examined): \(reason)",
          "Create the directory, writable for this user."))
    }
    report.add(
      .init("path", target, .ok, exists ? "\(path) is writable" : "\(path) will be created"))
  }

  /// Whether records can be held, and whether there are some.
  private func examineQuarantine(_ report: inout CheckReport) {
    guard case .kafka(let kafka) = sink.kind else { return }
    for source in sink.sources {
      guard let path = kafka.quarantine.path(store: store, source: source, sink: sink.name) else {
        continue
      }
      do throws(StreamerError) {
        guard kafka.oversized == .quarantine else {
          try sink.checkNothingIsHeld(of: source, store: store)
          continue
        }
        let file = QuarantineFile(path: path)
        defer { file.close() }
        let held = try file.open().filter { $0.records > 0 }
        for topic in held {
          report.add(
            .init(
              "quarantine", target, .warn,
              "\(topic.records) records of topic \(topic.topic) are held: \(topic.reason.text)",
              "Let the topic take them, and restart."))
        }
        if held.isEmpty { report.add(.init("quarantine", target, .ok, "holds no record")) }
      } catch { report.add("quarantine", target, error) }
    }
  }

  /// Whether the rules for tables fit the tables that there are.
  private func examineRules(_ report: inout CheckReport) {
    guard sink.rules != TableRules(), !sources.isEmpty else { return }
    var fitting = 0
    var used: Set<TablePattern> = []
    for source in sources {
      let setup = sink.setup(for: source.source)
      for table in source.described {
        let (schema, name) = (table.relation.schema, table.relation.name)
        guard let entry = sink.rules.entry(schema: schema, table: name) else { continue }
        used.insert(entry.tables)
        guard setup.topic(database: source.database, schema: schema, table: name) != nil else {
          continue
        }
        guard let error = sink.rules.misfit(table, of: sink.name) else {
          fitting += 1
          continue
        }
        report.add(
          .init(
            "rules", target, setup.onTableError == .exclude ? .warn : .fail,
            "table \(schema).\(name): \(error.why)", error.hint))
      }
    }
    for entry in sink.rules.entries where !used.contains(entry.tables) {
      report.add(
        .init(
          "rules", target, .warn,
          "no published table has the rule of \(entry.tables)"
            + (entry.places[""].map { " (\($0))" } ?? ""),
          "Correct its name, or publish the table."))
    }
    if fitting > 0 {
      report.add(
        .init("rules", target, .ok, "they fit " + CheckReport.count(fitting, "table")))
    }
  }

  /// Whether the outbox is there and has the columns that it needs.
  private func examineOutbox(_ report: inout CheckReport) {
    guard case .kafka(let kafka) = sink.kind, let outbox = kafka.outbox,
      let pattern = outbox.table, !sources.isEmpty
    else { return }
    var found: [String] = []
    for source in sources {
      let setup = sink.setup(for: source.source)
      for table in source.described
      where outbox.covers(schema: table.relation.schema, table: table.relation.name) {
        let name = "\(table.relation.schema).\(table.relation.name)"
        found.append(name)
        guard let error = setup.misfit(table, of: sink.name) else {
          report.add(
            .init(
              "outbox", target, .ok,
              "\(name): a topic by \"\(outbox.routeBy)\", as \"\(outbox.topicTemplate)\""))
          continue
        }
        report.add(
          .init(
            "outbox", target, setup.onTableError == .exclude ? .warn : .fail,
            "table \(name): \(error.why)", error.hint))
      }
    }
    if found.isEmpty {
      report.add(
        .init(
          "outbox", target, .warn, "no published table is the outbox \(pattern)",
          "Correct its name, or publish the table."))
    }
  }

  // MARK: - Kafka

  private func examine(_ kafka: KafkaSinkConfiguration, _ report: inout CheckReport) {
    let quiet = Log(level: .error)
    do throws(KafkaError) {
      try KafkaProperties.producer(kafka, log: quiet).validate()
      let admin = try Admin(configuration: KafkaProperties.admin(kafka, log: quiet))
      defer { admin.close(timeout: .seconds(2)) }
      try admin.checkConnection(timeout: Limits.kafkaStart)
      report.add(
        .init("connection", target, .ok, "reached \(KafkaProperties.hosts(kafka.hosts))"))
      do throws(KafkaError) {
        for broker in try admin.unreachableBrokers(timeout: Limits.kafkaRequest) {
          report.add(.kafka("brokers", target, broker))
        }
      } catch { report.add(.kafka("brokers", target, error)) }
      if kafka.createTopics == .create {
        do throws(KafkaError) {
          try kafka.newTopics.validate(timeout: Limits.kafkaRequest, admin.validate)
        } catch { report.add(.kafka("new topics", target, error)) }
      }
      if kafka.delivery == .exactlyOnce { addTransactions(kafka, admin, &report) }
      let (named, homeless) = topics()
      let topics = named.filter(TopicRouting.isTopicName)
      addIllegal(named.filter { !TopicRouting.isTopicName($0) }, kafka, &report)
      addShared(&report)
      for topic in topics {
        report.add(
          .topic(topic, of: target, creation: kafka.createTopics) {
            () throws(KafkaError) in
            try admin.describeTopic(topic, timeout: Limits.kafkaRequest)
          })
      }
      if !homeless.isEmpty {
        let more = homeless.count > 10 ? ", …" : ""
        report.add(
          .init(
            "topics", target, .warn,
            CheckReport.count(homeless.count, "table") + " without a topic, left out: "
              + homeless.prefix(10).joined(separator: ", ") + more,
            "Add them to tableTopicMapping, or set topicFallback or topicTemplate."))
      }
    } catch { report.add(.kafka("connection", target, error)) }
  }

  /// Where an exactly-once sink keeps its position of each source, and under which name it writes.
  private func addTransactions(
    _ kafka: KafkaSinkConfiguration, _ admin: Admin, _ report: inout CheckReport
  ) {
    for source in sink.sources {
      let id = kafka.transactionalID(source: source, sink: sink.name)
      let topic = kafka.positionTopic ?? "\(id).position"
      do throws(KafkaError) {
        let partitions = try admin.describeTopic(topic, timeout: Limits.kafkaRequest).partitionCount
        report.add(
          .init(
            "exactly-once", target, partitions == 1 ? .ok : .fail,
            "transactional.id \(id); topic \(topic) of the position has "
              + CheckReport.count(partitions, "partition"),
            partitions == 1 ? nil : "Let positionTopic name a topic with one partition."))
      } catch {
        guard error.category == .missingTopic else {
          report.add(.kafka("exactly-once", target, error))
          continue
        }
        report.add(
          .init(
            "exactly-once", target, .ok,
            "transactional.id \(id); topic \(topic) of the position will be created"))
      }
    }
  }

  private func addIllegal(
    _ names: [String], _ kafka: KafkaSinkConfiguration, _ report: inout CheckReport
  ) {
    guard !names.isEmpty else { return }
    let shown = names.prefix(10).map { TOMLValue.quoted($0) }.joined(separator: ", ")
    let isLeftOut = kafka.onTableError == .exclude
    report.add(
      .init(
        "topic names", target, isLeftOut ? .warn : .fail,
        CheckReport.count(names.count, "table") + " whose topic has a name that Kafka does not take"
          + (isLeftOut ? ", left out: " : ": ") + shown + (names.count > 10 ? ", …" : ""),
        "Map them with tableTopicMapping, name them in exclude, or set topicNames = \"replace\""
          + (isLeftOut ? "." : " or onTableError = \"exclude\".")))
  }

  /// Tables that come into one topic, although nobody wrote so.
  private func addShared(_ report: inout CheckReport) {
    for source in sources {
      let setup = sink.setup(for: source.source)
      var owners = TopicOwners(most: source.tables.count)
      for table in source.tables where !setup.isOutbox(schema: table.schema, table: table.name) {
        let name = TablePolicy.Name(schema: table.schema, table: table.name)
        guard let shared = owners.claim(name, database: source.database, setup.routing) else {
          continue
        }
        report.add(
          .init(
            "topic names", target, .warn,
            "\(shared.other.pattern) and \(name.pattern) have one topic, \"\(shared.topic)\"",
            "Give one of them another with tableTopicMapping."))
      }
    }
  }

  /// The topics that the file names and those that the published tables go to, in their order, and
  /// the tables that go nowhere.
  private func topics() -> (topics: [String], homeless: [String]) {
    var topics =
      sink.sources.flatMap { sink.setup(for: $0).namedTopics } + sink.fixedTopics
    var homeless: [String] = []
    for source in sources {
      let setup = sink.setup(for: source.source)
      for table in source.tables where !setup.isOutbox(schema: table.schema, table: table.name) {
        let topic = setup.routing.topic(
          database: source.database, schema: table.schema, table: table.name)
        if let topic {
          topics.append(topic)
        } else if !setup.routing.excludes(schema: table.schema, table: table.name) {
          homeless.append("\(table.schema).\(table.name)")
        }
      }
    }
    var seen: Set<String> = []
    return (topics.filter { seen.insert($0).inserted }, homeless)
  }
}
