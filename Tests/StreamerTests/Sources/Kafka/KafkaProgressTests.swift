import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// Offsets that may be committed, and reports that come too late.
@Suite struct KafkaProgressTests {
  private func produced(_ progress: inout KafkaProgress, _ offset: Int64) -> UInt64 {
    let number = progress.begin(at: offset)
    progress.end(at: offset, isProduced: true)
    return number
  }

  @Test func theLeastUndeliveredOffsetIsCommittable() {
    var progress = KafkaProgress()
    #expect(progress.committable == nil)
    let numbers = [5, 6, 9].map { produced(&progress, $0) }
    #expect(progress.committable == 5)
    progress.delivered(numbers[2], count: 1)
    progress.delivered(numbers[1], count: 1)
    #expect(progress.committable == 5 && !progress.isIdle)
    progress.delivered(numbers[0], count: 1)
    #expect(progress.committable == 10 && progress.isIdle)
    _ = progress.begin(at: 12)
    progress.end(at: 12, isProduced: false)
    #expect(progress.committable == 13)
  }

  @Test func reportsOfAReadingThatIsOverChangeNothing() {
    var progress = KafkaProgress()
    let old = [0, 1, 2].map { produced(&progress, $0) }
    progress.delivered(old[0], count: 1)
    progress.rewind()
    #expect(progress.committable == 1 && progress.next == 1 && progress.isIdle)
    let again = produced(&progress, 1)
    progress.delivered(old[1], count: 1)
    #expect(progress.committable == 1)
    progress.delivered(again, count: 1)
    #expect(progress.committable == 2)
    progress.retire()
    #expect(progress.committable == nil && progress.next == 0)
    let later = produced(&progress, 40)
    progress.delivered(old[2], count: 1)
    #expect(progress.committable == 40)
    progress.delivered(later, count: 1)
    #expect(progress.committable == 41)
  }

  @Test func ticketsKeepPartitionAndNumber() {
    for partition in [0, 1, KafkaTicket.partitions - 1] {
      for number: UInt64 in [0, 1, 1 << 48 - 1] {
        let ticket = KafkaTicket.make(partition: partition, number: number)
        #expect(KafkaTicket.partition(of: ticket) == partition)
        #expect(KafkaTicket.number(of: ticket) == number)
      }
    }
  }

  @Test func aDeadLetterHoldsTheOffsetBackUntilItIsAcknowledged() throws {
    let (script, dead) = (try SinkScript(), try SinkScript())
    dead.acknowledge(0)
    let lanes = [
      KafkaLane(name: "s", sink: ScriptedSink(script)),
      KafkaLane(name: "k", sink: ScriptedSink(dead)),
    ]
    for lane in lanes { lane.isOpen = true }
    let sinks = [KafkaSourceHarness.sink(script)]
    let flow = KafkaFlow(
      name: "k", sinks: sinks, lanes: lanes, inFlightLimit: 1 << 20,
      observer: PipelineObserver(
        source: SourceStatus(name: "k", type: "kafka"),
        sinks: [SinkStatus(name: "s", type: "stub_discard")], metrics: Metrics()))
    try flow.own([.init(topic: "events", partition: 0)])
    let good = Array(#"{"Table":"t"}"#.utf8)
    let bad = Array("bad".utf8)
    var isTaken = unsafe flow.take(0, 7, nil, good.span.bytes)
    #expect(!isTaken)
    #expect(flow.request?.topics == [".public.t"])
    flow.answer([0])
    isTaken = unsafe flow.take(0, 7, nil, good.span.bytes)
    #expect(isTaken)
    isTaken = unsafe flow.take(0, 8, bad.span.bytes, bad.span.bytes)
    #expect(isTaken)
    isTaken = flow.take(0, 9, nil, nil)
    #expect(isTaken)
    isTaken = unsafe flow.take(0, 10, nil, good.span.bytes)
    #expect(isTaken)
    flow.flush()
    for lane in lanes { try lane.poll() }
    #expect(flow.takeCommittable().map(\.offset) == [8])
    #expect(dead.records.map(\.value) == ["bad", ""] && dead.records.map(\.key) == ["bad", nil])
    dead.acknowledge(1)
    for lane in lanes { try lane.poll() }
    #expect(flow.takeCommittable().map(\.offset) == [9])
    dead.acknowledge(1)
    for lane in lanes { try lane.poll() }
    #expect(flow.takeCommittable().map(\.offset) == [11])
    #expect(flow.malformedCount == 2 && flow.eventCount == 2)
  }
}
