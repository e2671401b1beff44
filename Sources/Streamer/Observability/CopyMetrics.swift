/// The handles of a source's metrics of existing rows.
struct CopyMetrics: Sendable {
  private let rows: Gauge
  private let estimate: Gauge
  private let bytes: Gauge
  private let tablesLeft: Gauge
  private let pause: Gauge
  private let pauses: Gauge

  /// Looks them up.
  init(_ maker: MetricMaker) {
    rows = maker.gauge(
      "psql_streamer_snapshot_rows", "Existing rows that were copied; 0 without a copy.")
    estimate = maker.gauge(
      "psql_streamer_snapshot_estimated_rows",
      "Existing rows that there are, as the server believes; 0 where it has not counted.")
    bytes = maker.gauge(
      "psql_streamer_snapshot_bytes", "Bytes of existing rows that were read for a copy.")
    tablesLeft = maker.gauge(
      "psql_streamer_snapshot_tables_left", "Tables whose existing rows are not all copied.")
    pause = maker.gauge(
      "psql_streamer_snapshot_pause_seconds",
      "How long the stream was paused for existing rows, the last time.")
    pauses = maker.gauge(
      "psql_streamer_snapshot_paused_seconds",
      "How long the stream was paused for existing rows, all times together.")
  }

  /// The copy has come so far.
  func set(_ status: SnapshotStatus) {
    rows.set(status.rows)
    estimate.set(status.estimatedRows ?? 0)
    bytes.set(status.bytes)
    tablesLeft.set(status.tables - status.tablesDone)
    pause.set(status.pauses.last.inSeconds)
    pauses.set(status.pauses.total.inSeconds)
  }
}
