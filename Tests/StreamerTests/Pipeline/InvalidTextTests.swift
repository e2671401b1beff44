import PGWire
import Support
import Testing

@testable import Streamer

/// Bytes of a SQL_ASCII database that are no text: `invalidUTF8`.
@Suite struct InvalidTextTests {
  private static func repaired(_ bytes: [UInt8], _ policy: InvalidUTF8 = .replace) -> String {
    written { TextRepair.append(unsafe bytes.span.bytes, policy, to: &$0) }
  }

  @Test func invalidSequencesBecomeWhatSwiftMakesOfThem() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededRandom(seed: seed)
    let alphabet: [UInt8] = [
      0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE2, 0xED, 0xEF,
      0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
    ]
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...20, using: &random)
      let bytes = (0..<count).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      #expect(
        Self.repaired(bytes) == String(decoding: bytes, as: UTF8.self), "seed \(seed): \(bytes)")
    }
    for text in ["", "plain text of some length", "héllo € 😀 and more of it", "\u{10FFFF}\u{D7FF}"]
    {
      #expect(UTF8Scan.firstInvalid(in: unsafe Array(text.utf8).span.bytes, from: 0) == nil)
    }
  }

  private static let table = Relation(
    oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 25), Relation.Column(name: "a", type: 114),
    ])

  /// A row of which each `?` is a byte that is no text.
  private static func insert(_ id: String, _ a: String) -> [UInt8] {
    ServerBytes.insert(16_384, [.text(id), .text(a)]).map { $0 == 0x3F ? 0xFF : $0 }
  }

  private func feed(
    _ policy: InvalidUTF8?, _ relation: Relation, _ payloads: [[UInt8]]
  ) throws -> CapturingPipeline {
    let pipeline = CapturingPipeline(invalidUTF8: policy)
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120))
    }
    return pipeline
  }

  @Test("what is no text becomes a dead letter, where there is a topic for it")
  func deadLetters() throws {
    let pipeline = CapturingPipeline(invalidUTF8: .stop, deadLetterTopic: 9)
    let message = ServerBytes.logical(transactional: true, at: LSN(0x90), prefix: "p?", [1])
    try pipeline.feed { server in
      server.begin(LSN(0x100), xid: 1)
      server.relation(Self.table)
      for payload in [
        Self.insert("k", #"{"x":"?"}"#), Self.insert("k?", "[1]"), Self.insert("é", "[1]"),
        message.map { $0 == 0x3F ? 0xFF : $0 },
      ] { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120))
    }
    let letters = try pipeline.sink.values.map { try JSON($0) }.filter { $0["Cause"] != nil }
    #expect(letters.map { $0["Cause"]?.string } == ["not_text", "not_text", "not_text"])
    #expect(letters.map { $0["Table"]?.string } == ["public.t", "public.t", "logical messages"])
    #expect(letters[0]["Key"]?.string == #"{"id":"k"}"# && letters[1]["Key"]?.string == nil)
    #expect(letters[0]["Reason"]?.string?.contains("column a of public.t") == true)
    #expect(letters.map { $0["Ordinal"]?.int } == [0, 1, 3])
    #expect(pipeline.sink.keys[2] == #"{"id":"é"}"# && pipeline.confirmed == LSN(0x120))
  }

  @Test("B19 keys and values by the policy")
  func policies() throws {
    let rows = [Self.insert("k?", #"{"x":"?"}"#), Self.insert("é", "[1]")]
    let replaced = try feed(.replace, rows)
    #expect(replaced.sink.keys == [#"{"id":"k\#u{FFFD}"}"#, #"{"id":"é"}"#])
    #expect(
      replaced.events.first?.hasPrefix(#"insert {"id":"k\#u{FFFD}","a":{"x":"\#u{FFFD}"}}"#) == true
    )
    let encoded = try feed(.base64, rows)
    #expect(encoded.sink.keys == [#"{"id":"a/8="}"#, #"{"id":"é"}"#])
    #expect(encoded.events.first?.hasPrefix(#"insert {"id":"a/8=","a":"eyJ4Ijoi/yJ9"}"#) == true)
    #expect(encoded.confirmed == LSN(0x120))
  }

  @Test("B19 the stop names table, column, LSN and remedy")
  func stop() throws {
    let pipeline = try feed(.stop, [Self.insert("1", "[1]"), Self.insert("2", #""?""#)])
    let error = #expect(throws: StreamerError.self) { try pipeline.pipeline.lanes[0].poll() }
    #expect(
      error?.why.hasPrefix("column a of public.t at LSN 0/90, transaction 0/100, holds") == true)
    #expect(
      error?.hint.hasPrefix(#"Set invalidUTF8 = "replace" or "base64" in [source.db]"#) == true)
    #expect(pipeline.sink.values.count == 1 && pipeline.confirmed == .zero)
  }

  @Test("U17 a name that is no text")
  func names() throws {
    let table = Relation(
      oid: 16_384, schema: "public", name: "t\u{FFFD}", replicaIdentity: .primaryKey,
      columns: Self.table.columns)
    let rows = [Self.insert("1", "[1]")]
    let stopped = try feed(.stop, table, rows)
    let error = #expect(throws: StreamerError.self) { try stopped.pipeline.lanes[0].poll() }
    #expect(error?.why.hasPrefix("a name of table public.t\u{FFFD}") == true)
    #expect(try feed(.replace, table, rows).sink.values.count == 1)
    #expect(try feed(nil, table, rows).sink.values.count == 1, "a database in UTF8 has checked it")
  }

  @Test("B19 the prefix of a message by the policy")
  func messages() throws {
    for (policy, prefix) in [(.replace, "p\u{FFFD}"), (.base64, "cP8="), (.stop, nil)]
      as [(InvalidUTF8, String?)]
    {
      let message = ServerBytes.logical(
        transactional: true, at: LSN(0x90), prefix: "p?", [1]
      ).map { $0 == 0x3F ? 0xFF : $0 }
      let pipeline = try feed(policy, [message])
      let found = pipeline.sink.values.first
      #expect(
        prefix.map { found?.contains("\"Prefix\":\"\($0)\"") } == (prefix == nil ? nil : true))
      let hasFailed = pipeline.pipeline.lanes[0].hasFailed
      #expect(hasFailed == (prefix == nil))
    }
  }

  private func feed(_ policy: InvalidUTF8?, _ payloads: [[UInt8]]) throws -> CapturingPipeline {
    try feed(policy, Self.table, payloads)
  }
}
