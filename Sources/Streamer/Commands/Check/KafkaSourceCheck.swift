import KafkaBridge

/// Examines one Kafka source: its brokers and its topics.
///
/// It does not join the group.
struct KafkaSourceCheck {
  /// The source's name in the configuration.
  let name: String
  /// What the configuration says of it.
  let source: KafkaSourceConfiguration

  private var target: String { "source \(name)" }

  /// Adds what it finds.
  func run(_ report: inout CheckReport) {
    do throws(KafkaError) {
      let consumer = try Consumer(
        configuration: KafkaProperties.consumer(source, log: Log(level: .error)))
      defer { consumer.close(timeout: .zero) }
      try consumer.checkConnection(timeout: Limits.kafkaStart)
      report.add(
        .init("connection", target, .ok, "reached \(KafkaProperties.hosts(source.hosts))"))
      for topic in source.topics + [source.deadLetterTopic].compactMap({ $0 }) {
        report.add(
          .topic(topic, of: target, creation: nil) { () throws(KafkaError) in
            try consumer.describeTopic(topic, timeout: Limits.kafkaRequest)
          })
      }
    } catch { report.add(.kafka("connection", target, error)) }
  }
}

extension CheckFinding {
  /// What Kafka says against it.
  static func kafka(_ check: String, _ target: String, _ error: KafkaError) -> CheckFinding {
    CheckFinding(
      check, target, .fail, "\(error.operation): \(error.text) (\(error.name))", error.remedy)
  }

  /// How a topic stands; `creation` says whether `run` creates one that is missing, and is nil where
  /// it never does.
  static func topic(
    _ topic: String, of target: String,
    creation: KafkaSinkConfiguration.TopicCreation?,
    _ describe: () throws(KafkaError) -> TopicDescription
  ) -> CheckFinding {
    let check = "topic \(topic)"
    do throws(KafkaError) {
      let found = try describe()
      let text =
        CheckReport.count(found.partitionCount, "partition") + ", "
        + CheckReport.count(found.replicationFactor, "replica")
      guard found.leaderlessCount == 0 else {
        return CheckFinding(
          check, target, .warn, "\(text); no leader for \(found.leaderlessCount)",
          "Look after the brokers: records of these partitions wait.")
      }
      return CheckFinding(check, target, .ok, text)
    } catch {
      guard error.category == .missingTopic else { return kafka(check, target, error) }
      if creation == .create {
        return CheckFinding(check, target, .ok, "does not exist; it will be created")
      }
      let other = creation == nil ? "." : ", or set createTopics = \"create\"."
      return CheckFinding(
        check, target, .fail, "does not exist",
        "Create it (kafka-topics.sh --create --topic \(topic))\(other)")
    }
  }
}
