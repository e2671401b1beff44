import PGWire

extension ValueEncoders {
  /// Appends a value, given as PostgreSQL's text, as JSON.
  ///
  /// Throws ``DecodingError`` when the text is not that of the encoder's type, with the offset in
  /// the (innermost) value; then nothing has been appended.
  @inline(__always)
  func encode(
    _ text: RawSpan, as encoder: ValueEncoder, scratch: inout ValueScratch,
    into json: inout ByteWriter
  ) throws(DecodingError) {
    let start = json.count
    do throws(DecodingError) {
      if encoder.rule.rawValue < ValueEncoder.Rule.array.rawValue {
        try encoder.encodeScalar(text, into: &json)
      } else {
        scratch.depth = 0
        try encodeNested(text, as: encoder, &scratch, into: &json)
      }
    } catch {
      json.truncate(to: start)
      throw error
    }
  }

  private func encodeNested(
    _ text: RawSpan, as encoder: ValueEncoder,
    _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    switch encoder.rule {
    case .array: try encodeArray(text, nodes[Int(encoder.index)], &scratch, into: &json)
    case .composite: try encodeComposite(text, nodes[Int(encoder.index)], &scratch, into: &json)
    case .range:
      let bounds = try RangeText.bounds(of: text)
      try encodeRange(bounds, text, nodes[Int(encoder.index)], &scratch, into: &json)
    case .multirange: try encodeMultirange(text, nodes[Int(encoder.index)], &scratch, into: &json)
    case .hstore: try encodeHstore(text, &scratch, into: &json)
    default: try encoder.encodeScalar(text, into: &json)
    }
  }

  /// Appends one element of a nested value, freed of its escapes when it has any.
  private func encodePiece(
    _ piece: TextPiece, of text: RawSpan, as encoder: ValueEncoder,
    _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    guard piece.isEscaped else {
      return try encodeNested(piece.raw(in: text), as: encoder, &scratch, into: &json)
    }
    var plain = scratch.take()
    piece.unescape(text, into: &plain)
    try encodeNested(plain.bytes, as: encoder, &scratch, into: &json)
    scratch.putBack(plain)
  }

  private func encodeArray(
    _ text: RawSpan, _ node: Node, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = try ArrayText(text, delimiter: node.delimiter)
    var needsComma = false
    while let token = try cursor.next() {
      if token == .close {
        json.append(0x5D as UInt8)
        needsComma = true
        continue
      }
      if needsComma { json.append(0x2C as UInt8) }
      needsComma = true
      switch token {
      case .open:
        json.append(0x5B as UInt8)
        needsComma = false
      case .element(let piece):
        try encodePiece(piece, of: text, as: node.element, &scratch, into: &json)
      case .null, .close: json.append("null")
      }
    }
  }

  private func encodeComposite(
    _ text: RawSpan, _ node: Node, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = try CompositeText(text)
    let count = Int(node.fieldCount)
    guard count > 0 || !cursor.hasNoText else { return json.append("{}") }
    json.append(0x7B as UInt8)
    var number = 0
    while let value = try cursor.next() {
      guard number < count else { throw Self.fieldCountDiffers }
      if number > 0 { json.append(0x2C as UInt8) }
      let field = fields[Int(node.firstField) + number]
      json.append(short: names.bytes(Int(field.nameStart)..<Int(field.nameEnd)))
      number += 1
      switch value {
      case .null: json.append("null")
      case .value(let piece):
        try encodePiece(piece, of: text, as: field.encoder, &scratch, into: &json)
      }
    }
    guard number == count || !scratch.isStrict else { throw Self.fieldCountDiffers }
    json.append(0x7D as UInt8)
  }

  private static var fieldCountDiffers: DecodingError {
    DecodingError(.violation("a row has not as many fields as its type has attributes"), at: 0)
  }

  private func encodeRange(
    _ bounds: RangeBounds, _ text: RawSpan, _ node: Node,
    _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    guard !bounds.isEmpty else { return json.append("{\"empty\":true}") }
    json.append("{\"lower\":")
    try encodeBound(bounds.lower, text, node, &scratch, into: &json)
    json.append(",\"upper\":")
    try encodeBound(bounds.upper, text, node, &scratch, into: &json)
    json.append(
      bounds.lowerInclusive ? ",\"lowerInclusive\":true" : ",\"lowerInclusive\":false")
    json.append(
      bounds.upperInclusive ? ",\"upperInclusive\":true}" : ",\"upperInclusive\":false}")
  }

  private func encodeBound(
    _ piece: TextPiece?, _ text: RawSpan, _ node: Node,
    _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    guard let piece else { return json.append("null") }
    try encodePiece(piece, of: text, as: node.element, &scratch, into: &json)
  }

  private func encodeMultirange(
    _ text: RawSpan, _ node: Node, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = try MultirangeText(text)
    let range = nodes[Int(node.element.index)]
    json.append(0x5B as UInt8)
    var needsComma = false
    while let bounds = try cursor.next() {
      if needsComma { json.append(0x2C as UInt8) }
      needsComma = true
      try encodeRange(bounds, text, range, &scratch, into: &json)
    }
    json.append(0x5D as UInt8)
  }

  private func encodeHstore(
    _ text: RawSpan, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = HstoreText(text)
    json.append(0x7B as UInt8)
    var needsComma = false
    while let pair = try cursor.next() {
      if needsComma { json.append(0x2C as UInt8) }
      needsComma = true
      try encodePiece(pair.key, of: text, as: .string, &scratch, into: &json)
      json.append(0x3A as UInt8)
      if let value = pair.value {
        try encodePiece(value, of: text, as: .string, &scratch, into: &json)
      } else {
        json.append("null")
      }
    }
    json.append(0x7D as UInt8)
  }
}
