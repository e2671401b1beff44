/// The two ends of a range, as offsets into its text (manual: "Range Input/Output").
public struct RangeBounds: Hashable, Sendable, BitwiseCopyable {
  /// Whether it is the empty range; everything else is then without meaning.
  public let isEmpty: Bool
  /// Whether the lower bound belongs to the range.
  public let lowerInclusive: Bool
  /// Whether the upper bound belongs to the range.
  public let upperInclusive: Bool
  /// The lower bound; nil when there is none, which is not the value `-infinity`.
  public let lower: TextPiece?
  /// The upper bound; nil when there is none.
  public let upper: TextPiece?

  static let empty = RangeBounds(
    isEmpty: true, lowerInclusive: false, upperInclusive: false, lower: nil, upper: nil)
}

/// Reads the text of a range: `[1,6)`, `("a b",)`, `empty`.
public enum RangeText {
  /// Reads the bounds; throws ``DecodingError`` when the text is malformed.
  public static func bounds(of bytes: RawSpan) throws(DecodingError) -> RangeBounds {
    var scanner = TextScanner(bytes)
    let bounds = isEmpty(bytes) ? .empty : try next(&scanner)
    guard bounds.isEmpty || scanner.isAtEnd else {
      throw DecodingError(.violation("text follows a range"), at: scanner.position)
    }
    return bounds
  }

  private static func isEmpty(_ bytes: RawSpan) -> Bool {
    bytes.byteCount == 5 && bytes[0] == 0x65 && bytes[1] == 0x6D && bytes[2] == 0x70
      && bytes[3] == 0x74 && bytes[4] == 0x79
  }

  /// Reads one range that is not empty.
  @_lifetime(scanner: copy scanner)
  static func next(_ scanner: inout TextScanner) throws(DecodingError) -> RangeBounds {
    let lowerInclusive = scanner.skip(Ascii.openBracket)
    if !lowerInclusive {
      try scanner.expect(Ascii.openParenthesis, "a range begins with a bracket or parenthesis")
    }
    let lower = try bound(&scanner, until: Ascii.comma, or: Ascii.comma)
    try scanner.expect(Ascii.comma, "a comma follows a range's lower bound")
    let upper = try bound(&scanner, until: Ascii.closeParenthesis, or: Ascii.closeBracket)
    let upperInclusive = scanner.skip(Ascii.closeBracket)
    if !upperInclusive {
      try scanner.expect(Ascii.closeParenthesis, "a range ends with a bracket or parenthesis")
    }
    return RangeBounds(
      isEmpty: false, lowerInclusive: lowerInclusive, upperInclusive: upperInclusive,
      lower: lower, upper: upper)
  }

  @_lifetime(scanner: copy scanner)
  private static func bound(
    _ scanner: inout TextScanner, until first: UInt8, or second: UInt8
  ) throws(DecodingError) -> TextPiece? {
    if scanner.skip(Ascii.quote) { return try scanner.quoted(doubled: true) }
    let piece = try scanner.bare(until: first, or: second)
    return piece.end == piece.start ? nil : piece
  }
}

/// Walks through the text of a multirange: `{[1,3),[5,)}`.
///
/// Braces may stand unquoted inside a bound, so the ranges are read one by one, never searched.
@safe public struct MultirangeText: ~Escapable {
  var scanner: TextScanner
  var isAtEnd = false

  /// Starts at the beginning of a multirange's text; throws unless that is a brace.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(DecodingError) {
    self.scanner = TextScanner(bytes)
    try scanner.expect(Ascii.openBrace, "a multirange begins with a brace")
    if scanner.skip(Ascii.closeBrace) { try finish() }
  }

  /// Reads one range, or nil after the last; throws when the text is malformed.
  @_lifetime(self: copy self)
  public mutating func next() throws(DecodingError) -> RangeBounds? {
    guard !isAtEnd else { return nil }
    let bounds = try RangeText.next(&scanner)
    guard !scanner.skip(Ascii.comma) else { return bounds }
    try scanner.expect(Ascii.closeBrace, "a comma or brace follows a multirange's range")
    try finish()
    return bounds
  }

  @_lifetime(self: copy self)
  private mutating func finish() throws(DecodingError) {
    guard scanner.isAtEnd else {
      throw DecodingError(.violation("text follows a multirange"), at: scanner.position)
    }
    isAtEnd = true
  }
}
