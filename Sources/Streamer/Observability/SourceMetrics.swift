/// The handles of one source's metrics, looked up once.
struct SourceMetrics: Sendable {
  /// Bytes between the server's log and what is confirmed.
  let lagBytes: Gauge
  /// Seconds since the oldest commit that is not confirmed; 0 when there is none.
  let lagSeconds: Gauge
  /// Where the stream stands.
  let receivedLSN: Gauge
  /// Up to where every sink has confirmed.
  let confirmedLSN: Gauge
  /// The end of the server's log as its messages tell it.
  let sentLSN: Gauge
  /// Bytes of log that the slot keeps on the server.
  let walHeldBytes: Gauge
  /// Bytes of open transactions in files.
  let spoolBytes: Gauge
  /// Rows in a transaction.
  let transactionRows: Histogram
  /// Seconds from a transaction's commit on the server to its last acknowledgement.
  let commitLatency: Histogram

  private let metrics: Metrics
  private let name: String
  private let type: String

  /// Looks up the metrics of a source by its name and type in the configuration.
  init(_ metrics: Metrics, name: String, type: String) {
    self.metrics = metrics
    self.name = name
    self.type = type
    let source = [(name: "sourceName", value: name)]
    let lsn = { (kind: String) in
      metrics.gauge(
        "psql_streamer_lsn", "Position in the write-ahead log, in bytes.",
        source + [(name: "kind", value: kind)])
    }
    receivedLSN = lsn("received")
    confirmedLSN = lsn("confirmed")
    sentLSN = lsn("sent")
    lagBytes = metrics.gauge(
      "psql_streamer_lag_bytes", "Log of the server that no sink has confirmed yet.", source)
    lagSeconds = metrics.gauge(
      "psql_streamer_lag_seconds", "Age of the oldest commit that is not confirmed yet.", source)
    walHeldBytes = metrics.gauge(
      "psql_streamer_wal_held_bytes", "Log that the slot keeps on the server.", source)
    spoolBytes = metrics.gauge(
      "psql_streamer_spool_bytes", "Open transactions that are kept in files, in bytes.", source)
    transactionRows = metrics.histogram(
      "psql_streamer_transaction_rows", "Rows in a transaction.", source, bounds: Histogram.rows)
    commitLatency = metrics.histogram(
      "psql_streamer_commit_latency_seconds",
      "From a commit on the server to the acknowledgement of its last record.", source,
      bounds: Histogram.latencySeconds)
  }

  /// How often the connection was made again for this cause: a few fixed words, never a message.
  func reconnects(cause: StaticString) -> Counter {
    metrics.counter(
      "psql_streamer_reconnects_total", "Connections that were made again.",
      [(name: "sourceName", value: name), (name: "cause", value: cause.description)])
  }

  /// Looks up the metrics of one table: once for each Relation message, not for each row.
  func table(schema: String, _ table: String) -> SourceTableMetrics {
    let old = [
      (name: "sourceName", value: name), (name: "sourceType", value: MetricType.source(type)),
      (name: "table", value: table),
    ]
    let rows = { (action: String) in
      metrics.counter(
        "psql_streamer_rows_total", "Changes of rows.",
        [
          (name: "sourceName", value: name), (name: "schema", value: schema),
          (name: "table", value: table), (name: "action", value: action),
        ])
    }
    return SourceTableMetrics(
      events: metrics.counter("source_events", "Source events count", old),
      errors: metrics.counter("source_errors", "Source errors count", old),
      processingTime: metrics.histogram(
        "source_event_processing_time_sec", "Source event processing time (sec)", old),
      inserts: rows("insert"), updates: rows("update"), deletes: rows("delete"),
      truncates: rows("truncate"), reads: rows("read"))
  }
}

/// The handles of one table's metrics in a source.
struct SourceTableMetrics: Sendable {
  /// Events made of the table's changes.
  let events: Counter
  /// Events that could not be made.
  let errors: Counter
  /// Seconds that an event took.
  let processingTime: Histogram
  /// Rows inserted.
  let inserts: Counter
  /// Rows updated.
  let updates: Counter
  /// Rows deleted.
  let deletes: Counter
  /// Times the table was truncated.
  let truncates: Counter
  /// Rows copied by a snapshot.
  let reads: Counter
}
