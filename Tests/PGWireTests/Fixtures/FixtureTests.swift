import PGWire
import Support
import Testing

/// Every recording, replayed in every way in which bytes can arrive or be damaged.
@Suite struct FixtureTests {
  @Test func everyScenarioIsRecorded() {
    #expect(Fixture.all.count(where: { $0.version == 15 }) == FixtureScenario.all.count)
  }

  @Test(arguments: Fixture.all)
  func traceIsAsRecorded(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    let trace = try MessageTrace.text(of: unsafe bytes.span.bytes)
    #expect(trace == (try fixture.trace()))
  }

  /// Through the receive buffer, one byte at a time, consumed message by message.
  @Test(arguments: Fixture.all)
  func byteByByte(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    var input = InputBuffer(capacity: 16)
    var trace = ""
    for byte in bytes {
      _ = unsafe input.withFreeSpace(minimum: 1) { room in
        unsafe room[0] = byte
        return 1
      }
      guard let (line, end) = try Self.firstLine(input.readable) else { continue }
      trace += line
      input.consume(end)
    }
    let rest = input.count
    #expect(rest == 0)
    #expect(trace == (try fixture.trace()))
  }

  private static func firstLine(_ window: RawSpan) throws -> (line: String, end: Int)? {
    guard case .complete(let frame) = try MessageFrame.scan(window) else { return nil }
    return (try MessageTrace.line(frame.tag, window.extracting(frame.body)) + "\n", frame.end)
  }

  /// Whatever the window ends with: the messages before are whole, the cut one asks for more, and
  /// never for more than is missing.
  @Test(arguments: Fixture.all)
  func everySplitPoint(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    for frame in try fixture.frames(bytes) {
      let start = frame.body.lowerBound - MessageFrame.headerSize
      for split in start..<frame.end {
        let part = Array(bytes[start..<split])
        guard case .incomplete(let missing) = try MessageFrame.scan(unsafe part.span.bytes) else {
          Issue.record("\(fixture): a message of \(frame.end - start) bytes is whole at \(split)")
          return
        }
        #expect(missing > 0 && split + missing <= frame.end)
      }
    }
  }

  /// A message that lacks its last bytes is an error, typed and never a trap.
  @Test(arguments: Fixture.all)
  func everyTruncation(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    for frame in try fixture.frames(bytes) where frame.tag == .copyData {
      let body = Array(bytes[frame.body])
      for length in 0..<body.count {
        let part = Array(body[..<length])
        #expect(throws: DecodingError.self, "\(fixture): \(length) of \(body.count) bytes") {
          try MessageTrace.line(frame.tag, unsafe part.span.bytes)
        }
      }
    }
  }

  /// Damage may be noticed or not; it never traps, and what is decoded can be walked.
  @Test(arguments: Fixture.all)
  func everyByteDamaged(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    for frame in try fixture.frames(bytes) {
      var body = Array(bytes[frame.body])
      for index in body.indices {
        let original = body[index]
        for damaged in [0, 0xFF, original ^ 0x80, original &+ 1] as [UInt8] {
          body[index] = damaged
          if frame.tag == .copyData {
            Self.walk(unsafe body.span.bytes)
          } else {
            _ = try? MessageTrace.line(frame.tag, unsafe body.span.bytes)
          }
        }
        body[index] = original
      }
    }
  }

  /// Decodes a CopyData message if it is one, and touches the ends of every value.
  private static func walk(_ body: RawSpan) {
    var decoder = PgOutputDecoder()
    guard case .xLogData(_, _, let payload) = try? ReplicationMessage(body),
      case .change(let change) = try? decoder.decode(payload)
    else { return }
    touch(change.old)
    touch(change.new)
  }

  private static func touch(_ tuple: borrowing TupleData) {
    var cursor = tuple.columns
    for _ in 0..<tuple.count {
      switch cursor.next() {
      case .null, .unchangedToast: break
      case .text(let bytes), .binary(let bytes):
        if bytes.byteCount > 0 { _ = bytes[0] &+ bytes[bytes.byteCount - 1] }
      }
    }
  }

  /// Spans and a reader of plain arrays see the same values.
  @Test(arguments: Fixture.all)
  func imagesAgreeWithAModel(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    for frame in try fixture.frames(bytes) where frame.tag == .copyData {
      let body = Array(bytes[frame.body])
      guard body.first == UInt8(ascii: "w") else { continue }
      let payload = Array(body[25...])
      guard let expected = ChangeModel(payload) else { continue }
      var decoder = PgOutputDecoder()
      guard case .change(let change) = try decoder.decode(unsafe payload.span.bytes)
      else {
        Issue.record("\(fixture): the decoder sees no change in \(payload)")
        return
      }
      let images = ChangeModel(change)
      #expect(images == expected)
    }
  }

  /// Tuples of random columns, also binary ones, which text streams lack.
  @Test func randomImagesAgreeWithAModel() throws {
    var random = SeededRandom(#function)
    for _ in 0..<500 {
      let count = Int.random(in: 0...20, using: &random)
      var payload = [UInt8(ascii: "I"), 0, 0, 0, 1, UInt8(ascii: "N"), 0, UInt8(count)]
      for _ in 0..<count {
        let kind = "nutb".utf8.randomElement(using: &random) ?? 0
        payload.append(kind)
        guard kind == UInt8(ascii: "t") || kind == UInt8(ascii: "b") else { continue }
        let length = Int.random(in: 0...300, using: &random)
        payload += [0, 0, UInt8(length >> 8), UInt8(length & 0xFF)]
        payload += (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
      let expected = try #require(ChangeModel(payload))
      var decoder = PgOutputDecoder()
      guard case .change(let change) = try decoder.decode(unsafe payload.span.bytes)
      else {
        Issue.record("the decoder sees no change")
        return
      }
      let images = ChangeModel(change)
      #expect(images == expected)
    }
  }
}
