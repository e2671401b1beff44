import PGWire

/// Where something stands among the bytes that a plan has prepared.
///
/// Trivial, where a `Range` is not, so that a plan's columns are walked through without a retain.
struct PreparedRange: Hashable, Sendable, BitwiseCopyable {
  private let start: Int32
  private let end: Int32

  init(_ start: Int, _ end: Int) {
    self.start = Int32(start)
    self.end = Int32(end)
  }

  /// Its offsets.
  @inline(__always)
  var offsets: Range<Int> { Int(start)..<Int(end) }

  /// The same without its first `count` bytes.
  @inline(__always)
  func offsets(without count: Int) -> Range<Int> { Int(start) &+ count..<Int(end) }

  /// Whether nothing stands there.
  var isEmpty: Bool { start == end }
}

/// The bytes that a plan, or a format, has prepared: it owns them.
struct PreparedBytes: ~Copyable {
  private let bytes: ByteWriter

  /// Takes what was written.
  init(_ bytes: consuming ByteWriter) { self.bytes = bytes }

  /// How many they are.
  var count: Int { bytes.count }

  /// Appends all of them.
  func append(to json: inout ByteWriter) { json.append(bytes.bytes) }

  /// Appends a part that is mostly short.
  @inline(__always)
  func append(_ part: Range<Int>, to json: inout ByteWriter) {
    json.append(short: bytes.bytes(part))
  }
}
