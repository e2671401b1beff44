import PGWire
import Support
import Testing

@testable import Streamer

/// Events as CloudEvents 1.0.
@Suite struct CloudEventsFormatTests {
  private static func setup(_ mode: CloudEventsMode = .structured) -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .cloudEvents
    setup.cloudEvents = mode
    return setup
  }

  private static let native = LaneSetup(routing: .init(fallback: "t"))
  private static let insert = ServerBytes.insert(
    FormatRun.oid, [.text("7"), .text("x"), .text("12.50")])

  @Test func theDataIsTheEvent() throws {
    let data = try FormatRun.feed(Self.native, FormatRun.orders(), Self.insert)
    let uuid = try #require(try JSON(data.values[0])["UUID"])
    guard case .string(let id) = uuid else {
      Issue.record("no UUID")
      return
    }
    let sink = try FormatRun.feed(Self.setup(), FormatRun.orders(), Self.insert)
    #expect(
      sink.values == [
        #"{"specversion":"1.0","source":"postgresql://h/d","datacontenttype":"application/json","#
          + #""time":"2026-11-28T17:42:21.561632Z","id":"\#(id)","type":"psql-streamer.insert","#
          + #""subject":"shop.orders","data":\#(data.values[0])}"#
      ])
    #expect(sink.keys == data.keys)
    #expect(sink.headers == ["content-type=application/cloudevents+json; charset=UTF-8"])
  }

  @Test func inBinaryModeAttributesAreHeaders() throws {
    let data = try FormatRun.feed(Self.native, FormatRun.orders(), Self.insert)
    let sink = try FormatRun.feed(Self.setup(.binary), FormatRun.orders(), Self.insert)
    guard case .string(let id) = try JSON(data.values[0])["UUID"] else {
      Issue.record("no UUID")
      return
    }
    #expect(sink.values == data.values)
    #expect(sink.keys == data.keys)
    #expect(
      sink.headers == [
        "content-type=application/json", "ce_specversion=1.0", "ce_source=postgresql://h/d",
        "ce_id=\(id)", "ce_type=psql-streamer.insert", "ce_time=2026-11-28T17:42:21.561632Z",
        "ce_subject=shop.orders",
      ])
  }

  @Test(arguments: CloudEventsMode.allCases)
  func messagesOutsideTransactionsHaveNoTime(mode: CloudEventsMode) throws {
    func feed(_ setup: LaneSetup) throws -> CapturingSink {
      let pipeline = CapturingPipeline(setup: setup)
      try pipeline.feed { server in
        server.begin(LSN(0x80), time: 1, xid: 7)
        server.commit(LSN(0x80), end: LSN(0x88), time: 1)
        server.xLogData(
          LSN(0x90),
          ServerBytes.logical(transactional: false, at: LSN(0x90), prefix: "p", [0, 255]))
      }
      return pipeline.sink
    }
    let data = try feed(Self.native)
    let sink = try feed(Self.setup(mode))
    #expect(data.values.count == 1)
    if mode == .binary {
      #expect(sink.values == data.values)
      #expect(sink.headers.map { $0.prefix { $0 != "=" } }.last == "ce_type")
      return
    }
    let event = try JSON(sink.values[0])
    #expect(event["time"] == nil && event["subject"] == nil)
    #expect(event["type"] == .string("psql-streamer.message"))
    #expect(event["data"] == (try JSON(data.values[0])))
  }

  @Test func sourcesAreReferencesToResources() {
    let origin = StreamOrigin(systemIdentifier: 7, host: "/run/a b", database: "größe?#")
    let envelope = CloudEventsEnvelope(origin, .structured)
    var state = EncodingState()
    envelope.begin(Transaction(xid: nil, commitLSN: LSN(1), commitTime: nil), &state)
    #expect(
      state.cloudEvents.head.bytes.text
        == #"{"specversion":"1.0","source":"postgresql://%2Frun%2Fa%20b/gr%C3%B6%C3%9Fe%3F%23","#
        + #""datacontenttype":"application/json","id":""#)
  }

  /// The same changes in both formats: each event is whole, and its data is the other's.
  @Test(arguments: 1...30) func everyEventIsJSON(seed: UInt64) throws {
    let data = try FormatRun.feedRandom(Self.native, seed: seed)
    let sink = try FormatRun.feedRandom(Self.setup(), seed: seed)
    #expect(sink.keys == data.keys && sink.values.count == data.values.count, "seed \(seed)")
    #expect(sink.partitionHashes == data.partitionHashes)
    var ids: Set<String> = []
    for (value, native) in zip(sink.values, data.values) {
      let event = try JSON(value)
      let inner = try JSON(native)
      #expect(event["data"] == inner, "seed \(seed)")
      #expect(event["id"] == inner["UUID"] && event["time"] == inner["Timestamp"])
      #expect(event["subject"] == .string("s\"_.t\\_"))
      if case .string(let id) = event["id"] { ids.insert(id) }
    }
    #expect(ids.count == sink.values.count)
  }

  @Test func itIsConfigured() throws {
    let configuration = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + "format = \"cloudevents\"")
    #expect(configuration.sinks[0].setup(for: "db").format == .cloudEvents)
    #expect(configuration.sinks[0].setup(for: "db").cloudEvents == .structured)
    let binary = "format = \"cloudevents\"\ncloudevents = \"binary\"\n"
    #expect(
      ConfigurationFixture.errors(ConfigurationFixture.minimal + binary) == [
        "c.toml:11: sink.out.cloudevents: found \"binary\", expected \"structured\": only Kafka's "
          + "records have headers."
      ])
    let kafka = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        topicFallback = "t"
        \(binary)
        """)
    #expect(kafka.sinks[1].setup(for: "db").cloudEvents == .binary)
  }
}
