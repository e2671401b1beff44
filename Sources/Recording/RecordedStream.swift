public import PGWire

/// Joins the pieces of a recorded byte stream to whole messages.
public struct RecordedStream: ~Copyable {
  private var input = InputBuffer(capacity: 64 << 10)

  /// Makes the stream of a connection that has just begun.
  public init() {}

  /// What was appended and not consumed yet: whole messages, and the beginning of one.
  public var window: RawSpan {
    @_lifetime(borrow self) get { input.readable }
  }

  /// Appends the bytes of a `received` entry.
  public mutating func append(_ bytes: RawSpan) {
    var taken = 0
    while taken < bytes.byteCount {
      taken += Self.copy(bytes.extracting(taken..<bytes.byteCount), into: &input)
    }
  }

  /// Drops the first `count` bytes of the window.
  public mutating func consume(_ count: Int) { input.consume(count) }

  /// Drops everything: the connection has ended.
  public mutating func removeAll() { input.consume(input.count) }

  /// Gives each whole message of the window to `body`, its tag and what follows its length, and
  /// consumes it.
  ///
  /// Throws ``DecodingError`` for bytes that cannot be framed.
  public mutating func takeMessages(
    _ body: (MessageTag, RawSpan) -> Void
  ) throws(DecodingError) {
    var consumed = 0
    while case .complete(let frame) = try MessageFrame.scan(input.readable, at: consumed) {
      body(frame.tag, input.readable.extracting(frame.body))
      consumed = frame.end
    }
    input.consume(consumed)
  }

  /// Copies as much as there is room for.
  private static func copy(_ bytes: RawSpan, into input: inout InputBuffer) -> Int {
    unsafe input.withFreeSpace(minimum: min(bytes.byteCount, 64 << 10)) { room in
      let count = min(room.count, bytes.byteCount)
      // SAFETY: count lies within both.
      unsafe bytes.withUnsafeBytes { source in
        unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
      }
      return count
    }
  }
}
