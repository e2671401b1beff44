extension BinaryFormats {
  /// Appends the text of a value that the server sent in binary.
  ///
  /// Throws ``DecodingError`` when the bytes are not of the format's type; what was appended until
  /// then is the caller's to cut off.
  public func appendText(
    of value: RawSpan, as format: BinaryFormat, to text: inout ByteWriter
  ) throws(DecodingError) {
    var reader = ByteReader(value)
    try append(&reader, as: format, to: &text, depth: 0)
    try reader.finish()
  }

  /// Reads one value, which takes all that is left to the reader.
  @_lifetime(reader: copy reader)
  func append(
    _ reader: inout ByteReader, as format: BinaryFormat, to text: inout ByteWriter, depth: Int
  ) throws(DecodingError) {
    switch format.rule {
    case .text, .sentAsText: text.append(reader.rest())
    case .array, .spaced, .composite, .range, .multirange:
      try appendNested(&reader, as: format, to: &text, depth: depth)
    case .boolean, .int2, .int4, .int8, .unsigned4, .unsigned8, .float4, .float8, .money,
      .tupleIdentifier, .logPosition, .snapshot:
      try appendNumber(&reader, as: format.rule, to: &text)
    case .numeric: try NumericBinary.append(&reader, to: &text)
    case .date, .time, .timeWithZone, .timestamp, .timestampWithZone:
      try DateTimeBinary.append(&reader, as: format.rule, to: &text)
    case .interval:
      try IntervalBinary.append(&reader, hasInfinity: hasInfiniteIntervals, to: &text)
    case .character, .bytea, .uuid, .versionedText, .bit, .geometry:
      try appendBytes(&reader, as: format.rule, to: &text)
    case .network, .macaddr, .macaddr8:
      try NetworkBinary.append(&reader, as: format.rule, to: &text)
    case .point, .segment, .path, .box, .polygon, .line, .circle, .cube:
      try GeometricBinary.append(&reader, as: format.rule, to: &text)
    case .textVector: try TextSearchBinary.append(vector: &reader, to: &text)
    case .textQuery: try TextSearchBinary.append(query: &reader, to: &text)
    case .hstore: try HstoreBinary.append(&reader, to: &text)
    case .vector, .halfVector, .sparseVector:
      try VectorBinary.append(&reader, as: format.rule, to: &text)
    }
  }

  /// Numbers of a fixed size, and what is made of some.
  @_lifetime(reader: copy reader)
  private func appendNumber(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    switch rule {
    case .boolean: text.append(try reader.byte() == 0 ? 0x66 : 0x74 as UInt8)
    case .int2: text.append(decimal: Int64(try reader.integer(Int16.self)))
    case .int4: text.append(decimal: Int64(try reader.integer(Int32.self)))
    case .int8: text.append(decimal: try reader.integer(Int64.self))
    case .unsigned4: text.append(decimal: UInt64(try reader.integer(UInt32.self)))
    case .unsigned8: text.append(decimal: try reader.integer(UInt64.self))
    case .float4: text.append(float: Float(bitPattern: try reader.integer()))
    case .float8: text.append(double: Double(bitPattern: try reader.integer()))
    case .money: NumericBinary.append(cents: try reader.integer(), to: &text)
    case .logPosition: text.append(try reader.lsn())
    case .tupleIdentifier:
      text.append(Ascii.openParenthesis)
      text.append(decimal: UInt64(try reader.integer(UInt32.self)))
      text.append(Ascii.comma)
      text.append(decimal: UInt64(try reader.integer(UInt16.self)))
      text.append(Ascii.closeParenthesis)
    default: try appendSnapshot(&reader, to: &text)
    }
  }

  /// `xmin:xmax:xip,…` (pg_snapshot_send).
  @_lifetime(reader: copy reader)
  private func appendSnapshot(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = try reader.count(ofAtLeast: 8, besides: 16)
    text.append(decimal: try reader.integer(UInt64.self))
    text.append(Ascii.colon)
    text.append(decimal: try reader.integer(UInt64.self))
    text.append(Ascii.colon)
    for index in 0..<count {
      if index > 0 { text.append(Ascii.comma) }
      text.append(decimal: try reader.integer(UInt64.self))
    }
  }

  /// Types whose binary form is bytes that are printed one by one.
  @_lifetime(reader: copy reader)
  private func appendBytes(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    switch rule {
    case .character:
      let byte = try reader.byte()
      if byte >= 0x80, printsOctalCharacters {
        text.append(Ascii.backslash)
        text.append(Ascii.zero + byte >> 6)
        text.append(Ascii.zero + byte >> 3 & 7)
        text.append(Ascii.zero + byte & 7)
      } else if byte != 0 {
        text.append(byte)
      }
    case .bytea:
      text.append("\\x")
      text.append(hexadecimal: reader.rest(), letters: 0x61)
    case .geometry: text.append(hexadecimal: reader.rest(), letters: 0x41)
    case .uuid:
      text.append(hexadecimal: UInt64(try reader.integer(UInt32.self)), digits: 8)
      for _ in 0..<3 {
        text.append(Ascii.minus)
        text.append(hexadecimal: UInt64(try reader.integer(UInt16.self)), digits: 4)
      }
      text.append(Ascii.minus)
      text.append(hexadecimal: try reader.span(6), letters: 0x61)
    case .versionedText:
      let version = try reader.byte()
      guard version == 1 else { throw DecodingError(.unknownCode(UInt32(version)), at: 0) }
      text.append(reader.rest())
    default: try appendBits(&reader, to: &text)
    }
  }

  /// `101`: a count of bits, then the bits, the highest of each byte first.
  @_lifetime(reader: copy reader)
  private func appendBits(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = Int(try reader.integer(Int32.self))
    guard count >= 0, reader.remaining == (count + 7) / 8 else {
      throw DecodingError(.badLength(count), at: 0)
    }
    var rest = count
    while rest > 0 {
      var byte = try reader.byte()
      for _ in 0..<min(8, rest) {
        text.append(Ascii.zero + byte >> 7)
        byte <<= 1
      }
      rest -= 8
    }
  }
}

extension ByteReader {
  /// Reads a count of elements that take at least `size` bytes each, `besides` other bytes; one
  /// that cannot be true throws before it could cost time.
  @_lifetime(self: copy self)
  mutating func count(ofAtLeast size: Int, besides: Int = 0) throws(DecodingError) -> Int {
    let start = offset
    let count = Int(try integer(Int32.self))
    guard count >= 0, count <= max(remaining - besides, 0) / size else {
      throw DecodingError(.badLength(count), at: start)
    }
    return count
  }
}

extension ByteWriter {
  /// Appends bytes as two hexadecimal digits each; `letters` is the code of `a` or `A`.
  mutating func append(hexadecimal span: RawSpan, letters: UInt8) {
    reserve(2 * span.byteCount)
    var at = 0
    while at < span.byteCount {
      let count = min(8, span.byteCount &- at)
      append(
        hexadecimal: span.word(at: at, count).byteSwapped &>> UInt64((8 &- count) &* 8),
        digits: count &* 2, letters: letters)
      at &+= count
    }
  }
}
