import Support
import Testing

@testable import PGWire
@testable import Streamer

/// What is told of a change that was never held is what is told of one that was.
@Suite struct AbridgedRowTests {
  private static let oid: UInt32 = 16_384
  private static let table = Relation(
    oid: oid, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 23), Relation.Column(name: "a", type: 25),
      Relation.Column(name: "b", type: 25),
    ])
  private static let text = String(repeating: "t", count: 3_000)

  private static let changes: [String: [UInt8]] = [
    "insert": ServerBytes.insert(oid, [.text("2"), .text(text), .text("b")]),
    "update": ServerBytes.update(oid, [.text("2"), .text("a"), .text(text)]),
    "update of the key": ServerBytes.update(
      oid, old: (.key, [.text("1"), .null, .null]), [.text("2"), .text(text), .null]),
    "delete": ServerBytes.delete(oid, .full, [.text("2"), .text(text), .text("b")]),
    "message": ServerBytes.logical(
      transactional: true, at: LSN(0x50), prefix: "p", Array(text.utf8)),
  ]

  /// The message of a change without its long values.
  private static func abridged(_ payload: [UInt8], isInChunk: Bool) throws -> [UInt8] {
    var server = ServerBytes()
    server.xLogData(LSN(0x90), payload)
    var taken = 0
    let bounds = Abridgement.Bounds(value: 1_000, whole: 2_000)
    let frame = server.bytes
    let start = Abridgement(
      unsafe frame.span.bytes, isInChunk: isInChunk, bounds: bounds, taken: &taken)
    guard var change = start else { throw SupportError("it is no change") }
    let rest = [UInt8](frame[taken..<frame.count])
    _ = try change.take(unsafe rest.span.bytes)
    #expect(change.isComplete && change.message.count < frame.count)
    // Without the frame and the header of XLogData.
    var payload: [UInt8] = change.message.bytes.copied
    payload.removeSubrange(0..<30)
    return payload
  }

  /// What the sink gets of a transaction with the change in its midst, and what the lane says.
  private func outcome(
    of change: [UInt8], isStreamed: Bool, isAbridged: Bool, dead: TopicID?
  ) throws -> [String] {
    let pipeline = CapturingPipeline(maxRowSize: 2_000, deadLetterTopic: dead)
    let small = ServerBytes.insert(Self.oid, [.text("3"), .null, .null])
    try pipeline.feed { server in
      func add(_ payload: [UInt8], _ isAbridged: Bool = false) throws {
        let payload = isStreamed ? ServerBytes.streamed(payload, 7) : payload
        server.xLogData(
          LSN(0x90),
          isAbridged ? try Self.abridged(payload, isInChunk: isStreamed) : payload)
      }
      if isStreamed {
        server.streamStart(7, isFirst: true)
      } else {
        server.begin(LSN(0x100), xid: 7)
      }
      do {
        try add(ServerBytes.relation(Self.table))
        try add(small)
        try add(change, isAbridged)
        try add(small)
      } catch { Issue.record(error) }
      if isStreamed {
        server.streamStop()
        server.streamCommit(7, LSN(0x100), end: LSN(0x108))
      } else {
        server.commit(LSN(0x100), end: LSN(0x108))
      }
    }
    let error = pipeline.pipeline.lanes[0].hasFailed ? "\(pipeline.sink.values.count) sent" : ""
    let refusal = Result { () throws(StreamerError) in try pipeline.pipeline.lanes[0].poll() }
    return pipeline.sink.keys.map { $0 ?? "" } + pipeline.sink.values
      + ["\(pipeline.confirmed)", error, "\(refusal)"]
  }

  @Test(arguments: [false, true], [nil, 9] as [TopicID?])
  func theSameIsTold(isStreamed: Bool, dead: TopicID?) throws {
    for (name, change) in Self.changes {
      let held = try outcome(of: change, isStreamed: isStreamed, isAbridged: false, dead: dead)
      let passed = try outcome(of: change, isStreamed: isStreamed, isAbridged: true, dead: dead)
      #expect(passed == held, "\(name)")
      #expect(held.contains { $0.contains("maxRowSize") }, "\(name)")
    }
  }

  /// A server that sends such a message itself makes no row of it.
  @Test func oneThatIsNotTooLargeIsNone() throws {
    let change = try #require(Self.changes["insert"])
    let payload = try Self.abridged(change, isInChunk: false)
    let pipeline = CapturingPipeline(maxRowSize: 1 << 20)
    #expect(throws: StreamFault.self) {
      try pipeline.feed { server in
        server.begin(LSN(0x100), xid: 7)
        server.relation(Self.table)
        server.xLogData(LSN(0x90), payload)
      }
    }
    #expect(pipeline.sink.values.isEmpty)
  }
}
