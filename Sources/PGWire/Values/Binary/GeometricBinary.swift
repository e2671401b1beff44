/// The binary forms of geometric types: doubles, with a count where there may be any number.
///
/// ```
/// point 2   lseg 4   box 4   line 3   circle 3
/// path: Byte1 closed  Int32 points   polygon: Int32 points
/// cube: Int32 dimensions, the highest bit for one point; then its corners
/// ```
enum GeometricBinary {
  /// Appends a figure.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    switch rule {
    case .point: try appendPoint(&reader, to: &text)
    case .segment:
      text.append(Ascii.openBracket)
      try appendPoints(&reader, 2, to: &text)
      text.append(Ascii.closeBracket)
    case .box: try appendPoints(&reader, 2, to: &text)
    case .line:
      text.append(Ascii.openBrace)
      try appendDoubles(&reader, 3, ",", to: &text)
      text.append(Ascii.closeBrace)
    case .circle:
      text.append("<")
      try appendPoint(&reader, to: &text)
      text.append(Ascii.comma)
      try appendDoubles(&reader, 1, ",", to: &text)
      text.append(Ascii.greater)
    case .path:
      let isClosed = try reader.byte() != 0
      let count = try reader.count(ofAtLeast: 16)
      text.append(isClosed ? Ascii.openParenthesis : Ascii.openBracket)
      try appendPoints(&reader, count, to: &text)
      text.append(isClosed ? Ascii.closeParenthesis : Ascii.closeBracket)
    case .polygon:
      let count = try reader.count(ofAtLeast: 16)
      text.append(Ascii.openParenthesis)
      try appendPoints(&reader, count, to: &text)
      text.append(Ascii.closeParenthesis)
    default: try appendCube(&reader, to: &text)
    }
  }

  @_lifetime(reader: copy reader)
  private static func appendPoint(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    text.append(Ascii.openParenthesis)
    try appendDoubles(&reader, 2, ",", to: &text)
    text.append(Ascii.closeParenthesis)
  }

  @_lifetime(reader: copy reader)
  private static func appendPoints(
    _ reader: inout ByteReader, _ count: Int, to text: inout ByteWriter
  ) throws(DecodingError) {
    for index in 0..<count {
      if index > 0 { text.append(Ascii.comma) }
      try appendPoint(&reader, to: &text)
    }
  }

  @_lifetime(reader: copy reader)
  private static func appendDoubles(
    _ reader: inout ByteReader, _ count: Int, _ separator: StaticString, to text: inout ByteWriter
  ) throws(DecodingError) {
    for index in 0..<count {
      if index > 0 { text.append(separator) }
      text.append(double: Double(bitPattern: try reader.integer()))
    }
  }

  /// `(1, 2),(3, 4)`, or one corner where both are the same.
  @_lifetime(reader: copy reader)
  private static func appendCube(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let header = try reader.integer(UInt32.self)
    let dimensions = Int(header & 0x7FFF_FFFF)
    let isPoint = header >> 31 != 0
    guard reader.remaining == dimensions * (isPoint ? 8 : 16) else {
      throw DecodingError(.badLength(dimensions), at: 0)
    }
    let corners = reader.rest()
    let lower = corners.extracting(first: dimensions * 8)
    let upper = corners.extracting(droppingFirst: dimensions * 8)
    try appendCorner(lower, to: &text)
    if !isPoint, try !isSame(lower, upper) {
      text.append(Ascii.comma)
      try appendCorner(upper, to: &text)
    }
  }

  private static func appendCorner(
    _ bytes: RawSpan, to text: inout ByteWriter
  ) throws(DecodingError) {
    var reader = ByteReader(bytes)
    text.append(Ascii.openParenthesis)
    try appendDoubles(&reader, bytes.byteCount / 8, ", ", to: &text)
    text.append(Ascii.closeParenthesis)
  }

  private static func isSame(_ a: RawSpan, _ b: RawSpan) throws(DecodingError) -> Bool {
    var left = ByteReader(a)
    var right = ByteReader(b)
    while !left.isAtEnd {
      let value = Double(bitPattern: try left.integer())
      guard value == Double(bitPattern: try right.integer()) else { return false }
    }
    return true
  }
}
