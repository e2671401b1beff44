import PGWire

/// Vectors: the server's own for its catalogs, and pgvector's.
extension ValueEncoder {
  static func encode(
    vector text: RawSpan, into json: inout ByteWriter
  ) throws(DecodingError) {
    json.append(0x5B as UInt8)
    var start = 0
    while start < text.byteCount {
      var end = start
      while end < text.byteCount, text[end] != 0x20 { end &+= 1 }
      let number = text.extracting(start..<end)
      guard JSONNumber.isInteger(number) else {
        throw DecodingError(.violation("a vector's element is malformed"), at: start)
      }
      if start > 0 { json.append(0x2C as UInt8) }
      json.append(short: number)
      start = end &+ 1
    }
    json.append(0x5D as UInt8)
  }

  /// pgvector's text is a JSON array already; what another type of that name has is a string.
  static func encode(embedding text: RawSpan, into json: inout ByteWriter) {
    let count = text.byteCount
    guard count >= 2, text[0] == 0x5B, text[count &- 1] == 0x5D else {
      return JSONEscape.append(text, to: &json)
    }
    var start = 1
    while start < count &- 1 {
      var end = start
      while end < count &- 1, text[end] != 0x2C { end &+= 1 }
      guard JSONNumber.isNumber(text.extracting(start..<end)),
        end != count &- 2 || text[end] != 0x2C
      else { return JSONEscape.append(text, to: &json) }
      start = end &+ 1
    }
    json.append(text)
  }

  /// `{1:1.5,3:2}/5` as an object: with its zeros it could be of a thousand million elements.
  static func encode(sparse text: RawSpan, into json: inout ByteWriter) {
    let start = json.count
    guard appendSparse(text, to: &json) else {
      json.truncate(to: start)
      return JSONEscape.append(text, to: &json)
    }
  }

  /// Appends the object; false, maybe with a part of it, when the text is another type's.
  private static func appendSparse(_ text: RawSpan, to json: inout ByteWriter) -> Bool {
    var brace = text.byteCount
    while brace > 0, text[brace &- 1] != 0x7D { brace &-= 1 }
    // What follows the brace is a slash and the number of dimensions.
    guard brace > 1, text[0] == 0x7B, brace < text.byteCount, text[brace] == 0x2F else {
      return false
    }
    let dimensions = text.extracting((brace &+ 1)..<text.byteCount)
    guard JSONNumber.isInteger(dimensions) else { return false }
    json.append("{\"dimensions\":")
    json.append(short: dimensions)
    json.append(",\"values\":{")
    var at = 1
    while at < brace &- 1 {
      if at > 1 { json.append(0x2C as UInt8) }
      var colon = at
      while colon < brace &- 1, text[colon] != 0x3A { colon &+= 1 }
      var end = colon
      while end < brace &- 1, text[end] != 0x2C { end &+= 1 }
      guard colon < end else { return false }
      let index = text.extracting(at..<colon)
      let value = text.extracting((colon &+ 1)..<end)
      guard JSONNumber.isInteger(index), JSONNumber.isNumber(value) else { return false }
      json.append(0x22 as UInt8)
      json.append(short: index)
      json.append("\":")
      json.append(short: value)
      at = end &+ 1
    }
    json.append("}}")
    return true
  }
}
