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
    let stored = StoreCheck.positions(of: configuration, &report)
    var tables: [String: PublishedTables] = [:]
    for source in configuration.sources {
      switch source.kind {
      case .postgres(let postgres):
        let check = SourceCheck(
          name: source.name, source: postgres, stored: stored[source.name] ?? [],
          sinks: configuration.sinks(of: source.name).map(\.name),
          describesTables: configuration.sinks(of: source.name).contains {
            $0.rules != TableRules()
          })
        tables[source.name] = check.run(&report)
      case .kafka(let kafka): KafkaSourceCheck(name: source.name, source: kafka).run(&report)
      case .recording(let recording):
        RecordingSourceCheck(name: source.name, source: recording).run(&report)
      }
    }
    for sink in configuration.sinks {
      SinkCheck(sink: sink, sources: sink.sources.compactMap { tables[$0] }).run(&report)
    }
    if json {
      Terminal.print(String(decoding: report.json, as: UTF8.self))
    } else {
      Terminal.print(report.text(TerminalStyle()))
    }
    return report.exit.rawValue
  }

  /// What the producers take, when there are many: each source has one of its own for each of its
  /// Kafka sinks.
  static func producers(of configuration: Configuration) -> CheckFinding? {
    var count = 0
    for sink in configuration.sinks {
      if case .kafka = sink.kind { count += sink.sources.count }
    }
    guard count >= Limits.manyProducers else { return nil }
    let cost = Limits.producerCost
    return CheckFinding(
      "producers", "sinks", .warn,
      "\(count) pairs of a source and a Kafka sink have a producer each: together about "
        + "\(count * cost.threads) threads, \(count * cost.descriptors) descriptors and "
        + "\(ByteSize(count * cost.bytes))",
      "One sink can route the tables of many sources; else divide them among several processes.")
  }
}
