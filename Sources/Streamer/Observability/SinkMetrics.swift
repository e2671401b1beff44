/// The handles of one sink's metrics, looked up once for each source that feeds it.
///
/// Sources that share a sink share its series: each adds what is its own.
struct SinkMetrics: Sendable {
  /// Bytes handed over and not yet acknowledged.
  let inFlightBytes: Gauge
  /// Records acknowledged.
  let delivered: Counter
  /// Deliveries that have failed, under the old psql-streamer's name.
  let errors: Counter
  /// Seconds from a commit on the server to the last acknowledgement, under the old name.
  let processingTime: Histogram
  /// Records in librdkafka's queue.
  let kafkaQueueMessages: Gauge
  /// Errors that Kafka or librdkafka reported.
  let kafkaErrors: Counter

  /// Records that are held back on disk.
  let heldRecords: Gauge
  /// Their keys, values and headers, in bytes.
  let heldBytes: Gauge
  /// Changes that went to the dead letter topic, by their cause.
  let deadLetters: [DeadLetter.Cause: Counter]

  private let metrics: Metrics
  /// The sink's name.
  let name: String
  private let type: String

  /// Looks up the metrics of a sink by its name and type, and its source's type.
  init(_ metrics: Metrics, name: String, type: String, sourceType: String) {
    self.metrics = metrics
    self.name = name
    self.type = type
    let sink = MetricMaker(metrics, [("sinkName", name)], isExposed: true)
    let kafka = MetricMaker(metrics, [("sinkName", name)], isExposed: type == "kafka")
    let labels = [("sinkName", name), ("sinkType", MetricType.sink(type)), ("table", "")]
    inFlightBytes = sink.gauge(
      "psql_streamer_in_flight_bytes", "Handed over and not yet acknowledged.")
    delivered = sink.counter(
      "psql_streamer_delivered_total", "Records that the sink has acknowledged.")
    errors = MetricMaker(metrics, labels, isExposed: true).counter(
      "sink_errors", "Sink errors count")
    let isLive = SourceMetrics.hasLiveCommits(sourceType)
    processingTime = MetricMaker(metrics, labels, isExposed: isLive).histogram(
      "sink_event_processing_time_sec", "Sink event processing time (sec)",
      bounds: Histogram.defaultSeconds)
    kafkaQueueMessages = kafka.gauge(
      "psql_streamer_kafka_queue_messages", "Records in librdkafka's queue.")
    heldRecords = kafka.gauge(
      "psql_streamer_quarantined_records", "Records that are held back on disk.")
    heldBytes = kafka.gauge(
      "psql_streamer_quarantined_bytes", "Bytes of the records that are held back on disk.")
    var deadLetters: [DeadLetter.Cause: Counter] = [:]
    for cause in DeadLetter.Cause.allCases {
      deadLetters[cause] = kafka.counter(
        "psql_streamer_dead_letters_total", "Changes that went to the dead letter topic.",
        ("cause", cause.rawValue))
    }
    self.deadLetters = deadLetters
    kafkaErrors = kafka.counter(
      "psql_streamer_kafka_errors_total", "Errors that Kafka or librdkafka reported.")
  }

  /// How often each of Kafka's codes kept the sink from delivering.
  func kafkaTrouble(_ code: String) -> Counter {
    metrics.counter(
      "psql_streamer_kafka_trouble_total",
      "Times that Kafka kept the sink from delivering, by its code.",
      [("sinkName", name), ("code", code)])
  }

  // MARK: - Tables

  private func eventLabels(_ table: String) -> Metrics.Labels {
    [("sinkName", name), ("sinkType", MetricType.sink(type)), ("table", table)]
  }

  private func noTopicLabels(_ schema: String, _ table: String) -> Metrics.Labels {
    [("sinkName", name), ("schema", schema), ("table", table)]
  }

  private func excludedLabels(
    _ schema: String, _ table: String, _ reason: LeftOut
  ) -> Metrics.Labels {
    [
      ("sinkName", name), ("schema", schema), ("table", table), ("reason", reason.rawValue),
    ]
  }

  /// Looks up the metrics of one table: once for each Relation message, not for each row.
  ///
  /// A table has one of two series, as it has a topic in this sink or none; nil asks for both.
  func table(
    schema: String, _ table: String, hasTopic: Bool?, left: LeftOut? = nil
  ) -> SinkTableMetrics {
    SinkTableMetrics(
      events: hasTopic == false
        ? Counter() : metrics.counter("sink_events", "Sink events count", eventLabels(table)),
      noTopic: hasTopic == true
        ? Counter()
        : metrics.counter(
          "psql_streamer_no_topic_total",
          "Events of tables that the sink leaves out, for whatever reason.",
          noTopicLabels(schema, table)),
      excluded: hasTopic == true
        ? Counter()
        : metrics.counter(
          "psql_streamer_excluded_events_total",
          "Events of tables that the sink leaves out, by the reason.",
          excludedLabels(schema, table, left ?? .noTopic)))
  }

  /// Gives up what ``table(schema:_:hasTopic:left:)`` has looked up.
  func release(schema: String, _ table: String, hasTopic: Bool?, left: LeftOut? = nil) {
    if hasTopic != false { metrics.release("sink_events", eventLabels(table)) }
    if hasTopic != true {
      metrics.release("psql_streamer_no_topic_total", noTopicLabels(schema, table))
      metrics.release(
        "psql_streamer_excluded_events_total", excludedLabels(schema, table, left ?? .noTopic))
    }
  }
}

/// The handles of one table's metrics in a sink.
struct SinkTableMetrics: Sendable {
  /// Events that the sink was given.
  let events: Counter
  /// Events that were left out, for whatever reason.
  let noTopic: Counter
  /// The same, by the reason.
  let excluded: Counter

  /// Counts an event that is left out.
  func leaveOut() {
    noTopic.add()
    excluded.add()
  }
}
