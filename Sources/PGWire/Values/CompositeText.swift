/// Walks through the text of a row value (manual: "Composite Type Input and Output Syntax").
///
///     (1,"a ""b""",,"")
///
/// Nothing between two commas is null, `""` the empty text. `()` is one null field as well as no
/// field: only the type's attributes tell, so the caller asks ``hasNoText`` when there are none.
@safe public struct CompositeText: ~Escapable {
  /// One field of a row.
  public enum Field: Hashable, Sendable, BitwiseCopyable {
    /// A null field.
    case null
    /// A field with a value.
    case value(TextPiece)
  }

  private var scanner: TextScanner
  private var hasEnded = false

  /// Starts at the beginning of a row's text; throws unless that is a parenthesis.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(DecodingError) {
    self.scanner = TextScanner(bytes)
    try scanner.expect(Ascii.openParenthesis, "a row begins with a parenthesis")
  }

  /// Whether the text is `()`.
  public var hasNoText: Bool {
    scanner.bytes.byteCount == 2 && scanner.bytes[1] == Ascii.closeParenthesis
  }

  /// Reads one field, or nil after the last; throws when the text is malformed.
  @_lifetime(self: copy self)
  public mutating func next() throws(DecodingError) -> Field? {
    guard !hasEnded else { return nil }
    let field = try field()
    guard !scanner.skip(Ascii.comma) else { return field }
    try scanner.expect(Ascii.closeParenthesis, "a comma or parenthesis follows a row's field")
    guard scanner.isAtEnd else {
      throw DecodingError(.violation("text follows a row"), at: scanner.position)
    }
    hasEnded = true
    return field
  }

  @_lifetime(self: copy self)
  private mutating func field() throws(DecodingError) -> Field {
    if scanner.skip(Ascii.quote) { return .value(try scanner.quoted(doubled: true)) }
    let piece = try scanner.bare(until: Ascii.comma, or: Ascii.closeParenthesis)
    return piece.end == piece.start ? .null : .value(piece)
  }
}
