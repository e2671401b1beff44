/// The handles of one sink's metrics, looked up once.
struct SinkMetrics: Sendable {
  /// Bytes handed over and not yet acknowledged.
  let inFlightBytes: Gauge
  /// Records in librdkafka's queue.
  let kafkaQueueMessages: Gauge
  /// Errors that Kafka or librdkafka reported.
  let kafkaErrors: Counter

  private let metrics: Metrics
  private let name: String
  private let type: String

  /// Looks up the metrics of a sink by its name and type in the configuration.
  init(_ metrics: Metrics, name: String, type: String) {
    self.metrics = metrics
    self.name = name
    self.type = type
    let sink = [(name: "sinkName", value: name)]
    inFlightBytes = metrics.gauge(
      "psql_streamer_in_flight_bytes", "Handed over and not yet acknowledged.", sink)
    kafkaQueueMessages = metrics.gauge(
      "psql_streamer_kafka_queue_messages", "Records in librdkafka's queue.", sink)
    kafkaErrors = metrics.counter(
      "psql_streamer_kafka_errors_total", "Errors that Kafka or librdkafka reported.", sink)
  }

  /// Looks up the metrics of one table: once for each Relation message, not for each row.
  func table(_ table: String) -> SinkTableMetrics {
    let labels = [
      (name: "sinkName", value: name), (name: "sinkType", value: MetricType.sink(type)),
      (name: "table", value: table),
    ]
    return SinkTableMetrics(
      events: metrics.counter("sink_events", "Sink events count", labels),
      errors: metrics.counter("sink_errors", "Sink errors count", labels),
      processingTime: metrics.histogram(
        "sink_event_processing_time_sec", "Sink event processing time (sec)", labels))
  }
}

/// The handles of one table's metrics in a sink.
struct SinkTableMetrics: Sendable {
  /// Events that the sink was given.
  let events: Counter
  /// Events that it could not deliver.
  let errors: Counter
  /// Seconds from the hand-over to the acknowledgement.
  let processingTime: Histogram
}
