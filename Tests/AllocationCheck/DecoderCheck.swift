import AllocationCounter
import PGWire
import Support

/// Counts what framing and decoding allocate for the messages of the row path.
///
/// Relations, types, origins and truncates are no part of it: they own what they name.
enum DecoderCheck {
  /// Whether it is nothing; prints what was found.
  static func run() -> Bool {
    let stream = stream()
    do throws(DecodingError) {
      // The first time, Swift sets up what it needs of its own.
      _ = try read(unsafe stream.span.bytes)
      allocation_counter_start()
      let messages = try read(unsafe stream.span.bytes)
      let allocations = allocation_counter_stop()
      print("\(allocations) allocations for decoding \(messages) messages")
      return allocations == 0 && messages > 10_000
    } catch {
      print("FAILED: \(error)")
      return false
    }
  }

  private static func read(_ window: RawSpan) throws(DecodingError) -> Int {
    var decoder = PgOutputDecoder()
    var messages = 0
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: offset) {
      offset = frame.end
      messages += 1
      switch try ReplicationMessage(window.extracting(frame.body)) {
      case .keepalive: break
      case .xLogData(_, _, let payload):
        switch try decoder.decode(payload) {
        case .change(let change): messages += walk(change.old) + walk(change.new)
        default: break
        }
      }
    }
    return messages
  }

  /// Zero; it looks at every value.
  private static func walk(_ tuple: borrowing TupleData) -> Int {
    var cursor = tuple.columns
    var most = 0
    for _ in 0..<tuple.count {
      switch cursor.next() {
      case .null, .unchangedToast: break
      case .text(let bytes), .binary(let bytes): most = max(most, bytes.byteCount)
      }
    }
    return most >> 32
  }

  private static func stream() -> [UInt8] {
    var server = ServerBytes()
    let row: [ServerBytes.Cell] = [.text("1"), .null, .unchanged, .text("a value, \"quoted\"")]
    for number in 1...2_000 {
      let commit = LSN(UInt64(number) << 12)
      server.begin(commit, xid: UInt32(number))
      server.xLogData(commit, ServerBytes.insert(16_384, row))
      server.xLogData(commit, ServerBytes.update(16_384, row))
      server.xLogData(commit, ServerBytes.update(16_384, old: (.key, row), row))
      server.xLogData(commit, ServerBytes.delete(16_384, .full, row))
      server.xLogData(
        commit, ServerBytes.logical(transactional: true, at: commit, prefix: "prefix", [1, 2, 3]))
      server.commit(commit, end: LSN(commit.value + 8))
      server.keepalive(walEnd: commit)
    }
    return server.bytes
  }
}
