/// The binary forms of `tsvector` and `tsquery`.
///
/// ```
/// tsvector: Int32 lexemes, each: String  UInt16 positions, each a UInt16: 2 bits of weight, 14 of
///           position
/// tsquery:  Int32 items in prefix order, the right operand before the left one:
///           Byte1 1 = operand: Byte1 weights  Byte1 prefix  String
///           Byte1 2 = operator: Byte1 1 not, 2 and, 3 or, 4 phrase (Int16 distance)
/// ```
enum TextSearchBinary {
  /// Appends `'a':1A,2 'b'`.
  @_lifetime(reader: copy reader)
  static func append(
    vector reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = try reader.count(ofAtLeast: 3)
    for index in 0..<count {
      if index > 0 { text.append(Ascii.space) }
      append(lexeme: try reader.stringBytes(), to: &text)
      let positions = try reader.integer(UInt16.self)
      for index in 0..<positions {
        text.append(index == 0 ? Ascii.colon : Ascii.comma)
        let position = try reader.integer(UInt16.self)
        text.append(decimal: UInt64(position & 0x3FFF))
        // Weight 3 is A; 0 is D, which is not written.
        if position >> 14 != 0 { text.append(0x44 - UInt8(position >> 14)) }
      }
    }
  }

  private static func append(lexeme: RawSpan, to text: inout ByteWriter) {
    text.append(0x27 as UInt8)
    for offset in 0..<lexeme.byteCount {
      let byte = lexeme[offset]
      if byte == 0x27 || byte == Ascii.backslash { text.append(byte) }
      text.append(byte)
    }
    text.append(0x27 as UInt8)
  }

  /// Appends `'a':*A & !( 'b' <2> 'c' )`.
  @_lifetime(reader: copy reader)
  static func append(
    query reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = try reader.count(ofAtLeast: 3)
    guard count > 0 else { return }
    var items = ByteReader(reader.rest())
    try append(&items, above: 0, isRightOfPhrase: false, depth: 0, to: &text)
    try items.finish()
  }

  /// How deep a query may be nested: the server's own limit is its stack.
  private static let depthLimit = 1000

  private enum Item {
    case operand
    case not, and, or
    case phrase(distance: Int16)

    /// How strongly it binds.
    var priority: Int {
      switch self {
      case .or: 1
      case .and: 2
      case .phrase: 3
      case .not: 4
      case .operand: 5
      }
    }
  }

  @_lifetime(reader: copy reader)
  private static func item(_ reader: inout ByteReader) throws(DecodingError) -> Item {
    let kind = try reader.byte()
    guard kind != 1 else { return .operand }
    let operation = try reader.byte()
    switch (kind, operation) {
    case (2, 1): return .not
    case (2, 2): return .and
    case (2, 3): return .or
    case (2, 4): return .phrase(distance: try reader.integer())
    default: throw DecodingError(.unknownCode(UInt32(kind)), at: reader.offset - 2)
    }
  }

  /// Appends one item with its operands; the reader stands behind them afterwards.
  @_lifetime(reader: copy reader)
  private static func append(
    _ reader: inout ByteReader, above parent: Int, isRightOfPhrase: Bool, depth: Int,
    to text: inout ByteWriter
  ) throws(DecodingError) {
    guard depth < depthLimit else {
      throw DecodingError(.violation("a tsquery is nested too deep"), at: reader.offset)
    }
    let item = try item(&reader)
    if case .operand = item { return try appendOperand(&reader, to: &text) }
    var needsParentheses = item.priority < parent
    if case .phrase = item, isRightOfPhrase { needsParentheses = true }
    if needsParentheses { text.append("( ") }
    if case .not = item {
      text.append("!")
      try append(
        &reader, above: item.priority, isRightOfPhrase: false, depth: depth + 1, to: &text)
    } else {
      // The left operand is printed first and comes last.
      var right = ByteReader(reader.bytes.extracting(droppingFirst: reader.offset))
      try skip(&reader)
      try append(
        &reader, above: item.priority, isRightOfPhrase: false, depth: depth + 1, to: &text)
      var isPhrase = false
      switch item {
      case .or: text.append(" | ")
      case .and: text.append(" & ")
      case .phrase(let distance):
        isPhrase = true
        text.append(" <")
        if distance == 1 { text.append(Ascii.minus) } else { text.append(decimal: Int64(distance)) }
        text.append("> ")
      case .operand, .not: break
      }
      try append(
        &right, above: item.priority, isRightOfPhrase: isPhrase, depth: depth + 1, to: &text)
    }
    if needsParentheses { text.append(" )") }
  }

  /// Passes over one item with its operands.
  @_lifetime(reader: copy reader)
  private static func skip(_ reader: inout ByteReader) throws(DecodingError) {
    var left = 1
    while left > 0 {
      left -= 1
      switch try item(&reader) {
      case .operand:
        try reader.skip(2)
        _ = try reader.stringBytes()
      case .not: left += 1
      case .and, .or, .phrase: left += 2
      }
    }
  }

  @_lifetime(reader: copy reader)
  private static func appendOperand(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let weights = try reader.byte()
    let isPrefix = try reader.byte() != 0
    append(lexeme: try reader.stringBytes(), to: &text)
    guard weights != 0 || isPrefix else { return }
    text.append(Ascii.colon)
    if isPrefix { text.append("*") }
    for bit in 0..<4 as Range<UInt8> where weights & 8 >> bit != 0 { text.append(0x41 + bit) }
  }
}
