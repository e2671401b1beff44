import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// What the rows of an outbox become, byte by byte.
@Suite struct OutboxPlanTests {
  private typealias Fixture = OutboxFixture

  @Test func aNewRowIsARecordOfTheTopicThatItNames() throws {
    let pipeline = try Fixture.feed(
      "", Fixture.insert("e1", "Order", "17", payload: #"{"a": 1}"#), Fixture.order(5),
      Fixture.insert("e2", "Customer", nil, payload: "text"),
      Fixture.insert("e3", "Order", "18", payload: nil))
    #expect(
      pipeline.topics.filter { $0 != "1" } == [
        "outbox.event.Order", "outbox.event.Order", "outbox.event.Customer",
      ])
    let outbox = pipeline.sink.topics.indices.filter { pipeline.sink.topics[$0] != 1 }
    #expect(outbox.map { pipeline.sink.keys[$0] } == ["17", "18", nil])
    #expect(outbox.map { pipeline.sink.values[$0] } == [#"{"a": 1}"#, "null", "text"])
    #expect(pipeline.sink.records[outbox[1]].value == nil)
    #expect(pipeline.sink.headers == ["id=e1", "id=e3", "id=e2"])
    #expect(pipeline.sink.partitionHashes[outbox[0]] == Self.hash("17"))
    #expect(pipeline.sink.partitionHashes[outbox[2]] == Self.hash("public.outbox"))
    #expect(pipeline.confirmed == LSN(0x120))
  }

  private static func hash(_ text: String) -> Int32 {
    let bytes = Array(text.utf8)
    return unsafe Murmur2.hash(bytes.span.bytes)
  }

  @Test func theBytesOfAByteaAreTheValue() throws {
    let pipeline = try Fixture.feed(
      "", payload: 17, Fixture.insert("e1", "A", payload: #"\x00ff7B0a"#),
      Fixture.insert("e2", "A", payload: #"\x"#))
    #expect(pipeline.sink.records.map(\.value) == [[0x00, 0xFF, 0x7B, 0x0A], []])
    let dead = try Fixture.feed(
      "", payload: 17, dead: 9, Fixture.insert("e1", "A", payload: #"\x0g"#))
    #expect(dead.sink.topics == [9])
    #expect(dead.sink.values[0].contains(#""Cause":"outbox""#))
  }

  @Test func columnsAreHeaders() throws {
    let pipeline = try Fixture.feed(
      #"placement = ["type:header:eventType", "tenant:header"]"#,
      Fixture.insert("e1", "A"), Fixture.insert("e2", "A", type: nil))
    #expect(
      pipeline.sink.headers == [
        "id=e1", "eventType=t", "tenant=7", "id=e2", "eventType=", "tenant=7",
      ])
  }

  @Test func columnsStandInAnEnvelope() throws {
    let lines = #"placement = ["type:envelope:eventType", "tenant:envelope"]"#
    let plain = try Fixture.feed(
      lines, Fixture.insert("e1", "A", payload: #"{"a": 1}"#, type: "x\"y"),
      Fixture.insert("e2", "A", payload: nil, tenant: nil))
    #expect(
      plain.sink.values == [
        #"{"payload":"{\"a\": 1}","eventType":"x\"y","tenant":7}"#,
        #"{"payload":null,"eventType":"t","tenant":null}"#,
      ])
    let bytes = try Fixture.feed(lines, payload: 17, Fixture.insert("e1", "A", payload: #"\x00ff"#))
    #expect(bytes.sink.values == [#"{"payload":"AP8=","eventType":"t","tenant":7}"#])
  }

  /// In text a document is looked at; what is none stays a string.
  @Test(arguments: [25, 3802] as [UInt32])
  func aDocumentIsExpanded(_ type: UInt32) throws {
    let lines = "placement = [\"tenant:envelope\"]\nexpandPayload = true"
    var rows = [Fixture.insert("e1", "A", payload: #"{"a": [1, "x"]}"#)]
    var expected = [#"{"payload":{"a": [1, "x"]},"tenant":7}"#]
    rows.append(Fixture.insert("e2", "A", payload: "17"))
    expected.append(#"{"payload":"17","tenant":7}"#)
    if type == 25 {
      rows.append(Fixture.insert("e3", "A", payload: #"{"a": 1"#))
      expected.append(#"{"payload":"{\"a\": 1","tenant":7}"#)
    }
    let pipeline = CapturingPipeline(setup: try Fixture.setup(lines))
    pipeline.topicNumbers = [:]
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(Fixture.relation(payload: type))
      for row in rows { server.xLogData(LSN(0x90), row) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    #expect(pipeline.sink.values == expected)
  }

  @Test func anEmptyPayloadIsATombstone() throws {
    let rows = [
      Fixture.insert("e1", "A", payload: " \n"), Fixture.insert("e2", "A", payload: nil),
      Fixture.insert("e3", "A", payload: "x"),
    ]
    let lines = "tombstoneOnEmptyPayload = true\n"
    let bare = try Fixture.feed(lines, rows[0], rows[1], rows[2])
    #expect(bare.sink.records.map { $0.value == nil } == [true, true, false])
    let wrapped = try Fixture.feed(
      lines + "placement = [\"tenant:envelope\"]", rows[0], rows[1], rows[2])
    #expect(wrapped.sink.records.map { $0.value == nil } == [true, true, false])
    let without = try Fixture.feed("", rows[0])
    #expect(without.sink.values == [" \n"])
    let bytes = try Fixture.feed(lines, payload: 17, Fixture.insert("e1", "A", payload: #"\x"#))
    #expect(bytes.sink.records[0].value == nil)
  }

  @Test func aColumnIsThePartition() throws {
    let lines = #"placement = ["tenant:partition"]"#
    let pipeline = try Fixture.feed(
      lines, Fixture.insert("e1", "A", tenant: "3"), Fixture.insert("e2", "A", tenant: nil))
    #expect(pipeline.sink.partitionHashes == [3, Self.hash("k")])
    let dead = try Fixture.feed(lines, dead: 9, Fixture.insert("e1", "A", tenant: "-3"))
    #expect(dead.sink.topics == [9])
  }

  @Test func aColumnIsTheTime() throws {
    let pipeline = try Fixture.feed(
      "timestamp = \"at\"", Fixture.insert("e1", "A", at: "2024-02-29 12:00:00.123456+00"),
      Fixture.insert("e2", "A", at: nil), Fixture.insert("e3", "A", at: "infinity"))
    #expect(pipeline.sink.times == [1_709_208_000_123, nil, nil])
  }

  /// Whoever cleans an outbox deletes; what is updated in it is a mistake.
  @Test func deletesAreDroppedAndUpdatesGoByTheSetting() throws {
    let update = ServerBytes.update(Fixture.outbox, Fixture.row("e1", "B"))
    let changed = ServerBytes.update(
      Fixture.outbox,
      old: (.key, [.text("e0"), .null, .null, .null, .null, .null, .null]),
      Fixture.row("e1", "B"))
    let delete = ServerBytes.delete(
      Fixture.outbox, .key, [.text("e1"), .null, .null, .null, .null, .null, .null])
    let truncate = ServerBytes.truncate([Fixture.outbox])
    for action in ["warn", "error"] {
      let pipeline = try Fixture.feed(
        "onInvalidOperation = \"\(action)\"", Fixture.insert("e1", "A"), update, changed, delete,
        truncate, Fixture.insert("e2", "A"))
      #expect(pipeline.sink.headers == ["id=e1", "id=e2"])
      let notices = pipeline.pipeline.takeOutboxNotices()
      #expect(notices.map(\.isError) == [action == "error", action == "error"])
      #expect(pipeline.counts.excluded == 2)
      #expect(pipeline.confirmed == LSN(0x120))
    }
    let fatal = try Fixture.feed(
      "onInvalidOperation = \"fatal\"", Fixture.insert("e1", "A"), update, Fixture.insert("e2", "A")
    )
    #expect(fatal.sink.headers == ["id=e1"])
    #expect(fatal.pipeline.lanes[0].takeRefusal()?.hint.contains("onInvalidOperation") == true)
    #expect(fatal.confirmed == .zero)
  }

  @Test func aTemplateAndAnExpressionMakeTheName() throws {
    let pipeline = try Fixture.feed(
      """
      routeBy = "type"
      topicTemplate = "x.{routedByValue}.y"
      topicRegex = { pattern = "x\\\\.(.*)Event\\\\.y", replacement = "$1.events" }
      """, Fixture.insert("e1", "A", type: "OrderEvent"), Fixture.insert("e2", "A", type: "Other"))
    #expect(pipeline.topics == ["Order.events", "x.Other.y"])
  }

  /// A name that Kafka does not take is one event's matter, like a value that is missing.
  @Test func badNamesAreRefusedReplacedOrLeftOut() throws {
    let rows = (Fixture.insert("e1", "a/b"), Fixture.insert("e2", "A"), Fixture.insert("e3", nil))
    let stops = try Fixture.feed("", rows.0, rows.1)
    let error = stops.pipeline.lanes[0].takeRefusal()
    #expect(error?.why.contains("\"outbox.event.a/b\", which is no topic's name") == true)
    #expect(error?.hint.contains("topicNames = \"replace\"") == true)
    #expect(stops.confirmed == .zero && stops.sink.values.isEmpty)
    let replaced = try Fixture.feed("", sink: "topicNames = \"replace\"", rows.0, rows.1)
    #expect(replaced.topics == ["outbox.event.a_b", "outbox.event.A"])
    let left = try Fixture.feed("", sink: "onTableError = \"exclude\"", rows.0, rows.1)
    #expect(left.topics == ["outbox.event.A"])
    #expect(left.counts.excluded == 1 && left.confirmed == LSN(0x120))
    #expect(left.pipeline.takeOutboxNotices().count == 1)
    let dead = try Fixture.feed("", dead: 9, rows.0, rows.1, rows.2)
    #expect(dead.sink.topics.sorted() == [9, 9, 100])
    #expect(dead.confirmed == LSN(0x120))
    let noRoute = try Fixture.feed("", rows.2)
    #expect(noRoute.pipeline.lanes[0].takeRefusal()?.why.contains("null or empty") == true)
  }

  @Test func aColumnThatIsMissingIsToldWithItsLine() throws {
    let setup = try Fixture.setup("payload = \"body\"")
    let error = setup.misfit(DescribedRelation(relation: Fixture.relation()), of: "k")
    #expect(error?.why.contains("column \"body\"") == true || error?.why.contains("body") == true)
    #expect(error?.why.contains("(c.toml:") == true)
    #expect(error?.hint.contains("[sink.k.outbox]") == true)
    #expect(error?.exit == .preflight)
    let fits = try Fixture.setup("")
    #expect(fits.misfit(DescribedRelation(relation: Fixture.relation()), of: "k") == nil)
    #expect(fits.misfit(DescribedRelation(relation: Fixture.ordinary), of: "k") == nil)
  }

  /// The table needs no topic of its own, and nobody says that it has none.
  @Test func theTableItselfIsAskedNoTopic() throws {
    let setup = try Fixture.setup("")
    #expect(setup.topic(database: "d", schema: "public", table: "outbox") == nil)
    let sink = SinkPlan(name: "k", setup: setup) { (_, _) throws(StreamerError) in
      StubSink(log: nil)
    }
    let policy = TablePolicy(sinks: [sink], log: Log(level: .error, descriptor: -1))
    let name = TablePolicy.Name(Fixture.relation())
    try policy.start([name], [DescribedRelation(relation: Fixture.relation())], database: "d")
    let found = try policy.settle([(name, [nil])], [[nil]])[0]
    #expect(found.topics == [nil] && found.left == [nil])
    let broken = TablePolicy(
      sinks: [
        SinkPlan(name: "k", setup: try Fixture.setup("eventID = \"nr\"")) {
          (_, _) throws(StreamerError) in StubSink(log: nil)
        }
      ], log: Log(level: .error, descriptor: -1))
    let error = #expect(throws: StreamerError.self) {
      try broken.start([name], [DescribedRelation(relation: Fixture.relation())], database: "d")
    }
    #expect(error?.why.contains("table public.outbox") == true)
  }
}
