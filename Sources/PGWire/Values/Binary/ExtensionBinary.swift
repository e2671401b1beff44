/// The binary form of `hstore`: Int32 pairs, each Int32 length and key, Int32 length (−1 for null)
/// and value.
enum HstoreBinary {
  /// Appends `"k"=>"v", "n"=>NULL`.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = try reader.count(ofAtLeast: 8)
    for index in 0..<count {
      if index > 0 { text.append(", ") }
      append(quoted: try reader.span(Int(try reader.integer(Int32.self))), to: &text)
      text.append("=>")
      let length = try reader.integer(Int32.self)
      if length == -1 {
        text.append("NULL")
      } else {
        append(quoted: try reader.span(Int(length)), to: &text)
      }
    }
  }

  private static func append(quoted value: RawSpan, to text: inout ByteWriter) {
    text.append(Ascii.quote)
    for offset in 0..<value.byteCount {
      let byte = value[offset]
      if byte == Ascii.quote || byte == Ascii.backslash { text.append(Ascii.backslash) }
      text.append(byte)
    }
    text.append(Ascii.quote)
  }
}

/// The binary forms of pgvector's types.
///
/// ```
/// vector:    Int16 dimensions  Int16 0, then single precision numbers
/// halfvec:   the same with half precision
/// sparsevec: Int32 dimensions  Int32 elements  Int32 0, then Int32 indices from 0, then single
///            precision numbers
/// ```
enum VectorBinary {
  /// Appends `[1,2.5]`, or `{1:1,3:2.5}/5`.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    guard rule != .sparseVector else { return try append(sparse: &reader, to: &text) }
    let count = Int(try reader.integer(Int16.self))
    try reader.skip(2)
    guard count >= 0 else { throw DecodingError(.badLength(count), at: 0) }
    text.append(Ascii.openBracket)
    for index in 0..<count {
      if index > 0 { text.append(Ascii.comma) }
      if rule == .vector {
        text.append(float: Float(bitPattern: try reader.integer()))
      } else {
        text.append(float: single(half: try reader.integer()))
      }
    }
    text.append(Ascii.closeBracket)
  }

  /// A half precision number; Float16 itself is not on every machine that Swift has.
  private static func single(half bits: UInt16) -> Float {
    let sign = UInt32(bits >> 15) << 31
    let exponent = UInt32(bits >> 10 & 0x1F)
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      // Multiples of the smallest number, 2^-24: exact.
      let value = Float(fraction) * 0x1p-24
      return sign == 0 ? value : -value
    case 0x1F: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }

  @_lifetime(reader: copy reader)
  private static func append(
    sparse reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let dimensions = Int64(try reader.integer(Int32.self))
    let count = try reader.count(ofAtLeast: 8, besides: 4)
    try reader.skip(4)
    var indices = ByteReader(try reader.span(count * 4))
    text.append(Ascii.openBrace)
    for position in 0..<count {
      if position > 0 { text.append(Ascii.comma) }
      text.append(decimal: Int64(try indices.integer(Int32.self)) + 1)
      text.append(Ascii.colon)
      text.append(float: Float(bitPattern: try reader.integer()))
    }
    text.append(Ascii.closeBrace)
    text.append(0x2F as UInt8)
    text.append(decimal: dimensions)
  }
}
