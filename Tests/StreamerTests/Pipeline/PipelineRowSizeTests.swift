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

  /// The letters among what the sink was given, by the key's text.
  private func letters(_ pipeline: CapturingPipeline) throws -> [JSON] {
    try pipeline.sink.values.map { try JSON($0) }.filter { $0["Cause"] != nil }
  }

  @Test("a change beyond maxRowSize becomes a dead letter, and everything goes on")
  func deadChange() throws {
    let pipeline = CapturingPipeline(maxRowSize: 100_000, deadLetterTopic: 9)
    try feed(pipeline, [10, 200_000, 10])
    #expect(pipeline.sink.keys == [#"{"id":0}"#, #"{"id":"1"}"#, #"{"id":2}"#])
    let letter = try #require(try letters(pipeline).first)
    #expect(
      letter.names == [
        "Source", "Sink", "Topic", "Table", "LSN", "CommitLSN", "Ordinal", "Cause", "Reason",
        "Size",
        "SHA256", "Key", "Payload",
      ])
    #expect(letter["Source"]?.string == "db" && letter["Sink"]?.string == "sink")
    #expect(letter["Table"]?.string == "public.t" && letter["Topic"]?.string == "events")
    #expect(letter["LSN"]?.string == "0/90" && letter["CommitLSN"]?.string == "0/100")
    #expect(letter["Ordinal"]?.int == 1 && letter["Cause"]?.string == "row_size")
    #expect(letter["Size"]?.int == 200_019 && letter["SHA256"]?.string?.utf8.count == 64)
    #expect(pipeline.confirmed == LSN(0x108) && pipeline.counts.deadLetters == [.rowSize: 1])
    let told = pipeline.pipeline.lanes[0].takeBuried()
    #expect(told.map(\.table) == ["public.t"] && pipeline.pipeline.lanes[0].takeBuried().isEmpty)
  }

  @Test("a record beyond what the sink takes becomes a dead letter without its payload")
  func deadRecord() throws {
    let pipeline = CapturingPipeline(deadLetterTopic: 9)
    pipeline.sink.maximumRecordBytes = 2_000
    try feed(pipeline, [10, 5_000, 10])
    #expect(pipeline.sink.keys == [#"{"id":0}"#, #"{"id":1}"#, #"{"id":2}"#])
    let letter = try #require(try letters(pipeline).first)
    #expect(letter["Cause"]?.string == "oversized" && letter["Key"]?.string == #"{"id":1}"#)
    #expect(letter["Payload"]?.string == nil && letter["SHA256"]?.string?.utf8.count == 64)
    #expect(pipeline.confirmed == LSN(0x108) && pipeline.counts.deadLetters == [.oversized: 1])
    #expect(pipeline.pipeline.lanes[0].inFlightBytes == 0)
  }

  /// A broker refuses the second of three records, twice, and all are read again.
  private func refuse(_ pipeline: CapturingPipeline) throws -> StreamerError {
    pipeline.sink.delivers = false
    try feed(pipeline, [10, 500, 10])
    var refusal = StreamerError(
      what: "sink", why: "too large", hint: "Make it larger.", exit: .preflight,
      cause: .recordTooLarge)
    let size = try #require(pipeline.sink.values.dropFirst().first?.utf8.count) + 8
    refusal.refusedRecord = RefusedRecord(topic: "events", bytes: size)
    // What is refused again although it is known is no matter of that record.
    for isRetried in [true, false] {
      pipeline.sink.error = refusal
      let error = #expect(throws: StreamerError.self) {
        try pipeline.pipeline.lanes[0].takeReports()
      }
      #expect(error?.isRetryable == isRetried)
    }
    pipeline.pipeline.lanes[0].restart(with: pipeline.sink)
    pipeline.pipeline.lanes[0].opened()
    pipeline.sink.delivers = true
    pipeline.sink.reset()
    pipeline.reconnect()
    try feed(pipeline, [10, 500, 10])
    return refusal
  }

  @Test("a record that a broker has refused is a dead letter when it comes again, once")
  func refusedRecord() throws {
    let pipeline = CapturingPipeline(deadLetterTopic: 9)
    _ = try refuse(pipeline)
    let letter = try #require(try letters(pipeline).first)
    #expect(try letters(pipeline).count == 1 && letter["Key"]?.string == #"{"id":1}"#)
    #expect(letter["Payload"]?.string?.hasPrefix("{\"Host\"") == true)
    #expect(pipeline.confirmed == LSN(0x108))
  }

  @Test("a record that a broker has refused says its table, place and key when it comes again")
  func toldRecord() throws {
    let pipeline = CapturingPipeline()
    let refusal = try refuse(pipeline)
    #expect(pipeline.sink.keys == [#"{"id":0}"#] && pipeline.confirmed == .zero)
    let error = #expect(throws: StreamerError.self) { try pipeline.pipeline.lanes[0].poll() }
    let size = try #require(refusal.refusedRecord).bytes
    #expect(
      error?.why == "a record of public.t at LSN 0/90, transaction 0/100, takes \(size) bytes "
        + #"(key {"id":1}): too large"#)
    #expect(error?.hint == refusal.hint && error?.exitCode == 3 && error?.isRetryable == false)
  }

  @Test("a message beyond maxRowSize becomes a dead letter")
  func deadMessage() throws {
    let pipeline = CapturingPipeline(maxRowSize: 1_000, deadLetterTopic: 9)
    try pipeline.feed { server in
      let content = [UInt8](repeating: 65, count: 5_000)
      server.xLogData(
        LSN(0x90),
        ServerBytes.logical(transactional: false, at: LSN(0x90), prefix: "p", content))
    }
    #expect(try letters(pipeline).map { $0["Table"]?.string } == ["logical messages"])
    #expect(pipeline.confirmed == LSN(0x90))
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
