import PGWire

/// What stands before each kept message.
///
/// ```
/// Int32   length of the message
/// UInt64  the change's LSN; of a Relation message, which has none, its number
/// Byten   the message as it came
/// ```
/// Only this process reads it, from memory or from a file that nobody else sees.
struct KeptRecord: BitwiseCopyable {
  /// How many bytes stand before a message.
  static let headerSize = 12

  /// The message's length in bytes.
  let length: Int
  /// Its place.
  let place: UInt64

  /// Reads what stands at the start of `bytes`.
  init(_ bytes: RawSpan) {
    precondition(bytes.byteCount >= Self.headerSize, "a record is kept with its header")
    // SAFETY: checked above.
    let (length, place) = unsafe (
      bytes.unsafeLoadUnaligned(as: Int32.self),
      bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 4, as: UInt64.self)
    )
    self.length = Int(Int32(bigEndian: length))
    self.place = UInt64(bigEndian: place)
  }

  /// Appends a message and what stands before it.
  static func append(_ message: RawSpan, place: UInt64, to tail: inout ByteWriter) {
    tail.append(bigEndian: Int32(message.byteCount))
    tail.append(bigEndian: place)
    tail.append(message)
  }
}
