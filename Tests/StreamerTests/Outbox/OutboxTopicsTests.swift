import PGWire
import Support
import Testing

@testable import Streamer

/// Topics that are found on demand, while everything else flows.
@Suite struct OutboxTopicsTests {
  private typealias Fixture = OutboxFixture

  private func find(_ topics: OutboxTopics, _ value: String) -> TopicID? {
    let bytes = Array(value.utf8)
    return unsafe topics.find(bytes.span.bytes)
  }

  private func add(_ topics: inout OutboxTopics, _ value: String, _ name: String) -> TopicID {
    let bytes = Array(value.utf8)
    return unsafe topics.add(bytes.span.bytes, name)
  }

  @Test func valuesAreFoundByTheirBytes() {
    var topics = OutboxTopics()
    for number in 0..<1_000 { _ = add(&topics, "v\(number)", "t\(number / 2)") }
    let asked = topics.takeUnasked()
    #expect(asked.count == 500)
    #expect(topics.takeUnasked().isEmpty)
    for (index, topic) in asked.enumerated() { topics.learn(TopicID(index), for: topic.number) }
    for number in 0..<1_000 { #expect(find(topics, "v\(number)") == TopicID(number / 2)) }
    #expect(find(topics, "v") == nil)
    #expect(topics.isComplete)
    topics.forget()
    #expect(find(topics, "v1") == nil)
  }

  /// However many values there are, only so many are remembered, and a topic that is asked for is
  /// asked for once.
  @Test func memoryIsBounded() {
    var topics = OutboxTopics()
    let first = add(&topics, "first", "first")
    for number in 0..<Limits.outboxValues { _ = add(&topics, "\(number)", "same") }
    #expect(find(topics, "first") == nil)
    #expect(add(&topics, "first", "first") == first)
    #expect(topics.takeUnasked().count == 2)
  }

  @Test func otherTablesFlowWhileATopicIsUnknown() throws {
    let pipeline = try Fixture.feed(
      topics: false, Fixture.insert("e1", "A"), Fixture.order(1), Fixture.insert("e2", "B"),
      Fixture.order(2), Fixture.insert("e3", "A"))
    #expect(pipeline.sink.topics == [1, 1])
    #expect(pipeline.rest.isEmpty)
    #expect(pipeline.confirmed == .zero)
    let requests = pipeline.pipeline.takeTopicRequests()
    #expect(requests.map(\.topic.name) == ["outbox.event.A", "outbox.event.B"])
    try pipeline.pipeline.answer([requests[1]], [.success(20)])
    try pipeline.feed { _ in }
    #expect(pipeline.sink.topics == [1, 1, 20])
    #expect(pipeline.confirmed == .zero)
    try pipeline.pipeline.answer([requests[0]], [.success(10)])
    try pipeline.feed { _ in }
    #expect(pipeline.sink.topics == [1, 1, 20, 10, 10])
    #expect(pipeline.sink.headers == ["id=e2", "id=e1", "id=e3"])
    #expect(pipeline.confirmed == LSN(0x120))
    #expect(pipeline.pipeline.inFlightBytes == 0)
  }

  /// Only so much waits; then nothing more is read until a topic is known.
  @Test func whatWaitsIsBounded() throws {
    let pipeline = CapturingPipeline(inFlightLimit: 1 << 30, setup: try Fixture.setup(""))
    let large = String(repeating: "x", count: 100_000)
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(Fixture.relation())
      server.relation(Fixture.ordinary)
      for number in 0..<60 {
        server.xLogData(LSN(0x90), Fixture.insert("e\(number)", "A", payload: large))
      }
      server.xLogData(LSN(0x90), Fixture.order(1))
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    #expect(!pipeline.rest.isEmpty)
    #expect(pipeline.pipeline.lanes[0].awaited.bytes < Limits.awaitedBytes + 200_000)
    #expect(pipeline.pipeline.pause == .budget)
    pipeline.topicNumbers = [:]
    pipeline.answerTopics()
    try pipeline.goOn()
    #expect(pipeline.sink.topics == Array(repeating: 100, count: 60) + [1])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test func aTopicThatIsMissingStopsOrIsLeftOut() throws {
    let missing = StreamerError(what: "sink k", why: "gone", cause: .topicMissing)
    let stops = try Fixture.feed(topics: false, Fixture.insert("e1", "A"), Fixture.order(1))
    try stops.pipeline.answer(stops.pipeline.takeTopicRequests(), [.failure(missing)])
    let error = stops.pipeline.lanes[0].takeRefusal()
    #expect(error?.why == "topic outbox.event.A, which the outbox names: gone")
    #expect(error?.hint.contains("createTopics = \"create\"") == true)
    #expect(stops.pipeline.lanes[0].isDrained && stops.confirmed == .zero)
    let left = try Fixture.feed(
      sink: "onTableError = \"exclude\"", topics: false, Fixture.insert("e1", "A"),
      Fixture.order(1))
    try left.pipeline.answer(left.pipeline.takeTopicRequests(), [.failure(missing)])
    try left.feed { _ in }
    #expect(left.confirmed == LSN(0x120) && left.counts.excluded == 1)
    #expect(left.pipeline.takeOutboxNotices().count == 1)
    let later = try Fixture.feed(topics: false, Fixture.insert("e1", "A"))
    #expect(throws: StreamerError.self) {
      try later.pipeline.answer(
        later.pipeline.takeTopicRequests(),
        [.failure(StreamerError(what: "sink k", why: "away", retryable: true))])
    }
    later.reconnect()
    later.pipeline.askTopicsAgain()
    try later.pipeline.answer(later.pipeline.takeTopicRequests(), [.success(4)])
    try later.feed { _ in }
    #expect(later.sink.topics == [4])
  }

  /// Records that are too large go where such records go, once their topic is known.
  @Test func whatTheSinkDoesNotTakeIsBuried() throws {
    let pipeline = try Fixture.feed(
      dead: 9, topics: false,
      Fixture.insert("e1", "A", payload: String(repeating: "x", count: 900)),
      Fixture.insert("e2", "A"))
    pipeline.sink.maximumRecordBytes = 500
    try pipeline.pipeline.answer(pipeline.pipeline.takeTopicRequests(), [.success(5)])
    try pipeline.feed { _ in }
    #expect(pipeline.sink.topics == [9, 5])
    #expect(pipeline.sink.values[0].contains(#""Cause":"oversized""#))
    #expect(pipeline.sink.values[0].contains(#""CommitLSN":"0/100""#))
    #expect(pipeline.confirmed == LSN(0x120))
    #expect(pipeline.pipeline.inFlightBytes == 0)
  }

  /// A sink that keeps its position gets everything in the order of reading: reading waits.
  @Test func aSinkThatKeepsItsPositionHoldsReading() throws {
    let sink = KeepingSink()
    let setup = try Fixture.setup("")
    var pipeline = Pipeline(
      lanes: LaneSet(count: 1) { _ in
        Lane(name: "sink", sink: sink, position: .zero, isOpen: true, capacity: 16)
      }, setups: [setup],
      settings: Pipeline.Settings(
        source: "db", inFlightLimit: 1 << 20,
        spool: Spool.Settings(directory: "/nowhere", memory: 1 << 20)),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(at: .zero, StreamOrigin(), messageTopics: [nil])
    var server = ServerBytes()
    server.begin(LSN(0x100), time: 1, xid: 745)
    server.relation(Fixture.relation())
    server.relation(Fixture.ordinary)
    for payload in [Fixture.order(1), Fixture.insert("e1", "A"), Fixture.order(2)] {
      server.xLogData(LSN(0x90), payload)
    }
    server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    var bytes = server.bytes
    var answered = false
    for _ in 0..<10 {
      let consumed = try pipeline.consume(unsafe bytes.span.bytes)
      bytes.removeFirst(consumed.count)
      for request in pipeline.takeRequests() {
        pipeline.answer(
          request,
          TableAnswer(
            catalogKey: [], types: TypeCatalog(), topics: request.topics.map { $0.map { _ in 1 } }))
      }
      let requests = pipeline.takeTopicRequests()
      guard !requests.isEmpty else { continue }
      #expect(consumed.pause == .budget && !bytes.isEmpty)
      #expect(sink.places.allSatisfy { ($0.cut?.nextOrdinal ?? 0) == 0 && $0.lsn == .zero })
      #expect(sink.topics.isEmpty)
      try pipeline.answer(requests, [.success(5)])
      answered = true
    }
    #expect(answered && bytes.isEmpty)
    #expect(sink.topics == [1, 5, 1])
    #expect(sink.places.last?.lsn == LSN(0x120))
  }
}
