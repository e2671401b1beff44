import PGWire

/// Values that are records, maps and arrays in Avro.
extension DebeziumEncoder {
  func encode(
    avroGeometry text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    if rule == .point {
      guard let (_, x, y) = Self.coordinates(text) else { return false }
      bytes.append(avro: x, isSingle: false)
      bytes.append(avro: y, isSingle: false)
      bytes.append(AvroUnion.value)
      var plain = scratch.nested.take()
      Self.append(wkb: x, y, to: &plain)
      bytes.append(avro: plain.bytes)
      scratch.nested.putBack(plain)
      bytes.append(AvroUnion.null)
      return true
    }
    let place = Self.place(ofEWKB: text)
    guard place.isKnown else { return false }
    bytes.append(zigzag: Int64(text.byteCount / 2))
    guard bytes.append(ofDigits: text) else { return false }
    if let srid = place.srid {
      bytes.append(AvroUnion.value)
      bytes.append(zigzag: Int64(srid))
    } else {
      bytes.append(AvroUnion.null)
    }
    return true
  }

  func encode(
    avroPairs text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    do {
      guard rule == .hstoreJSON else { return try append(avroMap: text, &scratch, to: &bytes) }
      var json = scratch.nested.take()
      try append(pairs: text, &scratch, to: &json)
      bytes.append(avro: json.bytes)
      scratch.nested.putBack(json)
      return true
    } catch { return false }
  }

  private func append(
    avroMap text: RawSpan, _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) throws(DecodingError) -> Bool {
    var counter = HstoreText(text)
    var count = 0
    while try counter.next() != nil { count &+= 1 }
    if count > 0 {
      bytes.append(zigzag: Int64(count))
      var cursor = HstoreText(text)
      while let pair = try cursor.next() {
        append(avro: pair.key, of: text, &scratch, to: &bytes)
        if let value = pair.value {
          bytes.append(AvroUnion.value)
          append(avro: value, of: text, &scratch, to: &bytes)
        } else {
          bytes.append(AvroUnion.null)
        }
      }
    }
    bytes.append(0 as UInt8)
    return true
  }

  private func append(
    avro piece: TextPiece, of text: RawSpan, _ scratch: inout DebeziumScratch,
    to bytes: inout ByteWriter
  ) {
    guard piece.isEscaped else { return bytes.append(avro: piece.raw(in: text)) }
    var plain = scratch.nested.take()
    piece.unescape(text, into: &plain)
    bytes.append(avro: plain.bytes)
    scratch.nested.putBack(plain)
  }

  // MARK: - Vectors

  func encode(avroVector text: RawSpan, into bytes: inout ByteWriter) -> Bool {
    switch rule {
    case .vector: return list(avro: text, separator: 0x20, into: &bytes)
    case .embedding:
      guard text.byteCount >= 2 else { return false }
      return list(
        avro: text.extracting(1..<text.byteCount &- 1), separator: 0x2C, into: &bytes)
    default: return encode(avroSparse: text, into: &bytes)
    }
  }

  private func list(avro text: RawSpan, separator: UInt8, into bytes: inout ByteWriter) -> Bool {
    guard text.byteCount > 0 else {
      bytes.append(0 as UInt8)
      return true
    }
    bytes.append(zigzag: Int64(Self.count(of: separator, in: text) &+ 1))
    var at = 0
    while at <= text.byteCount {
      var next = at
      while next < text.byteCount, text[next] != separator { next &+= 1 }
      let number = text.extracting(at..<next)
      if rule == .vector {
        guard let value = NumberText.integer(number) else { return false }
        bytes.append(zigzag: value)
      } else {
        guard let value = NumberText.floating(number) else { return false }
        bytes.append(avro: value, isSingle: scale == Self.singleBytes)
      }
      at = next &+ 1
    }
    bytes.append(0 as UInt8)
    return true
  }

  private static func count(of byte: UInt8, in text: RawSpan) -> Int {
    var count = 0
    for at in 0..<text.byteCount where text[at] == byte { count &+= 1 }
    return count
  }

  /// `{1:1.5,5:-2}/7`: the dimensions, and an array of pairs.
  private func encode(avroSparse text: RawSpan, into bytes: inout ByteWriter) -> Bool {
    var slash = text.byteCount &- 1
    while slash > 0, text[slash] != 0x2F { slash &-= 1 }
    guard slash >= 2, text[0] == 0x7B, text[slash &- 1] == 0x7D,
      let dimensions = NumberText.integer(text.extracting(slash &+ 1..<text.byteCount))
    else { return false }
    bytes.append(zigzag: dimensions)
    let pairs = text.extracting(1..<slash &- 1)
    if pairs.byteCount > 0 {
      bytes.append(zigzag: Int64(Self.count(of: 0x2C, in: pairs) &+ 1))
      var at = 0
      while at <= pairs.byteCount {
        var colon = at
        while colon < pairs.byteCount, pairs[colon] != 0x3A { colon &+= 1 }
        var next = colon
        while next < pairs.byteCount, pairs[next] != 0x2C { next &+= 1 }
        guard colon < next, let place = NumberText.integer(pairs.extracting(at..<colon)),
          let value = NumberText.floating(pairs.extracting(colon &+ 1..<next))
        else { return false }
        bytes.append(zigzag: place)
        bytes.append(avro: value, isSingle: false)
        at = next &+ 1
      }
    }
    bytes.append(0 as UInt8)
    return true
  }
}
