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
    let targets = try targets(of: configuration, options)
    let resumption = try options.resume.map { (path) throws(StreamerError) in
      try VerifyResumption(path: path)
    }
    try resumption?.check(targets)
    var report = VerifyReport()
    defer { progress.end() }
    for target in targets {
      if let why = VerifyScope.obstacle(target.sink.formats) {
        var finding = TableFinding(sink: target.sink.name, table: "all tables")
        finding.leftOut = why
        report.findings.append(finding)
        continue
      }
      let repair =
        options.repairs ? try VerifyRepair(configuration, source: target.source.name) : nil
      try SinkVerification(target, options, progress, resumption, repair).run(&report)
    }
    progress.end()
    if options.json {
      Terminal.print(String(decoding: report.json, as: UTF8.self))
    } else {
      Terminal.print(report.text(TerminalStyle()))
    }
    try resumption?.complete()
    return report.exit.rawValue
  }

  /// The sinks that are compared, each with its sources.
  private static func targets(
    of configuration: Configuration, _ options: CommandLineRequest.VerifyOptions
  ) throws(StreamerError) -> [VerifyTarget] {
    let targets = VerifyTarget.all(of: configuration).filter {
      (options.source ?? $0.source.name) == $0.source.name
        && (options.sink ?? $0.sink.name) == $0.sink.name
    }
    guard targets.isEmpty else { return targets }
    throw StreamerError(
      what: "configuration",
      why: "it has no postgres source with a kafka sink"
        + (options.source == nil && options.sink == nil ? "" : " of that name"),
      exit: .usage)
  }
}
