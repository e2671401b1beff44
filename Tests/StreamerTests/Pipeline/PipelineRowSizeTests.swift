import PGWire
import Support
import Testing

@testable import Streamer

/// Changes and records that are too large: nothing is made of them, and nothing follows them.
@Suite struct PipelineRowSizeTests {
  private static let table = Relation(
    oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 23), Relation.Column(name: "a", type: 25),
    ])

  private static func row(_ id: Int, _ size: Int) -> [UInt8] {
    let text = String(repeating: "\u{1}", count: size)
    return ServerBytes.insert(16_384, [.text("\(id)"), .text(text)])
  }

  private func feed(_ pipeline: CapturingPipeline, _ sizes: [Int]) throws {
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      for (number, size) in sizes.enumerated() {
        server.xLogData(LSN(0x90), Self.row(number, size))
      }
      server.commit(LSN(0x100), end: LSN(0x108))
    }
  }

  @Test("S25 A13 a change beyond maxRowSize is refused before it is encoded")
  func tooLargeAChange() throws {
    let pipeline = CapturingPipeline(maxRowSize: 100_000)
    try feed(pipeline, [10, 200_000, 10])
    #expect(pipeline.sink.keys == [#"{"id":0}"#])
    #expect(pipeline.counts.events == 1 && pipeline.counts.repeated == 0)
    let error = #expect(throws: StreamerError.self) { try pipeline.pipeline.lanes[0].poll() }
    #expect(
      error?.why == "a change of public.t at LSN 0/90, transaction 0/100, takes 200019 bytes, "
        + "more than maxRowSize (100000) allows")
    #expect(error?.hint.hasPrefix("Raise maxRowSize in [source.db]") == true)
    #expect(error?.isRetryable == false && pipeline.confirmed == .zero)
    // The first row is delivered all the same; only its transaction stays unconfirmed.
    #expect(pipeline.pipeline.lanes[0].inFlightBytes == 0)
    #expect(pipeline.counts.delivered == 1 && pipeline.pipeline.lanes.isDrained)
  }

  @Test func theLargestChangeThatIsAllowed() throws {
    let pipeline = CapturingPipeline(maxRowSize: 100_019)
    try feed(pipeline, [100_000])
    #expect(pipeline.sink.values.count == 1 && pipeline.confirmed == LSN(0x108))
  }

  @Test func aLogicalMessageIsNoExceptionAndAnExcludedOneIs() throws {
    for topic in [0, nil] as [TopicID?] {
      let pipeline = CapturingPipeline(maxRowSize: 100, messageTopic: topic)
      try pipeline.feed { server in
        server.xLogData(
          LSN(0x100),
          ServerBytes.logical(
            transactional: false, at: LSN(0x100), prefix: "p",
            Array(repeating: 0, count: 200)))
      }
      let hasFailed = pipeline.pipeline.lanes[0].hasFailed
      #expect(pipeline.sink.values.isEmpty && hasFailed == (topic != nil))
    }
  }

  @Test("B6 nothing is produced behind a record that the sink cannot take")
  func tooLargeARecord() throws {
    let pipeline = CapturingPipeline()
    pipeline.sink.maximumRecordBytes = 2_000
    try feed(pipeline, [10, 1_000, 10])
    #expect(pipeline.sink.keys == [#"{"id":0}"#])
    let error = #expect(throws: StreamerError.self) { try pipeline.pipeline.lanes[0].poll() }
    let why = error?.why ?? ""
    #expect(why.contains("a record of public.t at LSN 0/90, transaction 0/100, takes"))
    #expect(pipeline.confirmed == .zero)
  }
}
