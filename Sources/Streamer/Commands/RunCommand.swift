/// `run`: all pipelines of a configuration, until a signal or until the last has failed.
enum RunCommand {
  /// Runs them and gives the exit code.
  static func run(
    configuration path: String, acceptsGap source: String? = nil
  ) throws(StreamerError) -> Int32 {
    var running: RunningConfiguration
    do throws(ConfigurationErrors) { running = try RunningConfiguration(path: path) } catch {
      error.complain()
      return error.exit.rawValue
    }
    var configuration = running.configuration
    if let source { try configuration.acceptGapOnce(of: source) }
    let log = Log(
      level: configuration.logLevel.level,
      format: configuration.logFormat == .json ? .json : .logfmt)
    for note in configuration.notes { log.warning("note on the configuration", ["note": note]) }
    DescriptorLimit.raise()
    Allocator.giveBackLargeBlocks()
    let signals = try SignalDescriptor()
    guard let store = try StoreStandby.open(configuration, log: log, until: signals) else {
      return 0
    }
    let service = try Service(configuration, store: store, log: log)
    return try service.run(until: signals, reloading: &running)
  }
}

extension Configuration.LogLevel {
  /// The log's own level.
  var level: Log.Level { Log.Level(name: rawValue) ?? .info }
}

extension Configuration {
  /// Lets a source go on over a gap at its first connection.
  fileprivate mutating func acceptGapOnce(of name: String) throws(StreamerError) {
    guard let index = sources.firstIndex(where: { $0.name == name }),
      case .postgres(var postgres) = sources[index].kind
    else {
      throw StreamerError(
        what: "--accept-gap \(name.singleLine)",
        why: "the configuration has no postgres source of that name",
        exit: .usage)
    }
    postgres.acceptsFirstGap = true
    sources[index].kind = .postgres(postgres)
  }
}
