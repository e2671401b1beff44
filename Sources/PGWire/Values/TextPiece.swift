/// Where one element of a container's text lies, and whether it is escaped there.
///
/// The offsets count from the start of the container's text and lie inside it; quotes that
/// enclose the piece are not part of it.
public struct TextPiece: Hashable, Sendable, BitwiseCopyable {
  /// The offset of the first byte.
  public let start: Int
  /// The offset after the last byte.
  public let end: Int
  /// Whether escapes have to be undone to get the element's own text.
  public let isEscaped: Bool

  @inlinable init(start: Int, end: Int, isEscaped: Bool) {
    self.start = start
    self.end = end
    self.isEscaped = isEscaped
  }

  /// The piece's bytes as they stand, escapes included.
  @inlinable @_lifetime(copy bytes)
  public func raw(in bytes: RawSpan) -> RawSpan {
    bytes.extracting(start..<end)
  }

  /// Appends the piece's own text: `\x` stands for x, `""` for one quote.
  ///
  /// The two never meet by chance: where arrays and hstore escape, a bare quote ends the piece.
  public func unescape(_ bytes: RawSpan, into text: inout ByteWriter) {
    var run = start
    var at = start
    while at < end {
      let byte = bytes[at]
      if (byte == Ascii.backslash || byte == Ascii.quote) && at &+ 1 < end {
        text.append(bytes.extracting(run..<at))
        run = at &+ 1
        at &+= 2
      } else {
        at &+= 1
      }
    }
    text.append(bytes.extracting(run..<end))
  }
}

/// The ASCII codes that PostgreSQL's container texts are built from.
@usableFromInline enum Ascii {
  @usableFromInline static let quote: UInt8 = 0x22
  @usableFromInline static let backslash: UInt8 = 0x5C
  @usableFromInline static let comma: UInt8 = 0x2C
  @usableFromInline static let space: UInt8 = 0x20
  @usableFromInline static let openBrace: UInt8 = 0x7B
  @usableFromInline static let closeBrace: UInt8 = 0x7D
  @usableFromInline static let openBracket: UInt8 = 0x5B
  @usableFromInline static let closeBracket: UInt8 = 0x5D
  @usableFromInline static let openParenthesis: UInt8 = 0x28
  @usableFromInline static let closeParenthesis: UInt8 = 0x29
  @usableFromInline static let equals: UInt8 = 0x3D
  @usableFromInline static let greater: UInt8 = 0x3E
  @usableFromInline static let colon: UInt8 = 0x3A
  @usableFromInline static let minus: UInt8 = 0x2D
  @usableFromInline static let plus: UInt8 = 0x2B
  @usableFromInline static let zero: UInt8 = 0x30

  @usableFromInline static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }
}

/// Reads bytes of a container's text one after the other; past the end it gives nil.
///
/// The cursors of arrays, composites, ranges and hstore are written over it, so that each check
/// of a bound is made in one place.
@usableFromInline struct TextScanner: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline var position: Int

  @_lifetime(copy bytes)
  @usableFromInline init(_ bytes: RawSpan, at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  @usableFromInline var isAtEnd: Bool { position >= bytes.byteCount }

  @usableFromInline var peek: UInt8? {
    guard position < bytes.byteCount else { return nil }
    return bytes[position]
  }

  /// Steps over `byte` when it is the next one.
  @_lifetime(self: copy self)
  @usableFromInline mutating func skip(_ byte: UInt8) -> Bool {
    guard position < bytes.byteCount, bytes[position] == byte else { return false }
    position &+= 1
    return true
  }

  /// Steps over `byte` or says what was expected; the text is made only when it is needed.
  @_lifetime(self: copy self)
  @usableFromInline mutating func expect(
    _ byte: UInt8, _ message: @autoclosure () -> StaticText
  ) throws(DecodingError) {
    guard skip(byte) else { throw DecodingError(.violation(message()), at: position) }
  }

  /// Reads a piece after its opening quote up to and over the closing one.
  ///
  /// With `doubled`, `""` is a quote inside the piece (composites, ranges); else a bare quote
  /// always ends it (arrays, hstore).
  @_lifetime(self: copy self)
  @usableFromInline mutating func quoted(doubled: Bool) throws(DecodingError) -> TextPiece {
    let start = position
    var isEscaped = false
    while position < bytes.byteCount {
      let byte = bytes[position]
      if byte == Ascii.backslash {
        isEscaped = true
        position &+= 2
      } else if byte == Ascii.quote {
        let end = position
        position &+= 1
        guard doubled, skip(Ascii.quote) else {
          return TextPiece(start: start, end: end, isEscaped: isEscaped)
        }
        isEscaped = true
      } else {
        position &+= 1
      }
    }
    throw DecodingError(.violation("a quoted element has no end"), at: start)
  }

  /// Reads an unquoted piece up to one of two bytes, which is not read.
  @_lifetime(self: copy self)
  @usableFromInline mutating func bare(
    until first: UInt8, or second: UInt8
  ) throws(DecodingError) -> TextPiece {
    let start = position
    while position < bytes.byteCount {
      let byte = bytes[position]
      if byte == first || byte == second {
        return TextPiece(start: start, end: position, isEscaped: false)
      }
      guard byte != Ascii.quote, byte != Ascii.backslash else { break }
      position &+= 1
    }
    throw DecodingError(.violation("an unquoted element has no end"), at: position)
  }

  /// Whether the piece is the word NULL, which stands for the null value when unquoted.
  @usableFromInline func isNull(_ piece: TextPiece) -> Bool {
    guard piece.end &- piece.start == 4 else { return false }
    return bytes[piece.start] | 0x20 == 0x6E && bytes[piece.start &+ 1] | 0x20 == 0x75
      && bytes[piece.start &+ 2] | 0x20 == 0x6C && bytes[piece.start &+ 3] | 0x20 == 0x6C
  }
}
