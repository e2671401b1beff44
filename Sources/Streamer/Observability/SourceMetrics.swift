/// The handles of one source's metrics, looked up once.
///
/// Which there are depends on the source's type: a metric that could never be filled is not there.
struct SourceMetrics: Sendable {
  /// Bytes between the server's log and what is saved.
  let lagBytes: Gauge
  /// Seconds since the oldest commit that is not confirmed; 0 when there is none.
  let lagSeconds: Gauge
  /// Where the stream stands.
  let receivedLSN: Gauge
  /// Up to where every sink has confirmed.
  let confirmedLSN: Gauge
  /// Up to where positions are saved.
  let savedLSN: Gauge
  /// The end of the server's log, as far as it is known.
  let sentLSN: Gauge
  /// Bytes of log that the slot keeps on the server.
  let walHeldBytes: Gauge
  /// What the server says of that log, in the order of all such words.
  let walStatus: [Gauge]
  /// How fast that grows, in bytes a second.
  let walGrowth: Gauge
  /// Seconds that the last heartbeat took to come back.
  let heartbeat: Gauge
  /// Seconds that a transaction has been waiting to be visible on the primary.
  let invisible: Gauge
  /// Existing rows that are copied.
  let copies: CopyMetrics
  /// Bytes of open transactions in files.
  let spoolBytes: Gauge
  /// 1 while positions cannot be saved.
  let cannotSave: Gauge
  /// Attempts to save a position that have failed.
  let saveErrors: Counter
  /// Connections and attempts to connect that have failed, and events that could not be made.
  let errors: Counter
  /// Rows in a transaction.
  let transactionRows: Histogram
  /// Seconds from a transaction's commit on the server to its last acknowledgement, for each sink.
  let commitLatency: Histogram
  /// The same under the old psql-streamer's name.
  let processingTime: Histogram

  private let reconnects: [Counter]
  private let metrics: Metrics
  private let name: String
  private let type: String

  /// Whether the source reads a server's log: a Kafka source has offsets and no positions.
  static func readsLog(_ type: String) -> Bool { type != "kafka" }

  /// Whether the source's commits are of now: the time since a recording's tells nothing.
  static func hasLiveCommits(_ type: String) -> Bool { type == "postgres" }

  /// Looks up the metrics of a source by its name and type in the configuration.
  init(_ metrics: Metrics, name: String, type: String) {
    self.metrics = metrics
    self.name = name
    self.type = type
    let maker = MetricMaker(
      metrics, [("sourceName", name)], isExposed: Self.readsLog(type))
    let live = MetricMaker(
      metrics, [("sourceName", name)], isExposed: Self.hasLiveCommits(type))
    let every = MetricMaker(metrics, [("sourceName", name)], isExposed: true)
    let slot = MetricMaker(metrics, [("sourceName", name)], isExposed: type == "postgres")
    let old = [("sourceName", name), ("sourceType", MetricType.source(type)), ("table", "")]
    let lsn = { (kind: String) in
      maker.gauge(
        "psql_streamer_lsn", "Position in the write-ahead log, in bytes.", ("kind", kind))
    }
    receivedLSN = lsn("received")
    confirmedLSN = lsn("confirmed")
    savedLSN = lsn("saved")
    sentLSN = lsn("sent")
    lagBytes = maker.gauge(
      "psql_streamer_lag_bytes", "Log of the server that is not delivered and saved yet.")
    lagSeconds = live.gauge(
      "psql_streamer_lag_seconds", "Age of the oldest commit that is not confirmed yet.")
    spoolBytes = maker.gauge(
      "psql_streamer_spool_bytes", "Open transactions that are kept in files, in bytes.")
    transactionRows = maker.histogram(
      "psql_streamer_transaction_rows", "Events in a transaction.", bounds: Histogram.rows)
    commitLatency = live.histogram(
      "psql_streamer_commit_latency_seconds",
      "From a commit on the server to the acknowledgement of its last record, for each sink.",
      bounds: Histogram.latencySeconds)
    processingTime = MetricMaker(metrics, old, isExposed: Self.hasLiveCommits(type)).histogram(
      "source_event_processing_time_sec", "Source event processing time (sec)",
      bounds: Histogram.defaultSeconds)
    walHeldBytes = slot.gauge(
      "psql_streamer_wal_held_bytes", "Log that the slot keeps on the server.")
    walStatus = SourceStatus.WALStatus.allCases.map { status in
      slot.gauge(
        "psql_streamer_wal_status", "1 for what the server says of the slot's log, else 0.",
        ("status", status.rawValue))
    }
    walGrowth = slot.gauge(
      "psql_streamer_wal_growth_bytes_per_second", "How fast the log grows that the slot keeps.")
    heartbeat = slot.gauge(
      "psql_streamer_heartbeat_seconds",
      "From the last heartbeat that came back to its delivery by every sink; 0 before the first.")
    invisible = slot.gauge(
      "psql_streamer_visibility_wait_seconds",
      "How long a transaction has been waiting to be visible on the primary; 0 up to 5 s.")
    copies = CopyMetrics(slot)
    cannotSave = every.gauge(
      "psql_streamer_cannot_save", "1 while positions cannot be saved, else 0.")
    saveErrors = every.counter(
      "psql_streamer_save_errors_total", "Attempts to save a position that have failed.")
    errors = metrics.counter("source_errors", "Source errors count", Self.labels(old))
    reconnects = ReconnectCause.allCases.map { cause in
      every.counter(
        "psql_streamer_reconnects_total", "Streams that flowed and had to be begun again.",
        ("cause", cause.rawValue))
    }
  }

  private static func labels(_ pairs: [(String, String)]) -> Metrics.Labels {
    pairs.map { (name: $0.0, value: $0.1) }
  }

  /// How often a stream had to be begun again for this cause.
  func reconnects(cause: ReconnectCause) -> Counter {
    reconnects[ReconnectCause.allCases.firstIndex(of: cause) ?? 0]
  }

  /// Seconds until the server takes away log that the slot needs; nil where nobody can tell.
  func walSecondsLeft(_ seconds: Double?) {
    let name = "psql_streamer_wal_seconds_left"
    let labels: Metrics.Labels = [(name: "sourceName", value: self.name)]
    guard let seconds else { return metrics.removeSeries(of: name, "sourceName", self.name) }
    metrics.gauge(name, "Until the server takes away log that the slot needs.", labels)
      .set(seconds)
  }

  /// How many gaps of this kind were found and dealt with in this way.
  func gaps(_ gap: Gap) -> Counter {
    metrics.counter(
      "psql_streamer_gaps_total", "Places in the log behind which changes may be missing.",
      [
        (name: "sourceName", value: name), (name: "cause", value: gap.kind.rawValue),
        (name: "action", value: gap.action.rawValue),
      ])
  }

  // MARK: - Tables

  private func eventLabels(_ table: String) -> Metrics.Labels {
    [("sourceName", name), ("sourceType", MetricType.source(type)), ("table", table)]
  }

  private func rowLabels(_ schema: String, _ table: String, _ action: String) -> Metrics.Labels {
    [("sourceName", name), ("schema", schema), ("table", table), ("action", action)]
  }

  /// Looks up the metrics of one table: once for each Relation message, not for each row.
  func table(schema: String, _ table: String) -> SourceTableMetrics {
    let rows = { (action: String) in
      guard Self.readsLog(type) else { return Counter() }
      return metrics.counter(
        "psql_streamer_rows_total", "Changes of rows.", rowLabels(schema, table, action))
    }
    return SourceTableMetrics(
      events: metrics.counter("source_events", "Source events count", eventLabels(table)),
      inserts: rows("insert"), updates: rows("update"), deletes: rows("delete"),
      truncates: rows("truncate"))
  }

  /// Gives up what ``table(schema:_:)`` has looked up.
  func release(schema: String, _ table: String) {
    metrics.release("source_events", eventLabels(table))
    guard Self.readsLog(type) else { return }
    for action in ["insert", "update", "delete", "truncate"] {
      metrics.release("psql_streamer_rows_total", rowLabels(schema, table, action))
    }
  }
}

/// The handles of one table's metrics in a source.
struct SourceTableMetrics: Sendable {
  /// Events made of the table's changes.
  let events: Counter
  /// Rows inserted.
  let inserts: Counter
  /// Rows updated.
  let updates: Counter
  /// Rows deleted.
  let deletes: Counter
  /// Times the table was truncated.
  let truncates: Counter
}

/// Makes handles that share their first labels; what is not exposed is counted for nobody.
struct MetricMaker {
  private let metrics: Metrics
  private let labels: [(String, String)]
  private let isExposed: Bool

  /// Makes a maker of metrics with these labels.
  init(_ metrics: Metrics, _ labels: [(String, String)], isExposed: Bool) {
    self.metrics = metrics
    self.labels = labels
    self.isExposed = isExposed
  }

  private func all(_ more: [(String, String)]) -> Metrics.Labels {
    (labels + more).map { (name: $0.0, value: $0.1) }
  }

  /// The counter of that name.
  func counter(_ name: String, _ help: String, _ more: (String, String)...) -> Counter {
    isExposed ? metrics.counter(name, help, all(more)) : Counter()
  }

  /// The gauge of that name.
  func gauge(_ name: String, _ help: String, _ more: (String, String)...) -> Gauge {
    isExposed ? metrics.gauge(name, help, all(more)) : Gauge()
  }

  /// The histogram of that name.
  func histogram(_ name: String, _ help: String, bounds: [Double]) -> Histogram {
    isExposed ? metrics.histogram(name, help, all([]), bounds: bounds) : Histogram(bounds: bounds)
  }
}
