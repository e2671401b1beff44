/// Follows a server to the end of the command that streams, without keeping what it says.
///
/// After our CopyDone come the CopyData that are on their way (the whole rest of a transaction, which
/// a walsender does not interrupt), CopyDone, CommandComplete once or twice, and ReadyForQuery, behind
/// which the server says nothing unasked. CopyData may come behind CopyDone as well.
struct CommandEnding: Sendable {
  /// Whether the server is ready for the next command.
  private(set) var isOver = false
  /// The header of the message that is coming, as far as it is there.
  private var header: [UInt8] = []
  /// How many bytes of the message's body are still to come; nil while the header is incomplete.
  private var rest: Int?

  /// Follows a stream that begins with a message's start, or with the last `rest` bytes of one.
  init(rest: Int = 0) { self.rest = rest > 0 ? rest : nil }

  /// Takes the next bytes of the stream.
  mutating func take(_ bytes: RawSpan) throws(DecodingError) {
    var offset = 0
    while !isOver {
      if let rest {
        let skipped = min(rest, bytes.byteCount - offset)
        offset += skipped
        guard skipped == rest else {
          self.rest = rest - skipped
          return
        }
        isOver = header.first == MessageTag.readyForQuery.rawValue
        header.removeAll(keepingCapacity: true)
        self.rest = nil
      } else {
        guard offset < bytes.byteCount else { return }
        header.append(bytes[offset])
        offset += 1
        if header.count == MessageFrame.headerSize { rest = try bodyCount() }
      }
    }
  }

  private func bodyCount() throws(DecodingError) -> Int {
    let length = header.dropFirst().reduce(0) { $0 << 8 | Int($1) }
    guard length >= 4, length <= MessageFrame.defaultLimit else {
      throw DecodingError(.badLength(length), at: 1)
    }
    return length - 4
  }
}
