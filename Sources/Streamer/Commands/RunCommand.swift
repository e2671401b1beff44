/// `run`: all pipelines of a configuration, until a signal or until the last has failed.
enum RunCommand {
  /// Runs them and gives the exit code.
  static func run(configuration path: String) throws(StreamerError) -> Int32 {
    let configuration: Configuration
    do throws(ConfigurationErrors) { configuration = try Configuration.load(path: path) } catch {
      error.complain()
      return error.exit.rawValue
    }
    let log = Log(
      level: Log.Level(name: configuration.logLevel.rawValue) ?? .info,
      format: configuration.logFormat == .json ? .json : .logfmt)
    for note in configuration.notes { log.warning("note on the configuration", ["note": note]) }
    DescriptorLimit.raise()
    Allocator.giveBackLargeBlocks()
    let signals = try SignalDescriptor()
    let service = try Service(configuration, log: log)
    return try service.run(until: signals)
  }
}
