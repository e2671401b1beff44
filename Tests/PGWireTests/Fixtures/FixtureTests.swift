import PGWire
import Support
import Testing

/// Every recording, replayed in every way in which bytes can arrive or be damaged.
@Suite struct FixtureTests {
  @Test(arguments: FixtureRecording.versions)
  func everyScenarioIsRecorded(_ version: Int) {
    let scenarios = FixtureScenario.all.filter { $0.since <= version }.map(\.name)
    let recorded = Fixture.all.filter { $0.version == version }.map(\.scenario)
    #expect(recorded.sorted() == scenarios.sorted())
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
    var decoder = PgOutputDecoder()
    var trace = ""
    for byte in bytes {
      _ = unsafe input.withFreeSpace(minimum: 1) { room in
        unsafe room[0] = byte
        return 1
      }
      guard let (line, end) = try Self.firstLine(input.readable, &decoder) else { continue }
      trace += line
      input.consume(end)
    }
    let rest = input.count
    #expect(rest == 0)
    #expect(trace == (try fixture.trace()))
  }

  private static func firstLine(
    _ window: RawSpan, _ decoder: inout PgOutputDecoder
  ) throws -> (line: String, end: Int)? {
    guard case .complete(let frame) = try MessageFrame.scan(window) else { return nil }
    let line = try MessageTrace.line(frame.tag, window.extracting(frame.body), &decoder)
    return (line + "\n", frame.end)
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
        guard missing > 0, split + missing <= frame.end else {
          Issue.record("\(fixture): \(missing) bytes are asked for at \(split)")
          return
        }
      }
    }
  }

  /// A message that lacks its last bytes is an error, typed and never a trap.
  @Test(arguments: Fixture.all)
  func everyTruncation(_ fixture: Fixture) throws {
    try eachCopyData(fixture) { body, decoder in
      for length in 0..<body.count where !Self.isAbortWithoutPosition(body, length) {
        let part = Array(body[..<length])
        do throws(DecodingError) {
          var decoder = decoder
          let line = try MessageTrace.line(.copyData, unsafe part.span.bytes, &decoder)
          Issue.record("\(fixture): \(length) of \(body.count) bytes are \(line)")
          return
        } catch {}
      }
    }
  }

  /// Stream Abort's last two fields are there or not: the one message whose beginning is one, too.
  private static func isAbortWithoutPosition(_ body: [UInt8], _ length: Int) -> Bool {
    length == 34 && body[0] == UInt8(ascii: "w") && body[25] == UInt8(ascii: "A")
  }

  /// Damage may be noticed or not; it never traps, and what is decoded can be walked.
  @Test(arguments: Fixture.all)
  func everyByteDamaged(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    for frame in try fixture.frames(bytes) where frame.tag != .copyData {
      var body = Array(bytes[frame.body])
      Self.damage(&body) { body in _ = try? MessageTrace.line(frame.tag, body) }
    }
    try eachCopyData(fixture) { body, decoder in
      var body = body
      Self.damage(&body) { Self.walk($0, decoder) }
    }
  }

  private static func damage(_ body: inout [UInt8], _ read: (RawSpan) -> Void) {
    for index in body.indices {
      let original = body[index]
      for damaged in [0, 0xFF, original ^ 0x80, original &+ 1] as [UInt8] {
        body[index] = damaged
        read(unsafe body.span.bytes)
      }
      body[index] = original
    }
  }

  /// Decodes a CopyData message if it is one, and touches the ends of every value.
  private static func walk(_ body: RawSpan, _ decoder: PgOutputDecoder) {
    var decoder = decoder
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
    try eachCopyData(fixture) { body, decoder in
      guard body.first == UInt8(ascii: "w") else { return }
      var payload = Array(body[25...])
      let message = payload
      // Inside a stream the number of the subtransaction follows the tag.
      if decoder.stream != nil, payload.count > 5 { payload.removeSubrange(1..<5) }
      guard let expected = ChangeModel(payload) else { return }
      var decoder = decoder
      guard case .change(let change) = try decoder.decode(unsafe message.span.bytes) else {
        Issue.record("\(fixture): the decoder sees no change in \(message)")
        return
      }
      let images = ChangeModel(change)
      #expect(images == expected)
    }
  }

  /// Each CopyData message, with a decoder that stands before it.
  private func eachCopyData(
    _ fixture: Fixture, _ body: ([UInt8], PgOutputDecoder) throws -> Void
  ) throws {
    let bytes = try fixture.bytes()
    var decoder = PgOutputDecoder()
    for frame in try fixture.frames(bytes) where frame.tag == .copyData {
      let message = Array(bytes[frame.body])
      try body(message, decoder)
      if case .xLogData(_, _, let payload) = try ReplicationMessage(unsafe message.span.bytes) {
        _ = try decoder.decode(payload)
      }
    }
  }

  /// Tuples of random columns, also binary ones.
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
      guard case .change(let change) = try decoder.decode(unsafe payload.span.bytes) else {
        Issue.record("the decoder sees no change")
        return
      }
      let images = ChangeModel(change)
      #expect(images == expected)
    }
  }
}
