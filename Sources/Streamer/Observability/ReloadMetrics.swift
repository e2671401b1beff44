/// What became of the last reload of the configuration, by the names that Prometheus uses for its own.
struct ReloadMetrics: Sendable {
  private let isSuccessful: Gauge
  private let time: Gauge

  /// Looks up the handles.
  init(_ metrics: Metrics) {
    isSuccessful = metrics.gauge(
      "psql_streamer_config_last_reload_successful",
      "1 while the last reload of the configuration counts, 0 since one was refused.")
    time = metrics.gauge(
      "psql_streamer_config_last_reload_success_timestamp_seconds",
      "When the configuration was last read without a fault, in seconds since 1970.")
  }

  /// The file was read and taken over.
  func succeeded() {
    isSuccessful.set(1)
    time.set(Double(UTCTime.now.microseconds / 1_000_000))
  }

  /// The file, or what it says of a sink, was refused.
  func refused() { isSuccessful.set(0) }
}
