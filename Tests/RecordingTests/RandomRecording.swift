import PGWire
import Recording
import Support

/// A recording made of random entries, as a list and as a file's bytes.
struct RandomRecording {
  let header: RecordingHeader
  private(set) var entries: [(content: RecordingEntry.Content, bytes: [UInt8])] = []
  private(set) var bytes: [UInt8] = []

  /// `size` bounds the bytes of one entry.
  init(
    _ count: Int, compression: RecordingEncoder.Compression, size: Int, isEnded: Bool = true,
    using random: inout SeededRandom
  ) {
    header = RecordingHeader(
      program: "test \(count)", startTime: Int64.random(in: 0...(1 << 50), using: &random),
      systemIdentifier: "7301234567890123456", database: "größe", slot: "slot",
      publications: (0..<Int.random(in: 0...3, using: &random)).map { "p\($0)" })
    var now = ContinuousClock.now
    var encoder = RecordingEncoder(header, compression: compression, now: now)
    var isConnected = false
    for _ in 0..<count {
      now += .microseconds(Int.random(in: 0...5000, using: &random))
      if !isConnected {
        let connection = Self.connection(using: &random)
        encoder.connected(connection, now: now)
        entries.append((.connected(connection), []))
        isConnected = true
        continue
      }
      switch Int.random(in: 0...9, using: &random) {
      case 0:
        encoder.disconnected("the server has gone", now: now)
        entries.append((.disconnected("the server has gone"), []))
        isConnected = false
      case 1, 2:
        let relation = Self.relation(using: &random)
        try? encoder.relation(relation, now: now)
        entries.append((.relation(relation), []))
      default:
        let piece = Self.piece(size, using: &random)
        encoder.received(unsafe piece.span.bytes, now: now)
        entries.append((.received(piece.count), piece))
      }
      if Int.random(in: 0...20, using: &random) == 0 { encoder.endBlock() }
    }
    if isEnded { encoder.end(messages: 3, transactions: 2, now: now) } else { encoder.endBlock() }
    bytes = encoder.output.bytes
  }

  /// Some runs, some noise.
  private static func piece(_ size: Int, using random: inout SeededRandom) -> [UInt8] {
    let count = Int.random(in: 1...size, using: &random)
    if Bool.random(using: &random) {
      return [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: count)
    }
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  static func connection(using random: inout SeededRandom) -> RecordedConnection {
    RecordedConnection(
      serverVersion: "15.18 (Debian 15.18-0+deb12u1)",
      timeline: UInt32.random(in: 1...9, using: &random), host: "127.0.0.1",
      startLSN: LSN(UInt64.random(in: 0...UInt64.max, using: &random)),
      command: "START_REPLICATION SLOT \"slot\" LOGICAL 0/0 (\"proto_version\" '1')",
      parameters: [
        .init(name: "client_encoding", value: "UTF8"), .init(name: "TimeZone", value: "UTC"),
      ])
  }

  static func relation(using random: inout SeededRandom) -> RecordedRelation {
    let columns = (0..<Int.random(in: 0...4, using: &random)).map { number in
      Relation.Column(
        name: "c\(number)", isKey: Bool.random(using: &random),
        type: UInt32.random(in: 1...UInt32.max, using: &random),
        modifier: Int32.random(in: -1...100, using: &random))
    }
    let identities: [Relation.ReplicaIdentity] = [.primaryKey, .nothing, .full, .index]
    let kinds: [TypeDescription.Kind] = [
      .base(.userDefined), .array(element: 7, delimiter: UInt8(ascii: ";")),
      .composite([.init(name: "a", type: 23), .init(name: "b \"c\"", type: 25)]), .composite([]),
      .domain(base: 23), .enumeration, .range(subtype: 20), .multirange(range: 1),
    ]
    let types = (0..<Int.random(in: 0...8, using: &random)).map { number in
      TypeDescription(
        oid: UInt32(20_000 + number), schema: "public", name: "t\(number)",
        kind: kinds[number % kinds.count])
    }
    return RecordedRelation(
      relation: Relation(
        oid: UInt32.random(in: 1...UInt32.max, using: &random), schema: "Odd Schema", name: "tä",
        replicaIdentity: identities.randomElement(using: &random) ?? .full, columns: columns),
      catalogKey: columns.prefix(1).map(\.name), types: types)
  }
}

extension RawSpan {
  /// A copy.
  var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}

/// What a decoder makes of a file's bytes that are given to it piece by piece.
struct DecodedRecording {
  private(set) var header: RecordingHeader?
  private(set) var entries: [(content: RecordingEntry.Content, bytes: [UInt8])] = []
  private(set) var times: [Duration] = []
  /// Whether the end marker was read and nothing follows.
  private(set) var isComplete = false
  private(set) var error: RecordingError?
  /// Where the last whole block ends.
  private(set) var offset = 0

  init(_ file: [UInt8], pieces: Int = .max) {
    var decoder = RecordingDecoder()
    var given = 0
    do throws(RecordingError) {
      decoding: while true {
        switch try decoder.next() {
        case .header(let header): self.header = header
        case .entry(let entry):
          entries.append((entry.content, decoder.received.bytes))
          times.append(entry.time)
        case .needsBytes(let count):
          precondition(count > 0, "something is missing")
          guard given < file.count else { break decoding }
          given += Self.give(file[given...].prefix(pieces), to: &decoder)
        case .end:
          guard given < file.count else {
            isComplete = true
            break decoding
          }
          given += Self.give(file[given...].prefix(pieces), to: &decoder)
        }
      }
    } catch { self.error = error }
    offset = decoder.offset
  }

  private static func give(_ bytes: ArraySlice<UInt8>, to decoder: inout RecordingDecoder) -> Int {
    unsafe decoder.withFreeSpace(minimum: 1) { room in
      let count = min(room.count, bytes.count)
      for (index, byte) in bytes.prefix(count).enumerated() { unsafe room[index] = byte }
      return count
    }
  }

  /// The stream's bytes, over all entries.
  var stream: [UInt8] { entries.flatMap(\.bytes) }
}
