import Glibc

/// Opens the position store; while another process has it, waits as that one's standby.
///
/// The lock goes with the process that holds it, however that ends.
final class StoreStandby: StatusSource {
  let sources: [SourceStatus]
  let sinks: [SinkStatus]
  private let log: Log

  private init(_ configuration: Configuration, log: Log) {
    sources = configuration.sources.map(\.status)
    sinks = configuration.sinks.map { SinkStatus(name: $0.name, type: $0.typeName) }
    self.log = log
  }

  func setDebug(_ isOn: Bool) { log.setDebug(isOn) }

  /// Opens the configuration's store, or one in memory where it names none; nil when a signal has ended
  /// the waiting.
  static func open(
    _ configuration: Configuration, log: Log, until signals: borrowing SignalDescriptor
  ) throws(StreamerError) -> (any SourceStore)? {
    guard let path = configuration.store else { return MemoryPositionStore() }
    do throws(StreamerError) { return try SQLitePositionStore(path: path) } catch {
      guard error.cause == .storeInUse else { throw error }
      let standby = StoreStandby(configuration, log: log)
      return try standby.wait(for: path, configuration, because: error, until: signals)
    }
  }

  private func wait(
    for path: String, _ configuration: Configuration, because cause: StreamerError,
    until signals: borrowing SignalDescriptor
  ) throws(StreamerError) -> (any SourceStore)? {
    for source in sources { source.enter(.standby, error: "\(cause)") }
    log.warning("waiting as a standby", ["cause": "\(cause)"])
    let http = answer(configuration)
    defer { http?.stop() }
    let manager = ServiceManager()
    var notices = ManagerNotices(watchdog: manager?.watchdog, now: .now)
    let sight = ManagerNotices.Sight(isIn: true, isDecided: true, turns: nil)
    let status = ManagerNotices.status(sources.map { ("source \($0.name)", $0.state) })
    var poller = try Poller()
    try poller.watch(signals.descriptor, tag: 0, for: .readable)
    while true {
      let message = notices.message([sight], status: status, isStopping: false, now: .now)
      if let manager { manager.send(message) }
      try poller.wait(timeout: min(Limits.standbyPoll, notices.pause))
      while let signal = signals.next() {
        if signal != SIGHUP { return nil }
        log.warning("a standby reads its configuration when its turn comes")
      }
      do throws(StreamerError) {
        let store = try SQLitePositionStore(path: path)
        log.info("the store is free: it is this process's turn")
        return store
      } catch { guard error.cause == .storeInUse else { throw error } }
    }
  }

  /// Answers over HTTP; on the same machine the other process may have the port.
  private func answer(_ configuration: Configuration) -> AdminServer? {
    let metrics = Metrics(tables: configuration.metricsTables)
    do throws(StreamerError) {
      return try AdminServer(
        configuration.http, status: self, metrics: metrics, version: Version.number,
        token: configuration.httpToken?.revealed,
        readyWhenStandby: configuration.readyWhenStandby)
    } catch {
      log.info("a standby without HTTP until its turn comes", ["cause": "\(error)"])
      return nil
    }
  }
}
