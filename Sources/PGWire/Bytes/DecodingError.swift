/// What was wrong with bytes that came from a peer, and where.
///
/// Decoders throw it and never trap: whatever a server sends is input, not a programming error.
public struct DecodingError: Error, Hashable, Sendable {
  /// What was wrong.
  public enum Reason: Hashable, Sendable {
    /// More bytes were needed than the message has.
    case truncated(needed: Int, available: Int)
    /// A string lacked its terminating zero byte.
    case unterminatedString
    /// A length or count was negative or beyond its limit.
    case badLength(Int)
    /// A tag, code or flag that the protocol does not know at this place.
    case unknownCode(UInt32)
    /// Bytes were left after the message's last field.
    case trailingBytes(Int)
    /// A rule of the protocol was broken; the text says which.
    case violation(StaticText)
  }

  /// What was wrong.
  public let reason: Reason
  /// Where: bytes from the start of the message's body; for what CopyData holds, from the start of
  /// the innermost message, its tag included; for a length in a message's header, from its tag.
  public let offset: Int

  /// Makes an error for the byte at `offset` of a message's body.
  @inlinable public init(_ reason: Reason, at offset: Int) {
    self.reason = reason
    self.offset = offset
  }
}

/// A text known at compile time, comparable so that errors can be compared in tests.
public struct StaticText: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The text.
  public let description: String

  /// Makes it from a literal.
  public init(stringLiteral value: StaticString) { description = "\(value)" }
}

extension DecodingError: CustomStringConvertible {
  /// One clause that says what was wrong and at which offset.
  public var description: String {
    let what =
      switch reason {
      case .truncated(let needed, let available):
        "\(needed) bytes were expected, \(available) are left"
      case .unterminatedString: "a string has no terminating zero"
      case .badLength(let length): "length \(length) is out of range"
      case .unknownCode(let code): "code \(code) is unknown here"
      case .trailingBytes(let count): "\(count) bytes are left over"
      case .violation(let text): text.description
      }
    return "\(what) (offset \(offset))"
  }
}
