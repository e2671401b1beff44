import Synchronization

/// The pipeline of a configuration in memory, on a thread of its own, as `run` would run it.
final class DemoPipeline: Sendable {
  /// What the source says of itself.
  let source: SourceStatus
  /// What the sink says of itself.
  let sink: SinkStatus
  private let pipeline: any Service.Pipeline
  private let thread: Mutex<PosixThread?>
  private let failure = Mutex<StreamerError?>(nil)

  /// Reads the configuration and starts what it says; it has one source and one sink.
  init(configuration text: String) throws(StreamerError) {
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration.parse(
        text: text, file: "demo", environment: ProcessEnvironment.value(of:),
        readFile: FileReading.read(_:limit:))
    } catch { throw StreamerError(what: "the demo's configuration", why: "\(error)") }
    guard let path = configuration.store, let first = configuration.sources.first,
      let only = configuration.sinks.first
    else { preconditionFailure("the demo's configuration has a store, a source and a sink") }
    source = first.status
    sink = SinkStatus(name: only.name, type: only.typeName)
    pipeline = try PipelineFactory.make(
      first, sinks: [only], configuration, store: try SQLitePositionStore(path: path),
      observer: PipelineObserver(source: source, sinks: [sink], metrics: Metrics()),
      log: Log(level: .error))
    thread = Mutex(nil)
    var started: PosixThread? = try PosixThread(name: "pipeline") { [self] in
      let error = pipeline.run()
      failure.withLock { $0 = error }
    }
    thread.withLock { $0 = started.take() }
  }

  /// Throws when the pipeline has ended by itself.
  func check() throws(StreamerError) {
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// Delivers what is in flight, saves, confirms, and waits for the end; more calls do nothing.
  func stop() {
    pipeline.requestStop()
    if let running = thread.withLock({ $0.take() }) { running.join() }
  }
}
