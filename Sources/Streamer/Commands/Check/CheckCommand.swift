import KafkaBridge

/// `check`: examines everything that a configuration needs, without changing anything.
enum CheckCommand {
  /// Prints what was found; 0 when nothing failed, 2 for a wrong configuration, 1 when all that
  /// failed may pass by itself, else 3.
  ///
  /// What is wrong with the file goes to standard error as with every command, and as findings to
  /// whoever reads JSON.
  static func run(configuration path: String, json: Bool) throws(StreamerError) -> Int32 {
    var report = CheckReport()
    let configuration: Configuration
    do throws(ConfigurationErrors) { configuration = try Configuration.load(path: path) } catch {
      error.complain()
      report.add(error)
      if json { Terminal.print(String(decoding: report.json, as: UTF8.self)) }
      return error.exit.rawValue
    }
    for note in configuration.notes {
      report.add(.init("configuration", "\(note.path)", .ok, note.text))
    }
    if let cost = producers(of: configuration) { report.add(cost) }
    if configuration.usesKafka, let fault = KafkaVersion.knownFault {
      report.add(
        .init(
          "version", "librdkafka", .warn, "librdkafka \(KafkaVersion.text) \(fault)",
          KafkaVersion.remedy))
    }
    let stored = StoreCheck.positions(of: configuration, &report)
    var tables: [String: PublishedTables] = [:]
    for source in configuration.sources {
      switch source.kind {
      case .postgres(let postgres):
        let check = SourceCheck(
          name: source.name, source: postgres, stored: stored[source.name] ?? [],
          sinks: configuration.sinks(of: source.name).map(\.name),
          describesTables: configuration.sinks(of: source.name).contains {
            $0.setup(for: source.name).fitsTables
          })
        tables[source.name] = check.run(&report)
      case .kafka(let kafka): KafkaSourceCheck(name: source.name, source: kafka).run(&report)
      case .recording(let recording):
        RecordingSourceCheck(name: source.name, source: recording).run(&report)
      }
    }
    for sink in configuration.sinks {
      SinkCheck(
        sink: sink, sources: sink.sources.compactMap { tables[$0] }, store: configuration.store
      ).run(&report)
    }
    if json {
      Terminal.print(String(decoding: report.json, as: UTF8.self))
    } else {
      Terminal.print(report.text(TerminalStyle()))
    }
    return report.exit.rawValue
  }

  /// What the producers take, when there are many: each source has one for all its Kafka sinks with
  /// the same brokers and properties, and one for each that writes in transactions.
  static func producers(of configuration: Configuration) -> CheckFinding? {
    var count = 0
    var shared: [String: Set<SharedProducer.Key>] = [:]
    for sink in configuration.sinks {
      guard case .kafka(let kafka) = sink.kind else { continue }
      guard kafka.delivery != .exactlyOnce else {
        count += sink.sources.count
        continue
      }
      let key = SharedProducer.Key(KafkaProperties.producer(kafka, log: Log(level: .error)))
      for source in sink.sources { shared[source, default: []].insert(key) }
    }
    count += shared.values.reduce(0) { $0 + $1.count }
    guard count >= Limits.manyProducers else { return nil }
    let cost = Limits.producerCost
    return CheckFinding(
      "producers", "sinks", .warn,
      "\(count) Kafka producers take together about "
        + "\(count * cost.threads) threads, \(count * cost.descriptors) descriptors and "
        + "\(ByteSize(count * cost.bytes))",
      "Sinks of a source with the same brokers and properties share one; else divide the sources "
        + "among several processes.")
  }
}
