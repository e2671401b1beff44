/// Where one backend message lies within received bytes.
///
///     Byte1   tag
///     Int32   length of what follows, these four bytes included
///     Byten   body
///
/// (manual: "Message Formats"). Framing does no I/O and keeps nothing: it looks at a window of
/// bytes and says what is there.
public struct MessageFrame: Hashable, Sendable {
  /// Tag and length of every message but the first.
  public static let headerSize = 5
  /// The largest length PostgreSQL itself sends: MaxAllocSize and the length field.
  public static let defaultLimit = 0x3FFF_FFFF + 4
  /// The largest length of messages that are never long, as in libpq: one beyond it means that the
  /// stream is no longer at a message's start.
  public static let shortLimit = 30_000

  /// What kind of message it is.
  public let tag: MessageTag
  /// Where its body lies in the window.
  public let body: Range<Int>

  /// Where the next message begins.
  @inlinable public var end: Int { body.upperBound }

  /// What a look at the window found.
  public enum Scan: Hashable, Sendable {
    /// A whole message.
    case complete(MessageFrame)
    /// A part of a message; at least that many more bytes have to be received.
    case incomplete(missing: Int)
  }

  /// Looks for a message that begins at `offset` of the window.
  ///
  /// `limit` bounds the length field, in bytes; a length below 4 or above it throws, and for tags
  /// that no long message has one above ``shortLimit``.
  @inlinable public static func scan(
    _ window: RawSpan, at offset: Int = 0, limit: Int = defaultLimit
  ) throws(DecodingError) -> Scan {
    let available = window.byteCount - offset
    guard available >= headerSize else { return .incomplete(missing: headerSize - available) }
    // SAFETY: the guard above leaves a header's five bytes from offset on.
    let tag = unsafe window.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
    let raw = unsafe window.unsafeLoadUnaligned(
      fromUncheckedByteOffset: offset &+ 1, as: Int32.self)
    let length = Int(Int32(bigEndian: raw))
    guard length >= 4, length <= limit else { throw DecodingError(.badLength(length), at: 1) }
    if length > shortLimit, !MessageTag(rawValue: tag).mayBeLong {
      throw DecodingError(.badLength(length), at: 1)
    }
    guard available > length else { return .incomplete(missing: length + 1 - available) }
    let body = (offset + headerSize)..<(offset + 1 + length)
    return .complete(MessageFrame(tag: MessageTag(rawValue: tag), body: body))
  }

  @usableFromInline init(tag: MessageTag, body: Range<Int>) {
    self.tag = tag
    self.body = body
  }
}
