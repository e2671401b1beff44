import PGWire

/// Values that are messages, maps and lists in Protobuf.
extension DebeziumEncoder {
  func encode(
    protobufGeometry text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    let start = bytes.beginPart()
    if rule == .point {
      guard let (_, x, y) = Self.coordinates(text) else { return false }
      if x.bitPattern != 0 { Self.append(field: 1, x, to: &bytes) }
      if y.bitPattern != 0 { Self.append(field: 2, y, to: &bytes) }
      bytes.append(field: 3, ProtobufWire.bytes)
      let wkb = bytes.beginPart()
      Self.append(wkb: x, y, to: &bytes)
      bytes.endPart(from: wkb)
    } else {
      let place = Self.place(ofEWKB: text)
      guard place.isKnown else { return false }
      bytes.append(field: 1, ProtobufWire.bytes)
      bytes.append(varint: UInt64(text.byteCount / 2))
      guard bytes.append(ofDigits: text) else { return false }
      if let srid = place.srid {
        // A negative one is none in 32 bits.
        bytes.append(field: 2, value: Int64(Int32(bitPattern: srid)))
      }
    }
    bytes.endPart(from: start)
    return true
  }

  private static func append(field number: Int32, _ value: Double, to bytes: inout ByteWriter) {
    bytes.append(field: number, ProtobufWire.eightBytes)
    bytes.append(avro: value, isSingle: false)
  }

  // MARK: - hstore

  func encode(
    protobufPairs text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    do {
      var json = scratch.nested.take()
      try append(pairs: text, &scratch, to: &json)
      bytes.append(protobuf: json.bytes)
      scratch.nested.putBack(json)
      return true
    } catch { return false }
  }

  func encode(
    protobufMap text: RawSpan, _ column: RowColumn, _ scratch: inout DebeziumScratch,
    into bytes: inout ByteWriter
  ) -> Bool {
    do {
      guard column.isWrapped else {
        return try append(protobufPairsOf: text, column.number, &scratch, to: &bytes)
      }
      bytes.append(field: column.number, ProtobufWire.bytes)
      let start = bytes.beginPart()
      guard try append(protobufPairsOf: text, 1, &scratch, to: &bytes) else { return false }
      bytes.endPart(from: start)
      return true
    } catch { return false }
  }

  private func append(
    protobufPairsOf text: RawSpan, _ number: Int32, _ scratch: inout DebeziumScratch,
    to bytes: inout ByteWriter
  ) throws(DecodingError) -> Bool {
    var cursor = HstoreText(text)
    while let pair = try cursor.next() {
      bytes.append(field: number, ProtobufWire.bytes)
      let start = bytes.beginPart()
      append(protobuf: pair.key, 1, of: text, &scratch, to: &bytes)
      if let value = pair.value {
        append(protobuf: value, 2, of: text, &scratch, to: &bytes)
      }
      bytes.endPart(from: start)
    }
    return true
  }

  private func append(
    protobuf piece: TextPiece, _ number: Int32, of text: RawSpan,
    _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) {
    bytes.append(field: number, ProtobufWire.bytes)
    guard piece.isEscaped else { return bytes.append(protobuf: piece.raw(in: text)) }
    var plain = scratch.nested.take()
    piece.unescape(text, into: &plain)
    bytes.append(protobuf: plain.bytes)
    scratch.nested.putBack(plain)
  }

  // MARK: - Vectors

  /// The numbers of `1 2 3` or `[1,2.5]`, one behind the other.
  func encode(protobufVector text: RawSpan, _ field: Int32, into bytes: inout ByteWriter) -> Bool {
    let isVector = rule == .vector
    guard isVector || text.byteCount >= 2 else { return false }
    let list = isVector ? text : text.extracting(1..<text.byteCount &- 1)
    guard list.byteCount > 0 else { return true }
    bytes.append(field: field, ProtobufWire.bytes)
    let start = bytes.beginPart()
    let separator: UInt8 = isVector ? 0x20 : 0x2C
    var at = 0
    while at <= list.byteCount {
      var next = at
      while next < list.byteCount, list[next] != separator { next &+= 1 }
      let number = list.extracting(at..<next)
      if isVector {
        guard let value = NumberText.integer(number) else { return false }
        bytes.append(varint: value)
      } else {
        guard let value = NumberText.floating(number) else { return false }
        bytes.append(avro: value, isSingle: scale == Self.singleBytes)
      }
      at = next &+ 1
    }
    bytes.endPart(from: start)
    return true
  }

  /// `{1:1.5,5:-2}/7`: the dimensions, and pairs.
  func encode(protobufSparse text: RawSpan, into bytes: inout ByteWriter) -> Bool {
    var slash = text.byteCount &- 1
    while slash > 0, text[slash] != 0x2F { slash &-= 1 }
    guard slash >= 2, text[0] == 0x7B, text[slash &- 1] == 0x7D,
      let dimensions = NumberText.integer(text.extracting(slash &+ 1..<text.byteCount))
    else { return false }
    let start = bytes.beginPart()
    if dimensions != 0 { bytes.append(field: 1, value: dimensions) }
    let pairs = text.extracting(1..<slash &- 1)
    var at = 0
    while at < pairs.byteCount {
      var colon = at
      while colon < pairs.byteCount, pairs[colon] != 0x3A { colon &+= 1 }
      var next = colon
      while next < pairs.byteCount, pairs[next] != 0x2C { next &+= 1 }
      guard colon < next, let place = NumberText.integer(pairs.extracting(at..<colon)),
        let value = NumberText.floating(pairs.extracting(colon &+ 1..<next))
      else { return false }
      bytes.append(field: 2, ProtobufWire.bytes)
      let pair = bytes.beginPart()
      bytes.append(field: 1, value: place)
      Self.append(field: 2, value, to: &bytes)
      bytes.endPart(from: pair)
      at = next &+ 1
    }
    bytes.endPart(from: start)
    return true
  }
}
