import PGWire

/// Framing: what a stream's messages are does not depend on how it is cut into reads.
enum FramingFuzz: FuzzTarget {
  static let name = "framing"
  private static let limit = 512

  static var seeds: [[UInt8]] {
    get throws { try Recordings.streams().map { [7] + $0.prefix(2_000) } }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    var cuts = Cuts(input.byte())
    let stream = input.all()
    let whole = messages(of: stream)
    let cut = try messages(of: stream, cuts: &cuts)
    try require(
      whole == cut, "\(stream.count) bytes frame as \(whole) whole and as \(cut) in parts")
  }

  /// Every message of the bytes, and how they end.
  private static func messages(of stream: [UInt8]) -> [String] {
    var found: [String] = []
    var offset = 0
    while true {
      do throws(DecodingError) {
        switch try MessageFrame.scan(unsafe stream.span.bytes, at: offset, limit: limit) {
        case .incomplete: return found
        case .complete(let frame):
          found.append("\(frame.tag) \(Array(stream[frame.body]))")
          offset = frame.end
        }
      } catch {
        return found + ["\(error)"]
      }
    }
  }

  /// The same through the receive buffer, a few bytes at a time.
  private static func messages(
    of stream: [UInt8], cuts: inout Cuts
  ) throws(Violation) -> [String] {
    var input = InputBuffer(capacity: 16, limit: limit + 1)
    var found: [String] = []
    var rest = stream[...]
    // At least that many bytes have to come before anything changes.
    var missing = 0
    while true {
      switch look(input.readable) {
      case .message(let text, let end):
        try require(missing <= 0, "a message came \(missing) bytes too early")
        found.append(text)
        input.consume(end)
        missing = 0
        continue
      case .malformed(let text): return found + [text]
      case .incomplete(let count):
        try require(count > 0, "nothing is missing of a message that is not whole")
        missing = max(missing, count)
      }
      guard !rest.isEmpty else { return found }
      let part = rest.prefix(cuts.next(upTo: 64))
      let written = unsafe input.withFreeSpace(minimum: 1) { room in
        let count = min(part.count, room.count)
        for (index, byte) in part.prefix(count).enumerated() { unsafe room[index] = byte }
        return count
      }
      rest = rest.dropFirst(written)
      missing -= written
    }
  }

  private enum Look {
    case message(String, end: Int)
    case incomplete(Int)
    case malformed(String)
  }

  private static func look(_ window: RawSpan) -> Look {
    do throws(DecodingError) {
      switch try MessageFrame.scan(window, limit: limit) {
      case .incomplete(let missing): return .incomplete(missing)
      case .complete(let frame):
        return .message(
          "\(frame.tag) \(window.extracting(frame.body).copy)", end: frame.end)
      }
    } catch { return .malformed("\(error)") }
  }
}
