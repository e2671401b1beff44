import Glibc
import KafkaBridge

/// Examines one sink: whether it can be reached and written to.
struct SinkCheck {
  /// What the configuration says of it.
  let sink: SinkConfiguration
  /// The tables of its sources, as far as they are known.
  let sources: [PublishedTables]

  private var target: String { "sink \(sink.name)" }

  /// Adds what it finds.
  func run(_ report: inout CheckReport) {
    switch sink.kind {
    case .kafka(let kafka): examine(kafka, &report)
    case .file(let file): for source in sink.sources { examine(file.path(for: source), &report) }
    case .stdout: report.add(.init("output", target, .ok, "standard output"))
    case .stubLog, .stubDiscard:
      report.add(
        .init("output", target, .warn, "\(sink.typeName) keeps nothing", "It is meant for trials."))
    }
  }

  private func examine(_ path: String, _ report: inout CheckReport) {
    if FileAccess.isDirectory(path) {
      return report.add(
        .init("path", target, .fail, "\(path) is a directory", "Let path name a file."))
    }
    let exists = unsafe access(path, F_OK) == 0
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
      let (topics, homeless) = topics(of: kafka)
      for topic in topics { report.add(examine(topic, kafka, admin)) }
      if !homeless.isEmpty {
        let more = homeless.count > 10 ? ", …" : ""
        report.add(
          .init(
            "topics", target, .warn,
            CheckReport.count(homeless.count, "table") + " without a topic, left out: "
              + homeless.prefix(10).joined(separator: ", ") + more,
            "Add them to tableTopicMapping, or set topicFallback or topicTemplate."))
      }
    } catch { report.add(failure("connection", error)) }
  }

  private func failure(_ check: String, _ error: KafkaError) -> CheckFinding {
    CheckFinding(
      check, target, .fail, "\(error.operation): \(error.text) (\(error.name))", error.remedy)
  }

  /// The topics that the file names and those that the published tables go to, in their order, and
  /// the tables that go nowhere.
  private func topics(
    of kafka: KafkaSinkConfiguration
  ) -> (topics: [String], homeless: [String]) {
    var topics = kafka.namedTopics
    var homeless: [String] = []
    for source in sources {
      for table in source.tables {
        let topic = kafka.topics.topic(
          database: source.database, schema: table.schema, table: table.name)
        if let topic {
          topics.append(topic)
        } else {
          homeless.append("\(table.schema).\(table.name)")
        }
      }
    }
    var seen: Set<String> = []
    return (topics.filter { seen.insert($0).inserted }, homeless)
  }

  private func examine(
    _ topic: String, _ kafka: KafkaSinkConfiguration, _ admin: Admin
  ) -> CheckFinding {
    let check = "topic \(topic)"
    do throws(KafkaError) {
      let found = try admin.describeTopic(topic, timeout: Limits.kafkaRequest)
      let text = "\(found.partitionCount) partitions, \(found.replicationFactor) replicas"
      guard found.leaderlessCount == 0 else {
        return CheckFinding(
          check, target, .warn, "\(text); \(found.leaderlessCount) partitions have no leader",
          "Look after the brokers: records of these partitions wait.")
      }
      return CheckFinding(check, target, .ok, text)
    } catch {
      guard error.category == .missingTopic else {
        return failure(check, error)
      }
      if kafka.createTopics == .create {
        return CheckFinding(check, target, .ok, "does not exist; it will be created")
      }
      return CheckFinding(
        check, target, .fail, "does not exist",
        "Create it (kafka-topics.sh --create --topic \(topic)), or set createTopics = \"create\".")
    }
  }
}
