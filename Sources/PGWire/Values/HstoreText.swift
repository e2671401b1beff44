/// Walks through the text of an `hstore` value (manual: "hstore External Representation").
///
///     "key"=>"value", "other"=>NULL
///
/// The server always quotes keys and values.
@safe public struct HstoreText: ~Escapable {
  /// One pair; its value is nil for null.
  public struct Pair: Hashable, Sendable, BitwiseCopyable {
    /// The key.
    public let key: TextPiece
    /// The value, or nil for null.
    public let value: TextPiece?
  }

  var scanner: TextScanner
  var isFirst = true

  /// Starts at the beginning of the text, which may be empty.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { scanner = TextScanner(bytes) }

  /// Reads one pair, or nil at the end; throws when the text is malformed.
  @_lifetime(self: copy self)
  public mutating func next() throws(DecodingError) -> Pair? {
    guard !scanner.isAtEnd else { return nil }
    if !isFirst {
      try scanner.expect(Ascii.comma, "a comma follows a pair of an hstore")
      try scanner.expect(Ascii.space, "a space follows a comma of an hstore")
    }
    isFirst = false
    try scanner.expect(Ascii.quote, "a key of an hstore is quoted")
    let key = try scanner.quoted(doubled: false)
    try scanner.expect(Ascii.equals, "an arrow follows a key of an hstore")
    try scanner.expect(Ascii.greater, "an arrow follows a key of an hstore")
    if scanner.skip(Ascii.quote) {
      return Pair(key: key, value: try scanner.quoted(doubled: false))
    }
    let start = scanner.position
    while let byte = scanner.peek, byte | 0x20 >= 0x61, byte | 0x20 <= 0x7A {
      scanner.position &+= 1
    }
    let word = TextPiece(start: start, end: scanner.position, isEscaped: false)
    guard scanner.isNull(word) else {
      throw DecodingError(.violation("a value of an hstore is quoted or NULL"), at: start)
    }
    return Pair(key: key, value: nil)
  }
}
