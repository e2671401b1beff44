/// Walks through the text of an array (manual: "Array Input and Output Syntax").
///
///     {1,NULL,"a \"b\""}      [0:1][2:3]={{1,2},{3,4}}
///
/// The text is a sequence of ``Token``s; a prefix with bounds is checked and passed over. After
/// `next()` gave nil the text has been read to its end.
@safe public struct ArrayText: ~Escapable {
  /// One step through the text.
  public enum Token: Hashable, Sendable, BitwiseCopyable {
    /// An opening brace: one more dimension.
    case open
    /// A closing brace.
    case close
    /// A null element.
    case null
    /// An element.
    case element(TextPiece)
  }

  /// The most dimensions that PostgreSQL has (MAXDIM).
  public static let maximumDimensions = 6

  var scanner: TextScanner
  let delimiter: UInt8
  var depth = 0
  /// Whether a value has just ended, so that a delimiter or a closing brace has to come.
  var isAfterValue = false
  var isAfterDelimiter = false

  /// Starts at the beginning of an array's text.
  ///
  /// `delimiter` is the element type's: a comma, and a semicolon for `box`. Throws when the
  /// prefix with the bounds is malformed.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, delimiter: UInt8 = 0x2C) throws(DecodingError) {
    self.scanner = TextScanner(bytes)
    self.delimiter = delimiter
    try skipBounds()
    guard scanner.peek == Ascii.openBrace else {
      throw DecodingError(.violation("an array begins with a brace"), at: scanner.position)
    }
  }

  /// Reads one step, or nil at the end of the text.
  @_lifetime(self: copy self)
  public mutating func next() throws(DecodingError) -> Token? {
    if depth == 0, isAfterValue {
      guard scanner.isAtEnd else {
        throw DecodingError(.violation("text follows an array"), at: scanner.position)
      }
      return nil
    }
    if isAfterValue, scanner.skip(delimiter) {
      isAfterValue = false
      isAfterDelimiter = true
    } else if depth > 0, !isAfterDelimiter, scanner.skip(Ascii.closeBrace) {
      depth &-= 1
      isAfterValue = true
      return .close
    }
    guard !isAfterValue else {
      throw DecodingError(
        .violation("a delimiter or a brace follows an array's element"), at: scanner.position)
    }
    if scanner.skip(Ascii.openBrace) {
      guard depth < Self.maximumDimensions else {
        throw DecodingError(.violation("an array has too many dimensions"), at: scanner.position)
      }
      depth &+= 1
      isAfterDelimiter = false
      return .open
    }
    isAfterDelimiter = false
    isAfterValue = true
    return try element()
  }

  @_lifetime(self: copy self)
  private mutating func element() throws(DecodingError) -> Token {
    if scanner.skip(Ascii.quote) {
      return .element(try scanner.quoted(doubled: false))
    }
    let piece = try scanner.bare(until: delimiter, or: Ascii.closeBrace)
    guard piece.end > piece.start else {
      throw DecodingError(.violation("an array's element is missing"), at: piece.start)
    }
    return scanner.isNull(piece) ? .null : .element(piece)
  }

  /// Reads `[lower:upper]` for each dimension and the equals sign after them.
  @_lifetime(self: copy self)
  private mutating func skipBounds() throws(DecodingError) {
    guard scanner.peek == Ascii.openBracket else { return }
    while scanner.skip(Ascii.openBracket) {
      try skipInteger()
      try scanner.expect(Ascii.colon, "an array's bounds are two numbers with a colon")
      try skipInteger()
      try scanner.expect(Ascii.closeBracket, "an array's bounds end with a bracket")
    }
    try scanner.expect(Ascii.equals, "an equals sign follows an array's bounds")
  }

  @_lifetime(self: copy self)
  private mutating func skipInteger() throws(DecodingError) {
    _ = scanner.skip(Ascii.minus)
    let start = scanner.position
    while let byte = scanner.peek, Ascii.isDigit(byte) { scanner.position &+= 1 }
    guard scanner.position > start else {
      throw DecodingError(.violation("an array's bound is no number"), at: start)
    }
  }
}
