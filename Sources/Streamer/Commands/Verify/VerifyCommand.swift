/// `verify`: whether the topics hold what the tables have.
enum VerifyCommand {
  /// Compares; 0 when all agree, 5 when something differs.
  static func run(_ options: CommandLineRequest.VerifyOptions) throws(StreamerError) -> Int32 {
    let progress = try VerifyProgress(rate: options.rate)
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration.load(path: options.configuration)
    } catch {
      error.complain()
      return error.exit.rawValue
    }
    var report = VerifyReport()
    defer { progress.end() }
    for (source, postgres, sink, kafka) in try pairs(of: configuration, options) {
      if let why = VerifyScope.obstacle(sink.formats) {
        var finding = TableFinding(sink: sink.name, table: "all tables")
        finding.leftOut = why
        report.findings.append(finding)
        continue
      }
      let directory = postgres.spool.settings(store: configuration.store).directory
      let verification = SinkVerification(
        source, postgres, sink, kafka, options, directory: directory, progress: progress)
      try verification.run(&report)
      if options.repairs {
        try VerifyRepair(configuration, source: source.name).mend(verification, &report)
      }
    }
    progress.end()
    if options.json {
      Terminal.print(String(decoding: report.json, as: UTF8.self))
    } else {
      Terminal.print(report.text(TerminalStyle()))
    }
    return report.exit.rawValue
  }

  /// The sources with the sinks that are compared.
  private static func pairs(
    of configuration: Configuration, _ options: CommandLineRequest.VerifyOptions
  ) throws(StreamerError) -> [(
    SourceConfiguration, PostgresSourceConfiguration, SinkConfiguration, KafkaSinkConfiguration
  )] {
    var pairs:
      [(
        SourceConfiguration, PostgresSourceConfiguration, SinkConfiguration,
        KafkaSinkConfiguration
      )] = []
    for source in configuration.sources {
      guard options.source == nil || source.name == options.source,
        case .postgres(let postgres) = source.kind
      else { continue }
      for sink in configuration.sinks(of: source.name) {
        guard options.sink == nil || sink.name == options.sink, case .kafka(let kafka) = sink.kind
        else { continue }
        pairs.append((source, postgres, sink, kafka))
      }
    }
    guard pairs.isEmpty else { return pairs }
    throw StreamerError(
      what: "configuration",
      why: "it has no postgres source with a kafka sink"
        + (options.source == nil && options.sink == nil ? "" : " of that name"),
      exit: .usage)
  }
}
