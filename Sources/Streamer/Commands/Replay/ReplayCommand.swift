import Glibc

/// `replay`: a recording through a pipeline, as if the server sent it again.
enum ReplayCommand {
  /// How long a stop may take before the rest is dropped.
  private static let patience = Duration.seconds(3)

  /// Replays; 0 when all of it is delivered, it was told to end, or nobody reads any more.
  static func run(_ options: CommandLineRequest.ReplayOptions) throws(StreamerError) -> Int32 {
    let interruption = try Interruption()
    let recording = RecordingSourceConfiguration(path: options.path, pace: options.pace)
    let configuration: Configuration
    let source: SourceConfiguration
    if let path = options.configuration {
      do throws(ConfigurationErrors) { configuration = try Configuration.load(path: path) } catch {
        error.complain()
        return error.exit.rawValue
      }
      source = SourceConfiguration(
        try configuration.replayedSource(named: options.source), replacedBy: recording)
    } else {
      configuration = try Configuration.own(
        """
        shutdownTimeout = "1s"
        [source.replay]
        type = "recording"
        path = "${FILE}"
        [sink.stdout]
        type = "stdout"
        sources = ["replay"]
        format = "\(options.format.rawValue)"
        """, values: ["FILE": options.path])
      source = SourceConfiguration(configuration.sources[0], replacedBy: recording)
    }
    let pipeline = try PipelineThread(
      source, sinks: configuration.sinks(of: source.name), configuration,
      store: MemoryPositionStore(), reconnects: options.configuration != nil,
      log: Log(level: .warning))
    TailCommand.wait(for: pipeline, interruption, patience: patience)
    do throws(StreamerError) {
      try pipeline.check()
      return 0
    } catch {
      if error.cause == .readerGone { return 0 }
      throw error
    }
  }
}

extension Configuration {
  /// The source of that name, or the only one that has sinks.
  func replayedSource(named name: String?) throws(StreamerError) -> SourceConfiguration {
    let found = sources.filter { source in
      !sinks(of: source.name).isEmpty && (name == nil || source.name == name)
    }
    guard let first = found.first else {
      throw StreamerError(
        what: name.map { "source \($0.singleLine)" } ?? "configuration",
        why: "it has no source\(name == nil ? "" : " of that name") with a sink", exit: .usage)
    }
    guard found.count == 1 else {
      let names = found.map(\.name).joined(separator: ", ")
      throw StreamerError(
        what: "configuration", why: "it has several sources: \(names)",
        hint: "Write --source NAME.", exit: .usage)
    }
    return first
  }
}
