import PGWire

/// Buffers for elements that have to be freed of their escapes, one for each depth of nesting.
///
/// They are made at first use and kept; only types nested deeper than ``kept`` in text that is
/// escaped at each level allocate anew for each value.
struct ValueScratch: ~Copyable {
  /// How many buffers are kept.
  static let kept = 4
  /// Above this a buffer gives its memory back: one long value must not hold it for ever.
  static let capacityLimit = Limits.scratchBytes

  private var buffers = InlineArray<4, ByteWriter?> { _ in nil }
  /// Whether a row with fewer fields than its type has attributes is malformed; else it is one of
  /// the time before attributes were added.
  var isStrict = false
  /// How many buffers are out.
  var depth = 0

  /// An empty buffer for the next depth.
  mutating func take() -> ByteWriter {
    let index = depth
    depth += 1
    guard index < Self.kept else { return ByteWriter() }
    return buffers[index].take() ?? ByteWriter()
  }

  /// Gives the buffer taken last back.
  mutating func putBack(_ buffer: consuming ByteWriter) {
    depth -= 1
    guard depth < Self.kept else { return }
    buffer.removeAll()
    buffer.shrink(to: Self.capacityLimit)
    buffers[depth] = consume buffer
  }
}
