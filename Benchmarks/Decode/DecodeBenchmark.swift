import Glibc
import PGWire
import Support

/// Frames, decodes and walks streams that lie in memory, and prints gigabytes a second of this
/// thread's processor time: what else the machine does counts little.
///
/// The bytes lie in memory and in no cache, unlike those just received. Framing alone then may be
/// the slowest: it jumps from header to header, and each jump waits for memory.
enum DecodeBenchmark {
  /// How far a pass goes.
  enum Depth: String, CaseIterable {
    case framing
    case decoding = "+ decoding"
    case walking = "+ every column"
  }

  /// The least framing and decoding must reach, in GB/s.
  static let bar = 1.0
  private static let size = 256 << 20
  private static let rounds = 5

  /// Whether decoding reaches the bar on every stream; prints what was measured.
  static func run() -> Bool {
    do {
      let streams = [
        ("recorded streams", try fixtures()), ("inserts of seven columns", inserts()),
      ]
      var isFast = true
      for (name, stream) in streams {
        let bytes = repeated(stream)
        print("\(name): \(bytes.count >> 20) MiB, the best of \(rounds) rounds")
        for depth in Depth.allCases {
          let (rate, messages) = try measure(bytes, depth)
          let million = Double(messages) / Double(bytes.count) * rate * 1000
          print(
            "  \(pad(depth.rawValue)) \(text(rate)) GB/s, \(text(million)) M messages/s of "
              + "\(bytes.count / messages) bytes")
          if depth == .decoding, rate < bar { isFast = false }
        }
      }
      print(isFast ? "decoding reaches \(bar) GB/s" : "FAILED: decoding is below \(bar) GB/s")
      return isFast
    } catch {
      print("FAILED: \(error)")
      return false
    }
  }

  private static func measure(_ bytes: [UInt8], _ depth: Depth) throws -> (Double, Int) {
    var best = Double.infinity
    var messages = 0
    for _ in 0..<rounds {
      let start = processorTime()
      messages = try pass(unsafe bytes.span.bytes, depth).messages
      best = min(best, processorTime() - start)
    }
    return (Double(bytes.count) / best / 1e9, messages)
  }

  /// What a pass counted, so that none of its work can be left out.
  private struct Count {
    var messages = 0
    var changes = 0
    var bytes = 0
  }

  private static func pass(_ window: RawSpan, _ depth: Depth) throws(DecodingError) -> Count {
    var count = Count()
    switch depth {
    case .framing:
      try eachMessage(window) { tag, body throws(DecodingError) in
        count.messages += 1
        count.bytes &+= body.byteCount
      }
    case .decoding:
      var decoder = PgOutputDecoder()
      try eachMessage(window) { tag, body throws(DecodingError) in
        count.messages += 1
        guard tag == .copyData else { return }
        guard case .xLogData(_, _, let payload) = try ReplicationMessage(body) else { return }
        if case .change(let change) = try decoder.decode(payload) {
          count.changes += change.new.count
        }
      }
    case .walking:
      var decoder = PgOutputDecoder()
      try eachMessage(window) { tag, body throws(DecodingError) in
        count.messages += 1
        guard tag == .copyData else { return }
        guard case .xLogData(_, _, let payload) = try ReplicationMessage(body) else { return }
        if case .change(let change) = try decoder.decode(payload) {
          count.bytes &+= walk(change.old) &+ walk(change.new)
        }
      }
    }
    precondition(count.messages > 0, "a stream has messages")
    return count
  }

  @inline(__always)
  private static func eachMessage(
    _ window: RawSpan, _ body: (MessageTag, RawSpan) throws(DecodingError) -> Void
  ) throws(DecodingError) {
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: offset) {
      try body(frame.tag, window.extracting(frame.body))
      offset = frame.end
    }
  }

  @inline(__always)
  private static func walk(_ tuple: borrowing TupleData) -> Int {
    var sum = 0
    var cursor = tuple.columns
    for _ in 0..<tuple.count {
      switch cursor.next() {
      case .null, .unchangedToast: sum &+= 1
      case .text(let bytes), .binary(let bytes):
        sum &+= bytes.byteCount
        if bytes.byteCount > 0 { sum &+= Int(bytes[0]) }
      }
    }
    return sum
  }

  // MARK: - Streams

  /// Everything that was recorded from servers, one recording after the other.
  ///
  /// They are read as one connection's, so those that end inside a chunk are left out.
  private static func fixtures() throws -> [UInt8] {
    var all: [UInt8] = []
    for fixture in Fixture.all {
      let bytes = try fixture.bytes()
      if try endsOutsideChunks(unsafe bytes.span.bytes) { all += bytes }
    }
    guard !all.isEmpty else { throw SupportError("there are no recordings in Fixtures") }
    return all
  }

  private static func endsOutsideChunks(_ window: RawSpan) throws(DecodingError) -> Bool {
    var decoder = PgOutputDecoder()
    try eachMessage(window) { tag, body throws(DecodingError) in
      guard tag == .copyData else { return }
      guard case .xLogData(_, _, let payload) = try ReplicationMessage(body) else { return }
      _ = try decoder.decode(payload)
    }
    return decoder.stream == nil
  }

  /// Inserts into a table of the usual kind, of the shape in `make bench`.
  private static func inserts() -> [UInt8] {
    var server = ServerBytes()
    for id in 1_000_000..<1_001_000 {
      server.xLogData(
        LSN(UInt64(id)),
        ServerBytes.insert(
          16_384,
          [
            .text("\(id)"), .text("\(id % 1000)"),
            .text("some text of a usual length, row \(id)"), .text("12345.67"),
            .text("2026-11-23 08:15:50.123456+00"), .text("t"),
            .text(#"{"name": "value", "n": 1}"#),
          ]))
    }
    return server.bytes
  }

  private static func repeated(_ stream: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size + stream.count)
    while bytes.count < size { bytes += stream }
    return bytes
  }

  // MARK: - Figures

  private static func processorTime() -> Double {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func text(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
  }

  private static func pad(_ text: String) -> String {
    text + String(repeating: " ", count: max(0, 14 - text.count))
  }
}
