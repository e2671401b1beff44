import PGWire
import Testing

@testable import Streamer

@Suite("Metrics of tables")
struct TableMetricsTests {
  private let start = ContinuousClock.now

  private func observer(_ metrics: Metrics, sinks: [String] = ["out"]) -> PipelineObserver {
    PipelineObserver(
      source: SourceStatus(name: "db", type: "postgres"),
      sinks: sinks.map { SinkStatus(name: $0, type: "kafka") }, metrics: metrics)
  }

  private func tables(_ metrics: Metrics, _ name: String = "source_events") throws -> Set<String> {
    let samples = try PrometheusParser(metrics.text()).samples.filter { $0.name == name }
    return Set(samples.compactMap { $0.labels["table"] })
  }

  private func book(_ metrics: Metrics, limit: Int) -> TableBook {
    TableBook(
      limit: limit, source: SourceMetrics(metrics, name: "db", type: "postgres"),
      sinks: [SinkMetrics(metrics, name: "out", type: "kafka", sourceType: "postgres")])
  }

  @Test("S11 tables beyond the limit share one series, and none of their events is lost")
  func limit() throws {
    let metrics = Metrics(tables: 3)
    let observer = observer(metrics)
    let all = (0..<10).map { observer.table(schema: "public", name: "t\($0)") }
    for table in all {
      table.source.events.add()
      table.source.updates.add(2)
      table.sinks[0].events.add()
    }
    #expect(try tables(metrics) == ["t0", "t1", "t2", "_other"])
    let parsed = try PrometheusParser(metrics.text())
    let sum = { (name: String) in
      parsed.samples.filter { $0.name == name }.reduce(0) { $0 + $1.value }
    }
    #expect(sum("source_events") == 10)
    #expect(sum("psql_streamer_rows_total") == 20)
    #expect(sum("sink_events") == 10)
    #expect(
      try parsed.value(
        "psql_streamer_rows_total",
        ["sourceName": "db", "schema": "_other", "table": "_other", "action": "update"]) == 14)
  }

  @Test("S11 ten thousand tables and two sinks stay small, by default and without a limit")
  func size() {
    for (limit, bytes) in [(Metrics.standardTables, 2_000_000), (10_000, 16_000_000)] {
      let metrics = Metrics(tables: limit)
      let observer = observer(metrics, sinks: ["kafka-one", "kafka-two"])
      let all = (0..<10_000).map { observer.table(schema: "public", name: "customer_orders_\($0)") }
      for table in all { table.source.events.add(1_000_000) }
      let text = metrics.text()
      #expect(text.count < bytes, "\(limit) tables of their own take \(text.count) bytes")
      let lines = text.count { $0 == 0x0A }
      // A table has no histogram: five series of the source, and one of each sink.
      #expect(lines < 7 * (limit + 1) + 300, "\(lines) lines")
      withExtendedLifetime(all) {}
    }
  }

  @Test("S11 the series of a table go when nobody describes it, after a while")
  func unused() throws {
    let metrics = Metrics()
    var book = book(metrics, limit: 10)
    var kept: TableMetrics? = book.table(schema: "s", "kept", hasTopic: [true], now: start)
    var gone: TableMetrics? = book.table(schema: "s", "gone", hasTopic: [true], now: start)
    gone?.source.events.add(5)
    gone = nil
    var now = start
    book.sweep(now: now)
    // A reconnect describes it again: it goes on counting.
    gone = book.table(schema: "s", "gone", hasTopic: [true], now: now)
    #expect(gone?.source.events.value == 5)
    gone = nil
    now += TableBook.pause
    book.sweep(now: now)
    now += TableBook.patience - .seconds(1)
    book.sweep(now: now)
    #expect(try tables(metrics) == ["kept", "gone"])
    now += TableBook.pause
    book.sweep(now: now)
    for name in ["source_events", "sink_events", "psql_streamer_rows_total"] {
      #expect(try tables(metrics, name).subtracting([""]) == ["kept"])
    }
    #expect(kept != nil)
    kept = nil
  }

  @Test("S11 a new table takes the place of one that nobody describes")
  func place() throws {
    let metrics = Metrics()
    var book = book(metrics, limit: 2)
    let first = book.table(schema: "s", "first", hasTopic: [true], now: start)
    _ = book.table(schema: "s", "second", hasTopic: [true], now: start)
    let third = book.table(schema: "s", "third", hasTopic: [true], now: start)
    #expect(try tables(metrics) == ["first", "third"])
    let fourth = book.table(schema: "s", "fourth", hasTopic: [true], now: start + .seconds(60))
    #expect(try tables(metrics) == ["first", "third", "_other"])
    withExtendedLifetime((first, third, fourth)) {}
  }

  @Test("tables of one name in two sources share the sink's series, which outlives one of them")
  func shared() throws {
    let metrics = Metrics()
    var books = ["a", "b"].map { name in
      TableBook(
        limit: 1, source: SourceMetrics(metrics, name: name, type: "postgres"),
        sinks: [SinkMetrics(metrics, name: "out", type: "kafka", sourceType: "postgres")])
    }
    for index in books.indices {
      books[index].table(schema: "s", "t", hasTopic: [true], now: start).sinks[0].events.add()
    }
    let labels = ["sinkName": "out", "sinkType": "Sink-Kafka", "table": "t"]
    // Nobody describes it any more, and the place is wanted for another table.
    let first = books[0].table(schema: "s", "u", hasTopic: [true], now: start)
    #expect(try PrometheusParser(metrics.text()).value("sink_events", labels) == 2)
    let second = books[1].table(schema: "s", "u", hasTopic: [true], now: start)
    #expect(try tables(metrics, "sink_events") == ["u"])
    withExtendedLifetime((first, second)) {}
  }

  @Test("U11 events of a table without a topic have a counter of their own")
  func noTopic() throws {
    let metrics = Metrics()
    let observer = observer(metrics, sinks: ["one", "two"])
    let table = observer.table(schema: "s", name: "t", hasTopic: [true, false])
    table.sinks[1].noTopic.add(4)
    let parsed = try PrometheusParser(metrics.text())
    let labels = ["sinkName": "two", "schema": "s", "table": "t"]
    #expect(try parsed.value("psql_streamer_no_topic_total", labels) == 4)
    #expect(parsed.samples.count { $0.name == "psql_streamer_no_topic_total" } == 1)
    #expect(parsed.samples.filter { $0.name == "sink_events" }.map(\.labels["sinkName"]) == ["one"])
  }
}
