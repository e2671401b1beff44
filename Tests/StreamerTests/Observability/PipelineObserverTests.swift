import PGWire
import Testing

@testable import Streamer

@Suite("The observer of a pipeline")
struct PipelineObserverTests {
  private let metrics = Metrics()
  // A little later than what is made here, which knows no earlier time.
  private let start = ContinuousClock.now + .seconds(1)
  private let lost = StreamerError(what: "source a", why: "reset", retryable: true)
  private let refused = StreamerError(what: "sink out", why: "no leader", retryable: true)

  private func source(_ name: String = "a", type: String = "postgres") -> SourceStatus {
    SourceStatus(name: name, type: type, slot: "s")
  }

  private func sink(_ name: String = "out", type: String = "kafka") -> SinkStatus {
    SinkStatus(name: name, type: type)
  }

  private func observer(_ source: SourceStatus, _ sinks: [SinkStatus]) -> PipelineObserver {
    PipelineObserver(source: source, sinks: sinks, metrics: metrics)
  }

  private func value(_ name: String, _ labels: [String: String]) throws -> Double {
    try PrometheusParser(metrics.text()).value(name, labels)
  }

  private func counts(events: Int = 0, delivered: Int = 0) -> LaneCounts {
    var counts = LaneCounts()
    counts.events = events
    counts.delivered = delivered
    return counts
  }

  private func at(_ seconds: Int) -> ContinuousClock.Instant {
    start.advanced(by: .seconds(seconds))
  }

  @Test("S13 a healthy source does not reset a sink's trouble with another source")
  func lanes() {
    let (a, b, out) = (source("a"), source("b"), sink())
    let (first, second) = (observer(a, [out]), observer(b, [out]))
    first.entered(.streaming, cause: nil)
    second.entered(.streaming, cause: nil)
    second.failed(sink: 0, refused)
    let since = out.state.since
    first.entered(.streaming, cause: nil)
    first.observe(StubSink(log: nil), 0)
    #expect(out.state.state == .retrying)
    #expect(out.state.error == refused.description)
    #expect(out.state.since == since)
    let readiness = Readiness(sources: [a, b], sinks: [out], now: .now)
    #expect(readiness.reasons == ["sink \"out\" is retrying"])
    second.entered(.streaming, cause: nil)
    #expect(out.state.state == .streaming && out.state.error == nil)
    #expect(Readiness(sources: [a, b], sinks: [out], now: .now).isReady)
  }

  @Test("S13 a sink's numbers are the sums over its sources")
  func sums() throws {
    let out = sink()
    let (first, second) = (observer(source("a"), [out]), observer(source("b"), [out]))
    first.observe(sink: 0, counts(events: 5, delivered: 3), inFlightBytes: 20, now: start)
    second.observe(sink: 0, counts(events: 7, delivered: 7), inFlightBytes: 10, now: start)
    first.observe(sink: 0, counts(events: 6, delivered: 6), inFlightBytes: 0, now: start)
    #expect(out.total == 13 && out.kafkaMessages == 13 && out.inFlightBytes == 10)
    #expect(try value("psql_streamer_in_flight_bytes", ["sinkName": "out"]) == 10)
    #expect(try value("psql_streamer_delivered_total", ["sinkName": "out"]) == 13)
  }

  @Test("the worst state of a sink's lanes is shown, with its own cause and time")
  func worst() {
    let out = sink()
    #expect(out.state.state == .starting)
    let lanes = ["a", "b", "c"].map { out.lane(of: $0) }
    lanes[0].enter(.streaming, at: UTCTime(microseconds: 1))
    lanes[1].enter(.retrying, error: "late", at: UTCTime(microseconds: 3))
    lanes[2].enter(.retrying, error: "early", at: UTCTime(microseconds: 2))
    #expect(out.state.error == "early")
    lanes[0].enter(.failed, error: "worst", at: UTCTime(microseconds: 9))
    #expect(out.state.state == .failed && out.state.error == "worst")
    #expect(out.state.since == UTCTime(microseconds: 9))
    #expect(out.lane(of: "b") === lanes[1])
  }

  /// A frozen broker lets us connect again and again, and never says where a new table goes.
  @Test func sinkThatWasAskedInVainHasTroubleUntilItAnswers() throws {
    let kafka = sink()
    let observer = observer(source(), [kafka])
    observer.entered(.streaming, cause: nil)
    observer.failed(sinkNamed: kafka.name, lost)
    observer.failed(lost)
    observer.entered(.streaming, cause: nil)
    #expect(kafka.state.state == .retrying)
    observer.failed(sinkNamed: kafka.name, lost)
    observer.failed(lost)
    observer.entered(.streaming, cause: nil)
    #expect(try value("psql_streamer_reconnects_total", ["sourceName": "a", "cause": "sink"]) == 1)
    _ = observer.table(schema: "public", name: "orders")
    #expect(kafka.state.state == .streaming)
  }

  @Test("S12 an outage is one reconnect, whatever the number of attempts")
  func reconnects() throws {
    let source = source()
    let observer = observer(source, [sink()])
    let labels = { (cause: ReconnectCause) in ["sourceName": "a", "cause": cause.rawValue] }
    let count = { (cause: ReconnectCause) in
      try value("psql_streamer_reconnects_total", labels(cause))
    }
    // The first connection is no reconnect, however often it is tried.
    observer.failed(lost)
    observer.entered(.streaming, cause: nil)
    for _ in 0..<14 { observer.failed(lost) }
    #expect(try count(.connection) == 1)
    observer.entered(.streaming, cause: nil)
    observer.failed(sink: 0, refused)
    observer.failed(refused)
    observer.failed(lost)
    #expect(try count(.sink) == 1)
    observer.entered(.streaming, cause: nil)
    observer.failed(StreamerError(what: "x", retryable: true, cause: .slotActive))
    #expect(try count(.connection) == 1)
    #expect(try count(.slot) == 1)
    #expect(source.replicaErrors.value == 18)
  }

  @Test("S12 ten commits that come 30 s late count as ten, with all their seconds")
  func latency() throws {
    let observer = observer(source(), [sink()])
    let now = UTCTime.now.microseconds - 946_684_800_000_000
    var settled = SettledTransactions()
    for _ in 0..<10 { settled.add(now - 30_000_000) }
    observer.observe(sink: 0, settled)
    let name = "psql_streamer_commit_latency_seconds"
    #expect(try value(name + "_count", ["sourceName": "a"]) == 10)
    #expect(try value(name + "_bucket", ["sourceName": "a", "le": "10"]) == 0)
    #expect(try value(name + "_bucket", ["sourceName": "a", "le": "300"]) == 10)
    let sum = try value(name + "_sum", ["sourceName": "a"])
    #expect(sum >= 300 && sum < 3000)
    let sink = ["sinkName": "out", "sinkType": "Sink-Kafka", "table": ""]
    #expect(try value("sink_event_processing_time_sec_sum", sink) == sum)
  }

  @Test("S14 totals go on when what is counted begins anew")
  func totals() throws {
    let (source, out) = (source(), sink())
    let observer = observer(source, [out])
    observer.observe(events: 1000, malformed: 3, isOverBudget: false, now: start)
    observer.observe(sink: 0, counts(events: 1000, delivered: 990), inFlightBytes: 64, now: start)
    observer.observe(events: 2000, malformed: 4, isOverBudget: false, now: start)
    observer.observe(sink: 0, counts(events: 2000, delivered: 2000), inFlightBytes: 0, now: start)
    observer.observe(events: 10, malformed: 1, isOverBudget: false, now: start)
    observer.observe(sink: 0, counts(events: 10, delivered: 9), inFlightBytes: 0, now: start)
    #expect(source.events.value == 2010)
    #expect(source.eventErrors.value == 4)
    #expect(out.total == 2010)
    #expect(out.kafkaMessages == 2009)
    #expect(try value("psql_streamer_delivered_total", ["sinkName": "out"]) == 2009)
  }

  @Test("S14 an observer that is made anew goes on from what was")
  func newObserver() {
    let (source, out) = (source(), sink())
    for _ in 0..<2 {
      let observer = observer(source, [out])
      observer.observe(events: 5, malformed: 0, isOverBudget: false, now: start)
      observer.observe(sink: 0, counts(events: 5, delivered: 5), inFlightBytes: 0, now: start)
    }
    #expect(source.events.value == 10)
    #expect(out.total == 10 && out.lanes.count == 1)
  }

  @Test("S12 a sink that is stuck behind a busy one is seen, and progress of any kind is enough")
  func stuck() {
    let (source, busy, frozen) = (source(), sink("busy"), sink("frozen"))
    let observer = observer(source, [busy, frozen])
    observer.entered(.streaming, cause: nil)
    for second in 0...40 {
      observer.heard(at: at(second))
      observer.observe(sink: 0, counts(delivered: second), inFlightBytes: 9, now: at(second))
      observer.observe(sink: 1, counts(delivered: 5), inFlightBytes: 9, now: at(second))
    }
    let reasons = Readiness(sources: [source], sinks: [busy, frozen], now: at(40)).reasons
    #expect(
      reasons == [
        "sink \"frozen\" has delivered nothing of source \"a\" for 40 s, although records wait"
      ])
    observer.observe(sink: 1, counts(delivered: 6), inFlightBytes: 9, now: at(41))
    #expect(Readiness(sources: [source], sinks: [busy, frozen], now: at(41)).isReady)
    observer.observe(sink: 0, counts(delivered: 40), inFlightBytes: 0, now: at(41))
    observer.observe(sink: 1, counts(delivered: 7), inFlightBytes: 0, now: at(41))
    #expect(Readiness(sources: [source], sinks: [busy, frozen], now: at(80)).isReady)
  }

  @Test("S12 the server's own position counts for the lag, also while nothing is read")
  func lag() throws {
    let source = source()
    let observer = observer(source, [sink()])
    source.savedLSN.set(1000)
    source.receivedLSN.set(1272)
    observer.entered(.retrying, cause: lost)
    observer.serverPosition(LSN(66_000_000))
    #expect(source.lagBytes == 65_999_000)
    #expect(try value("psql_streamer_lag_bytes", ["sourceName": "a"]) == 65_999_000)
    #expect(
      try value("psql_streamer_lsn", ["sourceName": "a", "kind": "sent"]) == 66_000_000)
    #expect(
      try value("psql_streamer_lsn", ["sourceName": "a", "kind": "saved"]) == 1000)
  }

  @Test("a sink's own trouble outlasts a new connection of its source, and counts once")
  func trouble() {
    let out = sink()
    let observer = observer(source(), [out])
    let troubled = TroubledSink()
    observer.entered(.streaming, cause: nil)
    troubled.trouble = refused
    observer.observe(troubled, 0)
    let since = out.state.since
    observer.failed(lost)
    observer.entered(.streaming, cause: nil)
    observer.observe(troubled, 0)
    #expect(out.state.state == .retrying && out.state.since == since)
    #expect(out.errors == 1)
    troubled.trouble = nil
    observer.observe(troubled, 0)
    #expect(out.state.state == .streaming)
  }

  @Test("U11 whether positions can be saved is a metric")
  func saving() throws {
    let source = source()
    let observer = observer(source, [sink()])
    observer.saveFailed()
    observer.saveFailed()
    #expect(try value("psql_streamer_cannot_save", ["sourceName": "a"]) == 1)
    #expect(try value("psql_streamer_save_errors_total", ["sourceName": "a"]) == 2)
    observer.saveSucceeded()
    #expect(try value("psql_streamer_cannot_save", ["sourceName": "a"]) == 0)
    #expect(source.persistErrors.value == 2)
  }
}

/// A sink that can be given trouble.
private final class TroubledSink: Sink {
  var trouble: StreamerError?
  func send(_ batch: borrowing RecordBatch) {}
  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {}
}
