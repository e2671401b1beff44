import Testing

@testable import Streamer

@Suite("Metrics")
struct MetricsTests {
  private let metrics = Metrics()

  @Test("the text is what Prometheus reads, whatever a label holds")
  func text() throws {
    let nasty = "a\\b\"c\nd{e=\"f\"} größe,"
    metrics.counter("events_total", "Help with \\ and\na line.", [("table", nasty)]).add(3)
    metrics.counter("events_total", "Help with \\ and\na line.", [("table", "")]).add()
    metrics.gauge("depth", "A gauge.").set(-1.5)
    metrics.gauge("size", "A gauge.").set(UInt64(1) << 40)
    let parsed = try PrometheusParser(metrics.text())
    #expect(parsed.help["events_total"] == #"Help with \\ and\na line."#)
    #expect(parsed.types == ["events_total": "counter", "depth": "gauge", "size": "gauge"])
    #expect(try parsed.value("events_total", ["table": nasty]) == 3)
    #expect(try parsed.value("events_total", ["table": ""]) == 1)
    #expect(try parsed.value("depth") == -1.5)
    #expect(String(decoding: metrics.text(), as: UTF8.self).contains("size 1099511627776\n"))
  }

  @Test("the exact text of one family of each kind")
  func exact() {
    metrics.counter("c", "Counts.", [("a", "1"), ("b", "2")]).add(7)
    metrics.gauge("g", "Goes.").set(0.25)
    let histogram = metrics.histogram("h", "Spreads.", [("a", "1")], bounds: [0.1, 1])
    histogram.observe(0.1)
    histogram.observe(0.5, count: 2)
    histogram.observe(4)
    #expect(
      String(decoding: metrics.text(), as: UTF8.self) == """
        # HELP c Counts.
        # TYPE c counter
        c{a="1",b="2"} 7
        # HELP g Goes.
        # TYPE g gauge
        g 0.25
        # HELP h Spreads.
        # TYPE h histogram
        h_bucket{a="1",le="0.1"} 1
        h_bucket{a="1",le="1"} 3
        h_bucket{a="1",le="+Inf"} 4
        h_sum{a="1"} 5.1
        h_count{a="1"} 4

        """)
  }

  @Test("numbers that are none have Prometheus' words")
  func numbers() {
    #expect(PrometheusText.number(.infinity) == "+Inf")
    #expect(PrometheusText.number(-.infinity) == "-Inf")
    #expect(PrometheusText.number(.nan) == "NaN")
    #expect(PrometheusText.number(1e300) == "1e+300")
    #expect(PrometheusText.number(0) == "0")
  }

  @Test("the same labels give the same handle")
  func handles() {
    let first = metrics.counter("c", "C.", [("a", "1")])
    #expect(metrics.counter("c", "C.", [("a", "1")]) === first)
    #expect(metrics.counter("c", "C.", [("a", "2")]) !== first)
  }

  @Test("updates from several threads are all counted, while others read")
  func concurrency() throws {
    let counter = metrics.counter("c", "C.")
    let gauge = metrics.gauge("g", "G.")
    let histogram = metrics.histogram("h", "H.", bounds: [1, 2])
    let threads = try (0..<4).map { part in
      try SharedThread { [metrics] in
        for number in 0..<10_000 {
          counter.add()
          gauge.add(0.5)
          histogram.observe(Double(number % 3))
          if number % 1000 == 0 {
            _ = metrics.counter("new", "N.", [("part", "\(part)"), ("n", "\(number)")])
            #expect(throws: Never.self) { try PrometheusParser(metrics.text()) }
          }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(counter.value == 40_000)
    #expect(gauge.value == 20_000)
    #expect(histogram.cumulativeCounts == [26_668, 40_000, 40_000])
    #expect(histogram.sum == 4 * 9999)
  }

  @Test("a series goes with the last one who has asked for it")
  func release() throws {
    for name in ["a", "b", "a", "c"] { metrics.counter("c", "C.", [("t", name)]).add() }
    metrics.release("c", [("t", "a")])
    metrics.release("c", [("t", "b")])
    metrics.release("c", [("t", "nobody")])
    var parsed = try PrometheusParser(metrics.text())
    #expect(Set(parsed.samples.compactMap { $0.labels["t"] }) == ["a", "c"])
    #expect(try parsed.value("c", ["t": "a"]) == 2)
    metrics.release("c", [("t", "a")])
    metrics.counter("c", "C.", [("t", "c")]).add()
    parsed = try PrometheusParser(metrics.text())
    #expect(parsed.samples.map(\.value) == [2])
  }

  @Test("the series of a source that is gone are dropped")
  func removal() throws {
    let gone = SourceMetrics(metrics, name: "gone", type: "postgres")
    _ = SourceMetrics(metrics, name: "kept", type: "postgres")
    _ = gone.table(schema: "public", "orders")
    metrics.removeSeries("sourceName", "gone")
    let parsed = try PrometheusParser(metrics.text())
    #expect(!parsed.samples.isEmpty)
    #expect(parsed.samples.allSatisfy { $0.labels["sourceName"] == "kept" })
  }

  @Test("names and labels of the old psql-streamer are kept")
  func seedNames() throws {
    let source = SourceMetrics(metrics, name: "db", type: "postgres")
    source.table(schema: "public", "orders").events.add(2)
    source.errors.add()
    source.processingTime.observe(0.01)
    let sink = SinkMetrics(metrics, name: "out", type: "stub_log", sourceType: "postgres")
    sink.table(schema: "public", "orders", hasTopic: true).events.add(3)
    let parsed = try PrometheusParser(metrics.text())
    var old = ["sourceName": "db", "sourceType": "Source-PSQL", "table": "orders"]
    #expect(try parsed.value("source_events", old) == 2)
    old["table"] = ""
    #expect(try parsed.value("source_errors", old) == 1)
    #expect(try parsed.value("source_event_processing_time_sec_count", old) == 1)
    var oldSink = ["sinkName": "out", "sinkType": "Sink-Stub", "table": "orders"]
    #expect(try parsed.value("sink_events", oldSink) == 3)
    oldSink["table"] = ""
    #expect(try parsed.value("sink_errors", oldSink) == 0)
    #expect(try parsed.value("sink_event_processing_time_sec_count", oldSink) == 0)
    #expect(MetricType.source("kafka") == "Source-Kafka")
    #expect(MetricType.sink("kafka") == "Sink-Kafka")
  }

  @Test("U11 every known value of a label is there from the start, at zero")
  func fromTheStart() throws {
    _ = SourceMetrics(metrics, name: "db", type: "postgres")
    _ = SinkMetrics(metrics, name: "out", type: "kafka", sourceType: "postgres")
    let parsed = try PrometheusParser(metrics.text())
    for cause in ReconnectCause.allCases {
      let labels = ["sourceName": "db", "cause": cause.rawValue]
      #expect(try parsed.value("psql_streamer_reconnects_total", labels) == 0)
    }
    for status in SourceStatus.WALStatus.allCases {
      let labels = ["sourceName": "db", "status": status.rawValue]
      #expect(try parsed.value("psql_streamer_wal_status", labels) == 0)
    }
    #expect(try parsed.value("psql_streamer_cannot_save", ["sourceName": "db"]) == 0)
    #expect(try parsed.value("psql_streamer_delivered_total", ["sinkName": "out"]) == 0)
    #expect(parsed.samples.allSatisfy { $0.value == 0 })
  }

  @Test("what a kind of source or sink could never fill is not there")
  func kinds() throws {
    _ = SourceMetrics(metrics, name: "k", type: "kafka")
    _ = SinkMetrics(metrics, name: "f", type: "file", sourceType: "kafka")
    let names = Set(try PrometheusParser(metrics.text()).types.keys)
    #expect(
      names == [
        "source_errors", "sink_errors", "psql_streamer_cannot_save",
        "psql_streamer_save_errors_total", "psql_streamer_reconnects_total",
        "psql_streamer_in_flight_bytes", "psql_streamer_delivered_total",
      ])
  }

  @Test("S12 of several values only the sum is known: the sum is right, and their mean counts")
  func latencies() {
    let histogram = Histogram(bounds: [1, 10, 60])
    histogram.observe(latencySum: 300, count: 10)
    histogram.observe(latencySum: 0.5, count: 1)
    histogram.observe(latencySum: -3, count: 1)
    histogram.observe(latencySum: 7, count: 0)
    #expect(histogram.cumulativeCounts == [2, 2, 12, 12])
    #expect(histogram.sum == 300.5)
  }
}
