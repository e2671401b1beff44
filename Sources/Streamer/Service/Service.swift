import Glibc
import KafkaBridge
import PGWire
import Synchronization

/// Everything that one configuration runs: a thread for each pipeline, the position store, the HTTP
/// server; and the main thread, which waits for signals and for pipelines that end.
final class Service: StatusSource {
  /// A source with its sinks, on a thread of its own.
  protocol Pipeline: AnyObject, Sendable {
    /// Runs until it is stopped or has failed for good; says with what error.
    func run() -> StreamerError?
    /// Asks it to deliver what it has read, and to end.
    func requestStop()
    /// Asks it to go by these setups of its sinks, in their order, from a transaction on that the
    /// sinks can take by them; nothing happens when it does already.
    func requestReload(_ setups: [LaneSetup])
    /// Hands it what somebody wants of the copies of existing rows.
    func order(_ order: CopyOrder)
    /// Whether changes have flowed since the start: only before, its failure is the program's.
    var hasStarted: Bool { get }
    /// How often its thread has gone on: a number that stands still for seconds is a thread that
    /// hangs.
    var turns: UInt64 { get }
  }

  let sources: [SourceStatus]
  let sinks: [SinkStatus]
  private let configuration: Configuration
  private let log: Log
  private let store: any SourceStore
  private let metrics: Metrics
  private let pipelines: [any Pipeline]
  // The sources' names by pipeline: one without a sink has none.
  private let pipelineSources: [SourceStatus]
  private let isolates: Bool
  private var signalTopics: [SignalTopic] {
    get throws(StreamerError) {
      var topics: [SignalTopic] = []
      for source in configuration.sources {
        guard case .postgres = source.kind else { continue }
        for sink in configuration.sinks(of: source.name) {
          let topic = try SignalTopic(sink, source: source.name, store: store, log: log) {
            [unowned self] in order($0, of: source.name).map { _ in }
          }
          if let topic { topics.append(topic) }
        }
      }
      return topics
    }
  }
  private var gapComparisons: [GapComparison] {
    get throws(StreamerError) {
      var comparisons: [GapComparison] = []
      for source in pipelineSources.map(\.name) {
        guard let source = configuration.sources.first(where: { $0.name == source }) else {
          continue
        }
        let comparison = try GapComparison(source, configuration, store: store, log: log) {
          [unowned self] in order($0, of: source.name).map { _ in }
        }
        if let comparison { comparisons.append(comparison) }
      }
      return comparisons
    }
  }
  private let reloads: ReloadMetrics
  private let ended: EventDescriptor
  private let results = Mutex<[(pipeline: Int, error: StreamerError?)]>([])

  /// Makes the pipelines over a store, without starting them.
  init(
    _ configuration: Configuration, store: any SourceStore, log: Log
  ) throws(StreamerError) {
    self.configuration = configuration
    self.log = log
    metrics = Metrics(tables: configuration.metricsTables)
    reloads = ReloadMetrics(metrics)
    reloads.succeeded()
    self.store = store
    ended = try EventDescriptor()
    sources = configuration.sources.map(\.status)
    sinks = configuration.sinks.map { SinkStatus(name: $0.name, type: $0.typeName) }
    for source in sources { source.gaps = try store.gaps(source: source.name) }
    var pipelines: [any Pipeline] = []
    pipelineSources = sources.filter { !configuration.sinks(of: $0.name).isEmpty }
    isolates = configuration.onSourceFailure == .isolate && pipelineSources.count > 1
    for (source, status) in zip(configuration.sources, sources) {
      let mine = configuration.sinks(of: source.name)
      guard !mine.isEmpty else { continue }
      let statuses = sinks.filter { sink in mine.contains { $0.name == sink.name } }
      let observer = PipelineObserver(source: status, sinks: statuses, metrics: metrics)
      pipelines.append(
        try PipelineFactory.make(
          source, sinks: mine, configuration, store: store, observer: observer, log: log,
          isIsolated: isolates))
    }
    self.pipelines = pipelines
  }

  func setDebug(_ isOn: Bool) { log.setDebug(isOn) }

  func order(
    _ command: CopyCommand, of source: String?
  ) -> Result<(source: String, changed: CopyBook), StreamerError> {
    do throws(StreamerError) {
      let all = configuration.sources.filter { if case .postgres = $0.kind { true } else { false } }
      guard source != nil || all.count < 2 else {
        throw StreamerError(
          what: "psql-streamer",
          why: "it has several postgres sources: \(all.map(\.name).joined(separator: ", "))",
          hint: "Name one of them.", exit: .usage)
      }
      let name = try configuration.postgresSource(named: source).0.name
      guard let index = pipelineSources.firstIndex(where: { $0.name == name }) else {
        throw StreamerError(what: "source \(name)", why: "it has no sink", exit: .usage)
      }
      guard !configuration.keepsPositionsInKafka else {
        throw StreamerError(
          what: "source \(name)", why: "with store = \"kafka\" copies cannot be remembered",
          hint: "Set store to a file.", exit: .usage)
      }
      let order = try CopyOrder(command)
      pipelines[index].order(order)
      guard let outcome = order.wait(within: Limits.copyAnswer) else {
        throw StreamerError(
          what: "source \(name)", why: "it has not answered in time",
          hint: "GET /snapshot says whether it has heard.", retryable: true)
      }
      return .success((name, try outcome.get()))
    } catch { return .failure(error) }
  }

  /// Runs all pipelines and gives the process's exit code.
  ///
  /// A signal to reload takes over what `running` finds in its file.
  func run(
    until signals: borrowing SignalDescriptor, reloading running: inout RunningConfiguration
  ) throws(StreamerError) -> Int32 {
    let http = try AdminServer(
      configuration.http, status: self, metrics: metrics, version: Version.number,
      token: configuration.httpToken?.revealed,
      readyWhenStandby: configuration.readyWhenStandby)
    defer { http.stop() }
    log.info(
      "starting", ["version": Version.text, "http": configuration.http, "port": http.port])
    if configuration.usesKafka, let fault = KafkaVersion.knownFault {
      log.warning(
        "this librdkafka is known for a fault",
        ["version": KafkaVersion.text, "fault": fault, "hint": KafkaVersion.remedy])
    }
    var poller = try Poller()
    try poller.watch(signals.descriptor, tag: 0, for: .readable)
    try poller.watch(ended.descriptor, tag: 1, for: .readable)
    for (index, pipeline) in pipelines.enumerated() {
      let thread = try PosixThread(name: "pipeline-\(index)") { [self] in
        let error = pipeline.run()
        results.withLock { $0.append((index, error)) }
        ended.signal()
      }
      _ = consume thread  // detached: its end is announced
    }
    let topics = try signalTopics
    for topic in topics {
      let thread = try PosixThread(name: "signals") { topic.run() }
      _ = consume thread  // detached: what it has not passed is read again
    }
    defer { for topic in topics { topic.stop() } }
    let comparisons = try gapComparisons
    for comparison in comparisons {
      let thread = try PosixThread(name: "gap-keys") { comparison.run() }
      _ = consume thread  // detached: what is owed is done at the next start
    }
    defer { for comparison in comparisons { comparison.stop() } }
    return try wait(&poller, signals, http, &running)
  }

  private func wait(
    _ poller: inout Poller, _ signals: borrowing SignalDescriptor, _ http: AdminServer,
    _ configured: inout RunningConfiguration
  ) throws(StreamerError) -> Int32 {
    var running = Set(pipelines.indices)
    let manager = ServiceManager()
    var notices = ManagerNotices(watchdog: manager?.watchdog, now: .now)
    var failures = SourceFailures(
      isolates: configuration.onSourceFailure == .isolate,
      startTimeout: isolates ? configuration.startTimeout : nil, now: .now)
    var ticker = Ticker(configuration.tickerInterval)
    var line = CopyLine(printsRows: configuration.printsRows)
    defer { line.end() }
    while !running.isEmpty {
      if let manager { manager.send(notices.message(self, running, failures)) }
      let nextLook = manager.map { _ in ContinuousClock.now + notices.pause }
      let next = [ticker.next, failures.deadline, nextLook, line.next].compactMap(\.self).min()
      try poller.wait(timeout: next.map { max($0 - .now, .zero) })
      let wasStopping = failures.isStopping
      while let signal = signals.next() {
        if signal == SIGHUP {
          reload(&configured, http, &ticker)
        } else if failures.isStopping {
          log.warning("stopping at once; what was not delivered comes again at the next start")
          return 1
        } else {
          failures.stopRequested()
        }
      }
      ended.drain()
      for (index, error) in takeResults() {
        running.remove(index)
        guard let error else { continue }
        let hadStarted = pipelines[index].hasStarted
        if failures.failed(error, hadStarted: hadStarted) { Terminal.complain("\(error)") }
      }
      for trouble in failures.expired(running.sorted().map(sight), now: .now) {
        Terminal.complain(trouble)
      }
      if failures.isStopping, !wasStopping {
        line.end()
        for pipeline in pipelines { pipeline.requestStop() }
      }
      line.look(sources.map(\.snapshot))
      if ticker.isDue(now: .now) { logNumbers(tellsCopies: !line.isShown) }
    }
    return failures.code
  }

  /// Takes over what the file says now, as far as that can be done without a restart.
  private func reload(
    _ configured: inout RunningConfiguration, _ http: AdminServer, _ ticker: inout Ticker
  ) {
    let change: RunningConfiguration.Change
    do throws(ConfigurationErrors) { change = try configured.reload() } catch {
      reloads.refused()
      for error in error.errors {
        log.error("the configuration is not reloaded", ["error": "\(error)"])
      }
      return
    }
    let configuration = configured.configuration
    log.setLevel(configuration.logLevel.level)
    http.setToken(configuration.httpToken?.revealed)
    if change.taken.contains("tickerInterval") { ticker = Ticker(configuration.tickerInterval) }
    // Also where the file is as it was: what a sink has refused before may be possible now.
    for (pipeline, source) in zip(pipelines, pipelineSources) {
      pipeline.requestReload(
        configuration.sinks(of: source.name).map { $0.setup(for: source.name) })
    }
    reloads.succeeded()
    log.info(
      "the configuration is reloaded",
      ["changed": change.taken.isEmpty ? "nothing" : change.taken.joined(separator: ", ")])
    guard !change.refused.isEmpty else { return }
    log.warning(
      "changes of the configuration wait for a restart",
      ["keys": change.refused.joined(separator: ", ")])
  }

  /// What a pipeline is seen doing.
  private func sight(of index: Int) -> (name: String, sight: SourceFailures.Sight) {
    let record = pipelineSources[index].state
    // At the start only a failover is waited for as `retrying`.
    let isIn =
      pipelines[index].hasStarted || record.state == .standby || record.state == .retrying
    return (
      pipelineSources[index].name, SourceFailures.Sight(isIn: isIn, trouble: record.error)
    )
  }

  fileprivate var pipelineIndices: Range<Int> { pipelines.indices }

  /// What the service manager is told of a pipeline.
  fileprivate func notice(of index: Int, isRunning: Bool) -> ManagerNotices.Sight {
    let seen = sight(of: index).sight
    return ManagerNotices.Sight(
      isIn: seen.isIn, isDecided: seen.isIn || seen.trouble != nil || !isRunning,
      turns: isRunning ? pipelines[index].turns : nil)
  }

  private func takeResults() -> [(pipeline: Int, error: StreamerError?)] {
    results.withLock { results in
      defer { results.removeAll() }
      return results
    }
  }

  /// One line for each source and sink, and for each copy of existing rows that is under way.
  private func logNumbers(tellsCopies: Bool) {
    for source in sources {
      log.info(
        "source",
        [
          "source": source.name, "state": source.state.state.rawValue,
          "events": source.events.value, "received": LSN(source.receivedLSN.value),
          "confirmed": LSN(source.confirmedLSN.value), "lagBytes": source.lagBytes,
        ])
      if tellsCopies, let copy = source.snapshot, copy.isUnderWay { log(copy, of: source.name) }
    }
    for sink in sinks {
      log.info(
        "sink",
        [
          "sink": sink.name, "state": sink.state.state.rawValue, "events": sink.total,
          "delivered": sink.kafkaMessages, "inFlightBytes": sink.inFlightBytes,
        ])
    }
  }

  private func log(_ copy: SnapshotStatus, of source: String) {
    log.info(
      "existing rows so far",
      [
        "source": source, "tables": copy.tables, "tablesDone": copy.tablesDone,
        "table": copy.table ?? "", "rows": copy.rows,
        "estimatedRows": copy.estimatedRows?.description ?? "unknown",
        "percent": copy.percent?.description ?? "unknown",
        "left": copy.secondsLeft.map { "about \(CopyLine.time($0))" } ?? "unknown",
        "bytes": copy.bytes, "pause": DurationText.text(copy.pauses.last),
        "longestPause": DurationText.text(copy.pauses.longest),
      ])
  }
}

/// When the next line of statistics is due.
private struct Ticker {
  private let interval: Duration?
  private(set) var next: ContinuousClock.Instant?

  init(_ interval: Duration?) {
    self.interval = interval
    next = interval.map { .now + $0 }
  }

  /// Whether a line is due; the next one is then due an interval later.
  mutating func isDue(now: ContinuousClock.Instant) -> Bool {
    guard let interval, let next, now >= next else { return false }
    self.next = now + interval
    return true
  }
}

extension ManagerNotices {
  /// What is to be sent of a service, of whose pipelines some run.
  fileprivate mutating func message(
    _ service: Service, _ running: Set<Int>, _ failures: SourceFailures
  ) -> String? {
    let states =
      service.sources.map { ("source \($0.name)", $0.state) }
      + service.sinks.map { ("sink \($0.name)", $0.state) }
    return message(
      service.pipelineIndices.map { service.notice(of: $0, isRunning: running.contains($0)) },
      status: Self.status(states), isStopping: failures.isStopping, now: .now)
  }
}
