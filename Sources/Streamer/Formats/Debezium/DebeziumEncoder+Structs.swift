import PGWire

/// Values that are structs, maps and lists in Connect.
extension DebeziumEncoder {
  // MARK: - Geometry

  func encode(
    geometry text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    rule == .point ? encode(point: text, &scratch, into: &json) : encode(ewkb: text, into: &json)
  }

  /// `(1,2)` as its numbers and as well-known binary, in the byte order of most machines.
  private func encode(
    point text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    let count = text.byteCount
    guard let (comma, x, y) = Self.coordinates(text) else { return false }
    json.append("{\"x\":")
    JavaNumber.append(text.extracting(1..<comma), to: &json)
    json.append(",\"y\":")
    JavaNumber.append(text.extracting(comma &+ 1..<count &- 1), to: &json)
    json.append(",\"wkb\":")
    var bytes = scratch.nested.take()
    Self.append(wkb: x, y, to: &bytes)
    Base64.append(bytes.bytes, to: &json)
    scratch.nested.putBack(bytes)
    json.append(",\"srid\":null}")
    return true
  }

  /// The numbers of `(1,2)`, and where the comma is.
  static func coordinates(_ text: RawSpan) -> (comma: Int, x: Double, y: Double)? {
    let count = text.byteCount
    guard count >= 5, text[0] == UInt8(ascii: "("), text[count &- 1] == UInt8(ascii: ")") else {
      return nil
    }
    var comma = 1
    while comma < count, text[comma] != 0x2C { comma &+= 1 }
    guard comma < count &- 2, let x = JavaNumber.double(text.extracting(1..<comma)),
      let y = JavaNumber.double(text.extracting(comma &+ 1..<count &- 1))
    else { return nil }
    return (comma, x, y)
  }

  /// Appends a point as well-known binary, 21 bytes.
  static func append(wkb x: Double, _ y: Double, to bytes: inout ByteWriter) {
    bytes.append(0x01 as UInt8)
    bytes.append(bigEndian: UInt32(1).byteSwapped)
    bytes.append(bigEndian: x.bitPattern.byteSwapped)
    bytes.append(bigEndian: y.bitPattern.byteSwapped)
  }

  /// The SRID that PostGIS's hexadecimal digits may hold; nil when they are none.
  static func place(ofEWKB text: RawSpan) -> (srid: UInt32?, isKnown: Bool) {
    guard text.byteCount >= 18, text.byteCount & 1 == 0 else { return (nil, false) }
    var header: UInt64 = 0
    for at in 0..<18 {
      let byte = text[at] | 0x20
      let nibble = byte &- 0x30 < 10 ? byte &- 0x30 : byte &- 0x57
      guard nibble < 16 else { return (nil, false) }
      if at >= 2 { header = header &<< 4 | UInt64(nibble) }
    }
    let isLittle = text[1] == 0x31
    let type = UInt32(truncatingIfNeeded: header &>> 32)
    let place = UInt32(truncatingIfNeeded: header)
    let hasSRID = (isLittle ? type.byteSwapped : type) & 0x2000_0000 != 0
    return (hasSRID ? (isLittle ? place.byteSwapped : place) : nil, true)
  }

  /// PostGIS's hexadecimal digits as bytes, and the SRID that they may hold.
  private func encode(ewkb text: RawSpan, into json: inout ByteWriter) -> Bool {
    let place = Self.place(ofEWKB: text)
    guard place.isKnown else { return false }
    json.append("{\"wkb\":")
    do { try Base64.append(digits: text, to: &json) } catch { return false }
    json.append(",\"srid\":")
    if let srid = place.srid {
      json.append(decimal: UInt64(srid))
    } else {
      json.append("null")
    }
    json.append("}")
    return true
  }

  // MARK: - hstore

  func encode(
    hstore text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    do {
      guard rule == .hstoreJSON else {
        try append(pairs: text, &scratch, to: &json)
        return true
      }
      var map = scratch.nested.take()
      try append(pairs: text, &scratch, to: &map)
      ConnectText.append(map.bytes, to: &json)
      scratch.nested.putBack(map)
      return true
    } catch { return false }
  }

  func append(
    pairs text: RawSpan, _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = HstoreText(text)
    json.append(0x7B as UInt8)
    var needsComma = false
    while let pair = try cursor.next() {
      if needsComma { json.append(0x2C as UInt8) }
      needsComma = true
      append(pair.key, of: text, &scratch, to: &json)
      json.append(0x3A as UInt8)
      if let value = pair.value {
        append(value, of: text, &scratch, to: &json)
      } else {
        json.append("null")
      }
    }
    json.append(0x7D as UInt8)
  }

  private func append(
    _ piece: TextPiece, of text: RawSpan, _ scratch: inout DebeziumScratch,
    to json: inout ByteWriter
  ) {
    guard piece.isEscaped else { return ConnectText.append(piece.raw(in: text), to: &json) }
    var plain = scratch.nested.take()
    piece.unescape(text, into: &plain)
    ConnectText.append(plain.bytes, to: &json)
    scratch.nested.putBack(plain)
  }

  // MARK: - Vectors

  func encode(vector text: RawSpan, into json: inout ByteWriter) -> Bool {
    switch rule {
    case .vector:
      list(text, from: 0, to: text.byteCount, separator: 0x20, isInteger: true, &json)
    case .embedding:
      text.byteCount >= 2
        && list(text, from: 1, to: text.byteCount &- 1, separator: 0x2C, isInteger: false, &json)
    default: encode(sparse: text, into: &json)
    }
  }

  private func list(
    _ text: RawSpan, from start: Int, to end: Int, separator: UInt8, isInteger: Bool,
    _ json: inout ByteWriter
  ) -> Bool {
    json.append(0x5B as UInt8)
    var at = start
    while at < end {
      var next = at
      while next < end, text[next] != separator { next &+= 1 }
      if at > start { json.append(0x2C as UInt8) }
      let number = text.extracting(at..<next)
      if isInteger {
        guard JSONNumber.isInteger(number) else { return false }
        json.append(short: number)
      } else {
        JavaNumber.append(number, to: &json)
      }
      at = next &+ 1
    }
    json.append(0x5D as UInt8)
    return true
  }

  /// `{1:1.5,5:-2}/7`: Connect's converter writes a map whose keys are no strings as a list of pairs.
  private func encode(sparse text: RawSpan, into json: inout ByteWriter) -> Bool {
    var slash = text.byteCount &- 1
    while slash > 0, text[slash] != 0x2F { slash &-= 1 }
    guard slash >= 2, text[0] == 0x7B, text[slash &- 1] == 0x7D else { return false }
    guard JSONNumber.isInteger(text.extracting(slash &+ 1..<text.byteCount)) else { return false }
    json.append("{\"dimensions\":")
    json.append(short: text.extracting(slash &+ 1..<text.byteCount))
    json.append(",\"vector\":[")
    var at = 1
    let end = slash &- 1
    while at < end {
      if at > 1 { json.append(0x2C as UInt8) }
      json.append(0x5B as UInt8)
      var next = at
      while next < end, text[next] != 0x3A { next &+= 1 }
      guard JSONNumber.isInteger(text.extracting(at..<next)) else { return false }
      json.append(short: text.extracting(at..<next))
      json.append(0x2C as UInt8)
      at = min(next &+ 1, end)
      while next < end, text[next] != 0x2C { next &+= 1 }
      JavaNumber.append(text.extracting(at..<next), to: &json)
      json.append(0x5D as UInt8)
      at = next &+ 1
    }
    json.append("]}")
    return true
  }
}
