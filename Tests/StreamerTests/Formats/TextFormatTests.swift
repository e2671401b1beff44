import PGWire
import Support
import Testing

@testable import Streamer

/// Lines for people.
@Suite struct TextFormatTests {
  private static var setup: LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .text
    return setup
  }

  private static let head = "2026-11-28 17:42:21.561Z d.shop.orders "

  private func lines(
    _ relation: Relation = FormatRun.orders(), _ payloads: [UInt8]...
  ) throws -> [String] {
    var lines: [String] = []
    for payload in payloads {
      lines += try FormatRun.feed(Self.setup, relation, payload).values.map { line in
        #expect(line.hasPrefix(Self.head))
        return String(line.dropFirst(Self.head.count))
      }
    }
    return lines
  }

  @Test func eachKindOfChangeIsALine() throws {
    let sink = try FormatRun.feed(
      Self.setup, FormatRun.orders(),
      ServerBytes.insert(FormatRun.oid, [.text("7"), .text("it's"), .text("12.50")]),
      ServerBytes.update(FormatRun.oid, old: nil, [.text("7"), .unchanged, .null]),
      ServerBytes.delete(FormatRun.oid, .key, [.text("7"), .null, .null]),
      ServerBytes.truncate([FormatRun.oid]))
    #expect(
      sink.values == [
        Self.head + "INSERT id=7: note 'it''s', price 12.50",
        Self.head + "UPDATE id=7: price NULL", Self.head + "DELETE id=7", Self.head + "TRUNCATE",
      ])
    #expect(sink.keys == [#"{"id":7}"#, #"{"id":7}"#, #"{"id":7}"#, nil])
  }

  @Test func anUpdateSaysWhatDiffers() throws {
    func update(_ old: [ServerBytes.Cell], _ new: [ServerBytes.Cell]) -> [UInt8] {
      ServerBytes.update(FormatRun.oid, old: (.full, old), new)
    }
    let row: [ServerBytes.Cell] = [.text("7"), .text("w"), .text("1")]
    #expect(
      try lines(
        FormatRun.orders(.full), update(row, [.text("7"), .text("x"), .text("1")]),
        update(row, [.text("7"), .unchanged, .null]),
        update([.text("7"), .null, .null], row), update(row, row),
        ServerBytes.delete(FormatRun.oid, .full, row)
      ) == [
        "UPDATE id=7: note 'w' -> 'x'", "UPDATE id=7: price 1 -> NULL",
        "UPDATE id=7: note NULL -> 'w', price NULL -> 1", "UPDATE id=7: nothing else changed",
        "DELETE id=7: note 'w', price 1",
      ])
  }

  @Test func aChangedKeyIsSaid() throws {
    #expect(
      try lines(
        FormatRun.orders(),
        ServerBytes.update(
          FormatRun.oid, old: (.key, [.text("7"), .null, .null]),
          [.text("8"), .unchanged, .text("1")])) == [
          "DELETE id=7 (the key changed)",
          "INSERT id=8 (the key changed): note (not sent), price 1",
        ])
  }

  @Test func namesAndValuesStayOnTheirLine() throws {
    let relation = Relation(
      oid: FormatRun.oid, schema: "S \"", name: "größe\n", replicaIdentity: .nothing,
      columns: [
        Relation.Column(name: "a_1", isKey: false, type: 25),
        Relation.Column(name: "B\u{1B}", isKey: false, type: 16),
        Relation.Column(name: "1c", isKey: false, type: 16),
      ])
    let sink = try FormatRun.feed(
      Self.setup, relation,
      ServerBytes.insert(
        FormatRun.oid, [.text("1\n\r\t\u{1B}[2J\u{9B}\u{7F}é\\'"), .text("t"), .text("f")]))
    #expect(
      sink.values == [
        #"2026-11-28 17:42:21.561Z d."S """."größe\n" INSERT: a_1 '1\n\r\t\x1b[2J\x9b\x7fé\''', "#
          + #""B\x1b" true, "1c" false"#
      ])
  }

  @Test func messagesAreLines() throws {
    let pipeline = CapturingPipeline(setup: Self.setup)
    try pipeline.feed { server in
      server.begin(LSN(0x80), time: -1, xid: 7)
      server.xLogData(
        LSN(0x70),
        ServerBytes.logical(transactional: true, at: LSN(0x70), prefix: "p'", Array("it's".utf8)))
      server.commit(LSN(0x80), end: LSN(0x88), time: -1)
      server.xLogData(
        LSN(0x90), ServerBytes.logical(transactional: false, at: LSN(0x90), prefix: "p", [0, 255]))
    }
    #expect(
      pipeline.sink.values == [
        "1999-12-31 23:59:59.999Z d MESSAGE 'p''': 'it''s'", #"- d MESSAGE 'p': \x00ff"#,
      ])
  }

  /// The keys and partitions are the native format's; nothing in a line moves a cursor.
  @Test(arguments: 1...30) func everyEventIsALine(seed: UInt64) throws {
    let native = LaneSetup(routing: .init(fallback: "t"))
    let data = try FormatRun.feedRandom(native, seed: seed)
    let sink = try FormatRun.feedRandom(Self.setup, seed: seed)
    #expect(sink.keys == data.keys && sink.partitionHashes == data.partitionHashes)
    #expect(sink.values.count == data.values.count, "seed \(seed)")
    for line in sink.values {
      let hasControls = line.unicodeScalars.contains {
        $0.properties.generalCategory == .control
      }
      #expect(!hasControls, "seed \(seed): \(line)")
    }
  }
}
