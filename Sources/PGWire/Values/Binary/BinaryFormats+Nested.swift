extension BinaryFormats {
  /// Arrays, rows, ranges and multiranges.
  ///
  /// ```
  /// array:      Int32 dimensions  Int32 has nulls  Int32 element type
  ///             for each dimension Int32 length  Int32 lower bound, then the elements
  /// composite:  Int32 fields, for each Int32 type, then the field
  /// range:      Byte1 flags, then the bounds there are
  /// multirange: Int32 ranges, then each of them
  /// ```
  /// Each element, field, bound and range is an Int32 length, −1 for null, and its bytes.
  @_lifetime(reader: copy reader)
  func appendNested(
    _ reader: inout ByteReader, as format: BinaryFormat, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    // Types end by themselves; the depth only guards against a table that was made wrongly.
    precondition(depth <= Self.depthLimit, "a type is nested deeper than any was resolved")
    guard format.rule != .spaced else { return try appendSpaced(&reader, to: &text) }
    let node = nodes[Int(format.index)]
    switch format.rule {
    case .array: try appendArray(&reader, node, to: &text, depth: depth + 1)
    case .composite: try appendComposite(&reader, node, to: &text, depth: depth + 1)
    case .range: try appendRange(&reader, node.element, to: &text, depth: depth + 1)
    default:
      let count = try reader.count(ofAtLeast: 5)
      let range = nodes[Int(node.element.index)].element
      text.append(Ascii.openBrace)
      for index in 0..<count {
        if index > 0 { text.append(Ascii.comma) }
        var part = ByteReader(try reader.span(Int(try reader.integer(Int32.self))))
        try appendRange(&part, range, to: &text, depth: depth + 1)
        try part.finish()
      }
      text.append(Ascii.closeBrace)
    }
  }

  /// Appends a value that has a length before it; says whether it is null instead.
  @_lifetime(reader: copy reader)
  private func appendPart(
    _ reader: inout ByteReader, as format: BinaryFormat, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) -> Bool {
    let length = try reader.integer(Int32.self)
    guard length != -1 else { return false }
    var part = ByteReader(try reader.span(Int(length)))
    try append(&part, as: format, to: &text, depth: depth)
    try part.finish()
    return true
  }

  // MARK: - Arrays

  /// The dimensions of an array, from the outermost.
  private struct Dimensions {
    var count = 0
    var lengths = InlineArray<6, Int>(repeating: 0)
    var hasBounds = false
    var elements = 1
  }

  @_lifetime(reader: copy reader)
  private func appendArray(
    _ reader: inout ByteReader, _ node: Node, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    let start = text.count
    let dimensions = try dimensions(&reader, of: node.elementType, to: &text)
    guard dimensions.elements > 0 else {
      text.truncate(to: start)
      return text.append("{}")
    }
    if dimensions.hasBounds { text.append(Ascii.equals) } else { text.truncate(to: start) }
    var position = InlineArray<6, Int>(repeating: 0)
    for _ in 0..<dimensions.count { text.append(Ascii.openBrace) }
    for index in 0..<dimensions.elements {
      if index > 0 {
        // As many dimensions end here as counters run over.
        var open = 0
        var dimension = dimensions.count - 1
        position[dimension] += 1
        while dimension > 0, position[dimension] == dimensions.lengths[dimension] {
          position[dimension] = 0
          dimension -= 1
          position[dimension] += 1
          open += 1
        }
        for _ in 0..<open { text.append(Ascii.closeBrace) }
        text.append(node.delimiter)
        for _ in 0..<open { text.append(Ascii.openBrace) }
      }
      let start = text.count
      if try appendPart(&reader, as: node.element, to: &text, depth: depth) {
        text.quote(from: start, .array(delimiter: node.delimiter))
      } else {
        text.append("NULL")
      }
    }
    for _ in 0..<dimensions.count { text.append(Ascii.closeBrace) }
  }

  /// Reads the head of an array and appends its bounds, `[0:1][2:3]`.
  @_lifetime(reader: copy reader)
  private func dimensions(
    _ reader: inout ByteReader, of element: UInt32, to text: inout ByteWriter
  ) throws(DecodingError) -> Dimensions {
    var result = Dimensions()
    result.count = Int(try reader.integer(Int32.self))
    guard (0...ArrayText.maximumDimensions).contains(result.count) else {
      throw DecodingError(.badLength(result.count), at: 0)
    }
    try reader.skip(4)
    let type = try reader.integer(UInt32.self)
    guard type == element else { throw DecodingError(.unknownCode(type), at: 8) }
    for index in 0..<result.count {
      let length = Int(try reader.integer(Int32.self))
      let lower = Int64(try reader.integer(Int32.self))
      // Each element takes four bytes at least, so the product stays small.
      let (elements, overflows) = result.elements.multipliedReportingOverflow(by: length)
      guard length >= 0, !overflows, elements <= reader.bytes.byteCount else {
        throw DecodingError(.badLength(length), at: reader.offset - 8)
      }
      result.lengths[index] = length
      result.elements = elements
      result.hasBounds = result.hasBounds || lower != 1
      text.append(Ascii.openBracket)
      text.append(decimal: lower)
      text.append(Ascii.colon)
      text.append(decimal: lower + Int64(length) - 1)
      text.append(Ascii.closeBracket)
    }
    if result.count == 0 { result.elements = 0 }
    return result
  }

  /// `1 2 3`: an array of one dimension without nulls, of int2 or oid.
  @_lifetime(reader: copy reader)
  private func appendSpaced(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = Int(try reader.integer(Int32.self))
    try reader.skip(4)
    let type = try reader.integer(UInt32.self)
    guard count == 0 || count == 1, type == 21 || type == 26 else {
      throw DecodingError(.unknownCode(type), at: 8)
    }
    guard count == 1 else { return }
    let elements = Int(try reader.integer(Int32.self))
    try reader.skip(4)
    guard elements >= 0, elements <= reader.remaining / 4 else {
      throw DecodingError(.badLength(elements), at: 12)
    }
    let format = BinaryFormat(type == 21 ? .int2 : .unsigned4)
    for index in 0..<elements {
      if index > 0 { text.append(Ascii.space) }
      guard try appendPart(&reader, as: format, to: &text, depth: 1) else {
        throw DecodingError(.violation("an element of a vector is null"), at: reader.offset)
      }
    }
  }

  // MARK: - Rows and ranges

  @_lifetime(reader: copy reader)
  private func appendComposite(
    _ reader: inout ByteReader, _ node: Node, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    let count = try reader.integer(Int32.self)
    guard count == node.fieldCount else { throw DecodingError(.badLength(Int(count)), at: 0) }
    text.append(Ascii.openParenthesis)
    for index in 0..<Int(count) {
      if index > 0 { text.append(Ascii.comma) }
      let field = fields[Int(node.firstField) + index]
      let type = try reader.integer(UInt32.self)
      guard type == field.type else {
        throw DecodingError(.unknownCode(type), at: reader.offset - 4)
      }
      let start = text.count
      if try appendPart(&reader, as: field.format, to: &text, depth: depth) {
        text.quote(from: start, .composite)
      }
    }
    text.append(Ascii.closeParenthesis)
  }

  @_lifetime(reader: copy reader)
  private func appendRange(
    _ reader: inout ByteReader, _ subtype: BinaryFormat, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    let flags = try reader.byte()
    guard flags & 0x01 == 0 else { return text.append("empty") }
    text.append(flags & 0x02 != 0 ? Ascii.openBracket : Ascii.openParenthesis)
    // An infinite bound, or (before 9.2 was out) a null one, is absent.
    if flags & 0x28 == 0 { try appendBound(&reader, subtype, to: &text, depth: depth) }
    text.append(Ascii.comma)
    if flags & 0x50 == 0 { try appendBound(&reader, subtype, to: &text, depth: depth) }
    text.append(flags & 0x04 != 0 ? Ascii.closeBracket : Ascii.closeParenthesis)
  }

  @_lifetime(reader: copy reader)
  private func appendBound(
    _ reader: inout ByteReader, _ subtype: BinaryFormat, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    let start = text.count
    guard try appendPart(&reader, as: subtype, to: &text, depth: depth) else {
      throw DecodingError(.violation("a range's bound is null"), at: reader.offset)
    }
    text.quote(from: start, .range)
  }
}
