import KafkaBridge
import PGWire
import Testing

@testable import Streamer

/// Offsets that may be committed, reports that come too late, and records that wait.
@Suite struct KafkaFlowTests {
  private static func lane(_ script: SinkScript) -> Lane<KafkaOffset> {
    Lane(name: "s", sink: ScriptedSink(script), isOpen: true, capacity: 1 << 10)
  }

  private func take(
    _ lane: inout Lane<KafkaOffset>, _ offsets: Int64..., excluded: Bool = false
  ) {
    for offset in offsets {
      lane.take(
        0, at: offset, key: nil, value: nil, headers: [],
        route: excluded ? nil : Route(topic: 0, table: "t"))
    }
    lane.flush()
  }

  @Test func theLeastUndeliveredOffsetIsCommittable() throws {
    let script = try SinkScript()
    var lane = Self.lane(script)
    script.acknowledge(0)
    var committable = lane.confirmed(of: 0)
    #expect(committable == nil)
    take(&lane, 5, 6, 9)
    try lane.poll()
    committable = lane.confirmed(of: 0)
    #expect(committable == KafkaOffset(5))
    script.acknowledge(3)
    try lane.poll()
    committable = lane.confirmed(of: 0)
    #expect(committable == KafkaOffset(10))
    take(&lane, 12, excluded: true)
    let isIdle = lane.isIdle(0)
    committable = lane.confirmed(of: 0)
    #expect(committable == KafkaOffset(13) && isIdle)
  }

  @Test func reportsOfAReadingThatIsOverChangeNothing() throws {
    let script = try SinkScript()
    var lane = Self.lane(script)
    script.acknowledge(0)
    take(&lane, 0, 1, 2)
    lane.retire(0)
    var committable = lane.confirmed(of: 0)
    let isIdle = lane.isIdle
    #expect(committable == nil && isIdle)
    take(&lane, 40)
    script.acknowledge(3)
    try lane.poll()
    committable = lane.confirmed(of: 0)
    #expect(committable == KafkaOffset(40))
    script.acknowledge(1)
    try lane.poll()
    committable = lane.confirmed(of: 0)
    #expect(committable == KafkaOffset(41))
  }

  @Test func aRestartReadsAgainWhatWasNotConfirmed() throws {
    let (script, other) = (try SinkScript(), try SinkScript())
    var lane = Self.lane(script)
    script.acknowledge(1)
    take(&lane, 0, 1, 2)
    try lane.poll()
    lane.restart(with: ScriptedSink(other))
    lane.opened()
    take(&lane, 0, 1)
    try lane.poll()
    let (committable, counts, generation) = (lane.confirmed(of: 0), lane.counts, lane.generation)
    #expect(committable == KafkaOffset(2) && generation == 1)
    #expect(counts.repeated == 1 && counts.events == 4 && counts.delivered == 2)
  }

  @Test func ticketsKeepStrandAndNumber() {
    for strand in [0, 1, StrandTicket.strands - 1] {
      for number: UInt64 in [0, 1, 1 << 48 - 1] {
        let parts = StrandTicket.parts(of: StrandTicket.make(strand: strand, number: number))
        #expect(parts.strand == strand && parts.number == number)
      }
    }
  }

  /// A partition that has nothing in flight holds next to nothing.
  @Test("S10 S17 four hundred idle partitions take little memory")
  func idlePartitions() throws {
    let script = try SinkScript()
    var lane = Lane<KafkaOffset>(
      name: "s", sink: ScriptedSink(script), isOpen: true, capacity: Limits.kafkaUnsettledRecords)
    for round in 0..<3 {
      for partition in 0..<400 {
        for offset in 0..<Int64(1_000) {
          lane.take(
            partition, at: Int64(round) * 1_000 + offset, key: nil, value: nil, headers: [],
            route: Route(topic: 0, table: "t"))
        }
      }
      lane.flush()
      try lane.poll()
    }
    let (bytes, isIdle) = (lane.trackerBytes, lane.isIdle)
    #expect(isIdle && bytes < 400 * 2_048, "\(bytes)")
  }

  private func flow(
    _ scripts: [SinkScript], deadLetters: SinkScript? = nil
  ) throws -> KafkaFlow {
    let all = scripts + (deadLetters.map { [$0] } ?? [])
    var flow = KafkaFlow(
      name: "k", sinks: scripts.map { KafkaSourceHarness.sink($0) },
      lanes: LaneSet(count: all.count) { Self.lane(all[$0]) }, inFlightLimit: 1 << 20,
      observer: PipelineObserver(
        source: SourceStatus(name: "k", type: "kafka"),
        sinks: scripts.map { _ in SinkStatus(name: "s", type: "stub_discard") },
        metrics: Metrics()))
    try flow.own([.init(topic: "events", partition: 0)])
    return flow
  }

  private func poll(_ flow: inout KafkaFlow) throws {
    for lane in 0..<flow.lanes.count { try flow.lanes[lane].poll() }
  }

  @Test func aDeadLetterHoldsTheOffsetBackUntilItIsAcknowledged() throws {
    let (script, dead) = (try SinkScript(), try SinkScript())
    dead.acknowledge(0)
    var flow = try flow([script], deadLetters: dead)
    let good = Array(#"{"Table":"t"}"#.utf8)
    let bad = Array("bad".utf8)
    var isTaken = unsafe flow.take(0, 7, nil, good.span.bytes)
    #expect(!isTaken)
    let request = try #require(flow.takeRequests().first)
    #expect(request.topics == [".public.t"])
    flow.answer(request, [0])
    isTaken = unsafe flow.take(0, 7, nil, good.span.bytes)
    #expect(isTaken)
    isTaken = unsafe flow.take(0, 8, bad.span.bytes, bad.span.bytes)
    #expect(isTaken)
    isTaken = flow.take(0, 9, nil, nil)
    #expect(isTaken)
    isTaken = unsafe flow.take(0, 10, nil, good.span.bytes)
    #expect(isTaken)
    flow.flush()
    try poll(&flow)
    var committable = flow.takeCommittable()
    #expect(committable.map(\.offset) == [8])
    #expect(dead.records.map(\.value) == ["bad", nil] && dead.records.map(\.key) == ["bad", nil])
    for offset in [9, 11] as [Int64] {
      dead.acknowledge(1)
      try poll(&flow)
      committable = flow.takeCommittable()
      #expect(committable.map(\.offset) == [offset])
    }
    let (malformed, events) = (flow.malformedCount, flow.eventCount)
    #expect(malformed == 2 && events == 2)
  }

  /// A dead letter is what came: null stays null, nothing stays nothing, headers stay.
  @Test("S24 headers and empty values are kept")
  func headersAndEmptyValues() throws {
    let (script, dead) = (try SinkScript(), try SinkScript())
    var flow = try flow([script], deadLetters: dead)
    let headers = [
      RecordHeader(name: "trace", value: [1, 2]), RecordHeader(name: "none", value: nil),
      RecordHeader(name: "trace", value: []),
    ]
    let good = Array(#"{"Table":"t"}"#.utf8)
    let none: [UInt8] = []
    _ = unsafe flow.take(0, 0, nil, good.span.bytes, headers)
    for request in flow.takeRequests() { flow.answer(request, [0]) }
    _ = unsafe flow.take(0, 0, nil, good.span.bytes, headers)
    _ = unsafe flow.take(0, 1, none.span.bytes, none.span.bytes, headers)
    _ = flow.take(0, 2, nil, nil)
    flow.flush()
    #expect(script.records.map(\.headers) == [headers])
    #expect(dead.records.map(\.headers) == [headers, []])
    #expect(dead.records.map(\.value) == ["", nil] && dead.records.map(\.key) == ["", nil])
  }

  /// Every table of what waits is asked for at once, not one after the other.
  @Test("S15 the tables of all records that wait are asked for together")
  func manyNewTables() throws {
    let script = try SinkScript()
    var flow = try flow([script])
    func read(_ number: Int) {
      let value = Array(#"{"Table":"t\#(number % 50)"}"#.utf8)
      unsafe flow.read(0, Int64(number), nil, value.span.bytes, [])
    }
    for number in 0..<100 { read(number) }
    let requests = flow.takeRequests()
    #expect(requests.count == 50)
    var pause = flow.pause
    #expect(pause == .lookUp)
    #expect(flow.takeRequests().isEmpty)
    for request in requests.reversed() { flow.answer(request, [0]) }
    flow.readBacklog()
    pause = flow.pause
    #expect(pause == .needsBytes && script.records.count == 100)
    // The numbers of topics are void: late answers say nothing.
    flow.rewind()
    for number in 100..<103 { read(number) }
    for request in requests { flow.answer(request, [9]) }
    flow.readBacklog()
    pause = flow.pause
    #expect(pause == .lookUp && script.records.count == 100)
  }
}
