import Support
import Testing

@testable import PGWire

/// A change that is too large to be held is read through, and what is left of it tells what it was.
@Suite struct AbridgementTests {
  private static let small = ServerBytes.insert(1, [.text("1"), .null])

  /// The frame of a payload.
  private static func frame(_ payload: [UInt8]) -> [UInt8] {
    var bytes = ServerBytes()
    bytes.xLogData(LSN(0x90), payload)
    return bytes.bytes
  }

  /// What comes of a frame that is taken in pieces of so many bytes.
  private static func abridged(
    _ frame: [UInt8], pieces: Int, isInChunk: Bool = false
  ) throws -> [UInt8] {
    var taken = 0
    let start = Abridgement(
      unsafe frame.span.bytes, isInChunk: isInChunk,
      bounds: Abridgement.Bounds(value: 100, whole: 10_000), taken: &taken)
    guard var change = start else { throw SupportError("it is no change") }
    var end = taken
    while !change.isComplete {
      end = min(frame.count, end + pieces)
      taken += try change.take(unsafe frame[taken..<end].span.bytes)
    }
    #expect(taken == frame.count)
    return change.message.bytes.array
  }

  /// The columns of what is left of a row, unchanged ones as "-".
  private static func columns(_ tuple: borrowing TupleData) -> [String] {
    (0..<tuple.count).map { index in
      switch tuple.value(at: index) {
      case .text(let text): text.text
      case .null: "null"
      case .unchangedToast: "-"
      case .binary: "binary"
      }
    }
  }

  /// The values of the row that a window begins with, and where it ends; nil for none.
  private static func read(
    _ window: RawSpan, _ decoder: inout PgOutputDecoder, original: [UInt8]
  ) throws -> (String, Int)? {
    guard case .complete(let frame) = try MessageFrame.scan(window),
      case .xLogData(let lsn, _, let payload) = try ReplicationMessage(
        window.extracting(frame.body))
    else { return nil }
    #expect(lsn == LSN(0x90))
    switch try decoder.decode(payload) {
    case .change(let change): return (columns(change.new).joined(separator: " "), frame.end)
    case .abridged(let abridged):
      #expect(abridged.size == original.count)
      let digest = abridged.digest.array
      #expect(digest == SHA256.digest(of: Array("7\(long)z".utf8)))
      guard case .change(let change) = try decoder.decode(abridged.message) else { return nil }
      return (columns(change.new).joined(separator: " "), frame.end)
    default: return nil
    }
  }

  private static let long = String(repeating: "v", count: 8 << 20)

  @Test func theWindowDoesNotGrow() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client, capacity: 128 << 10)
    let payload = ServerBytes.insert(1, [.text("7"), .text(Self.long), .text("z")])
    let bytes = Self.frame(Self.small) + Self.frame(payload) + Self.frame(Self.small)
    let server = ends.server
    let thread = Thread { SocketPair.send(bytes, to: server) }
    var decoder = PgOutputDecoder()
    var found: [String] = []
    while found.count < 3 {
      if let (text, end) = try Self.read(stream.received, &decoder, original: payload) {
        found.append(text)
        stream.consume(end)
      } else {
        let abridging = ReplicationStream.Abridging(beyond: 1 << 20, isInChunk: false)
        _ = try stream.receive(now: .now, abridging: abridging)
      }
      let size = stream.input.count + stream.input.room
      #expect(size == 128 << 10)
    }
    thread.join()
    #expect(found == ["1 null", "7 - z", "1 null"])
  }

  @Test func inAnyPiecesTheSame() throws {
    let text = String(repeating: "t", count: 500)
    let old: [ServerBytes.Cell] = [.text("1"), .text(text)]
    let new: [ServerBytes.Cell] = [.text("2"), .null, .text(text), .text("")]
    let payloads = [
      ServerBytes.insert(1, new), ServerBytes.update(1, old: (.key, old), new),
      ServerBytes.delete(1, .full, old),
      ServerBytes.logical(
        transactional: true, at: LSN(0x50), prefix: text, Array(text.utf8)),
    ]
    for payload in payloads {
      for (payload, isInChunk) in [(payload, false), (ServerBytes.streamed(payload, 9), true)] {
        let frame = Self.frame(payload)
        let whole = try Self.abridged(frame, pieces: frame.count, isInChunk: isInChunk)
        #expect(whole.count < frame.count)
        for pieces in [1, 2, 3, 5, 7, 64] {
          let same = try Self.abridged(frame, pieces: pieces, isInChunk: isInChunk)
          #expect(same == whole)
        }
      }
    }
  }

  /// Bytes that are no message end the stream, as they do where it is held.
  @Test func malformedOnes() throws {
    let text = String(repeating: "t", count: 500)
    let frame = Self.frame(ServerBytes.insert(1, [.text("2"), .text(text), .text(text)]))
    // A value's length, and the number of columns.
    for place in [frame.count - 505 + 1, frame.count - 505 + 3, 31 + 5 + 1] {
      var wrong = frame
      wrong[place] ^= 0x40
      #expect(throws: DecodingError.self) { try Self.abridged(wrong, pieces: 50) }
    }
  }
}
