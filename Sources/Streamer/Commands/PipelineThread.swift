import Synchronization

/// One pipeline of a command, on a thread of its own, with the states and numbers it reports.
///
/// A class, because both threads share it.
final class PipelineThread: Sendable {
  /// What the source says of itself.
  let source: SourceStatus
  /// What the first sink says of itself.
  let sink: SinkStatus
  /// What the pipeline's sinks say of themselves, in the configuration's order.
  let sinks: [SinkStatus]
  private let pipeline: any Service.Pipeline
  private let ended: EventDescriptor
  private let result = Mutex<StreamerError??>(nil)
  private let thread: Mutex<PosixThread?>

  /// Starts the pipeline of a configuration with one source and one sink.
  ///
  /// `reconnects` is false for a pipeline that shall end with its first failure; `list` counts the
  /// schemas of records in place of a registry.
  ///
  /// Throws `StreamerError` when it cannot be started.
  convenience init(
    _ configuration: Configuration, store: any SourceStore, reconnects: Bool,
    list: SchemaList? = nil, log: Log
  ) throws(StreamerError) {
    guard let first = configuration.sources.first, configuration.sinks.count == 1 else {
      preconditionFailure("a command's own configuration has a source and a sink")
    }
    try self.init(
      first, sinks: configuration.sinks, configuration, store: store, reconnects: reconnects,
      list: list, log: log)
  }

  /// Starts the pipeline of one source and its sinks, at least one.
  ///
  /// Throws `StreamerError` when it cannot be started.
  init(
    _ source: SourceConfiguration, sinks: [SinkConfiguration], _ configuration: Configuration,
    store: any SourceStore, reconnects: Bool, list: SchemaList? = nil, log: Log
  ) throws(StreamerError) {
    self.source = source.status
    self.sinks = sinks.map { SinkStatus(name: $0.name, type: $0.typeName) }
    sink = self.sinks[0]
    ended = try EventDescriptor()
    let observer = PipelineObserver(
      source: self.source, sinks: self.sinks, metrics: Metrics())
    pipeline = try PipelineFactory.make(
      source, sinks: sinks, configuration, store: store, observer: observer, log: log,
      reconnects: reconnects, list: list)
    thread = Mutex(nil)
    var started: PosixThread? = try PosixThread(name: "pipeline") { [self] in
      let error = pipeline.run()
      result.withLock { $0 = .some(error) }
      ended.signal()
    }
    thread.withLock { $0 = started.take() }
  }

  /// Readable once the pipeline has ended; it stays this object's own.
  var descriptor: CInt { ended.descriptor }

  /// Whether the pipeline has ended.
  var hasEnded: Bool { result.withLock { $0 != nil } }

  /// Whether changes have flowed.
  var hasStarted: Bool { pipeline.hasStarted }

  /// Throws the error with which the pipeline has ended, if it has.
  func check() throws(StreamerError) {
    if case .some(.some(let error)) = result.withLock({ $0 }) { throw error }
  }

  /// Asks it to deliver what is in flight, save, confirm and end.
  func requestStop() { pipeline.requestStop() }

  /// Asks for the end and waits for it; more calls do nothing.
  func stop() {
    pipeline.requestStop()
    if let running = thread.withLock({ $0.take() }) { running.join() }
  }
}

extension Configuration {
  /// Reads a configuration that a command has made for itself.
  ///
  /// `values` are what its references stand for, so that a text of the user's, which may be a
  /// secret, never has to be quoted.
  static func own(_ text: String, values: [String: String] = [:]) throws(StreamerError)
    -> Configuration
  {
    do throws(ConfigurationErrors) {
      return try parse(
        text: text, file: "built-in configuration",
        environment: { values[$0] ?? ProcessEnvironment.value(of: $0) },
        readFile: FileReading.read(_:limit:))
    } catch {
      let first = error.errors.first.map(\.description) ?? ""
      throw StreamerError(what: "command line", why: first, exit: .usage)
    }
  }
}
