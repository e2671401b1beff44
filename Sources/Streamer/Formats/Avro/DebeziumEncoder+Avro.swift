import PGWire

/// The same values as in JSON, in Avro's binary encoding.
extension DebeziumEncoder {
  /// Appends a value, given as PostgreSQL's text; false, and maybe a part, when the schema has no
  /// way to say it.
  @inline(__always)
  func encode(
    avro text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    switch (rule, isArray) {
    case (.string, false):
      bytes.append(avro: text)
      return true
    case (.integer, false):
      guard let number = NumberText.integer(text) else { return false }
      bytes.append(zigzag: number)
      return true
    case (_, false):
      scratch.nested.depth = 0
      return encodeScalar(avro: text, &scratch, into: &bytes)
    case (_, true): return encodeArray(avro: text, &scratch, into: &bytes)
    }
  }

  // MARK: - Arrays

  private func encodeArray(
    avro text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    scratch.nested.depth = 0
    do {
      guard let count = try elements(of: text) else { return false }
      if count > 0 {
        bytes.append(zigzag: Int64(count))
        guard try encodeElements(avro: text, &scratch, into: &bytes) else { return false }
      }
      bytes.append(0 as UInt8)
      return true
    } catch { return false }
  }

  /// How many elements an array has; nil when it has several dimensions, which the schema has not.
  func elements(of text: RawSpan) throws(DecodingError) -> Int? {
    var cursor = try ArrayText(text, delimiter: delimiter)
    var count = 0
    var depth = 0
    while let token = try cursor.next() {
      switch token {
      case .open:
        depth &+= 1
        if depth > 1 { return nil }
      case .close: depth &-= 1
      case .null, .element: count &+= 1
      }
    }
    return count
  }

  private func encodeElements(
    avro text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) throws(DecodingError) -> Bool {
    var cursor = try ArrayText(text, delimiter: delimiter)
    while let token = try cursor.next() {
      switch token {
      case .null: bytes.append(AvroUnion.null)
      case .element(let piece):
        bytes.append(AvroUnion.value)
        guard piece.isEscaped else {
          guard encodeScalar(avro: piece.raw(in: text), &scratch, into: &bytes) else {
            return false
          }
          continue
        }
        var plain = scratch.nested.take()
        piece.unescape(text, into: &plain)
        let isKnown = encodeScalar(avro: plain.bytes, &scratch, into: &bytes)
        scratch.nested.putBack(plain)
        guard isKnown else { return false }
      case .open, .close: break
      }
    }
    return true
  }

  // MARK: - Scalars

  @inline(never)
  private func encodeScalar(
    avro text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    switch rule {
    case .boolean: bytes.append(text.byteCount == 1 && text[0] == 0x74 ? 1 : 0 as UInt8)
    case .bit: bytes.append(text.byteCount == 1 && text[0] == 0x31 ? 1 : 0 as UInt8)
    case .integer:
      guard let number = NumberText.integer(text) else { return false }
      bytes.append(zigzag: number)
    case .double, .decimalDouble:
      guard let number = NumberText.floating(text) else { return false }
      bytes.append(avro: number, isSingle: scale == Self.singleBytes && rule == .double)
    case .string: bytes.append(avro: text)
    case .decimal: return scratch.decimal.append(avro: text, scale: Int(scale), to: &bytes)
    case .variableDecimal: return scratch.decimal.append(avroVariable: text, to: &bytes)
    case .money, .moneyDouble, .moneyString: return encode(avroMoney: text, &scratch, into: &bytes)
    case .days, .timestamp, .time:
      guard let moment = CalendarText(text), let number = number(of: moment) else { return false }
      bytes.append(zigzag: number)
    case .interval:
      return encode(written: text, &scratch, into: &bytes) { encoder, text, digits in
        encoder.encode(interval: text, into: &digits)
      } as: { digits, bytes in
        guard let number = NumberText.integer(digits) else { return false }
        bytes.append(zigzag: number)
        return true
      }
    case .structured(let type): return encode(structured: type, avro: text, into: &bytes)
    case .bytes:
      guard let digits = try? Base64.hexDigits(text) else { return false }
      bytes.append(zigzag: Int64(digits.byteCount / 2))
      return bytes.append(ofDigits: digits)
    case .textBytes: bytes.append(avro: text)
    case .bits:
      var plain = scratch.nested.take()
      Self.append(bits: text, to: &plain)
      bytes.append(avro: plain.bytes)
      scratch.nested.putBack(plain)
    case .point, .geometry: return encode(avroGeometry: text, &scratch, into: &bytes)
    case .hstoreJSON, .hstoreMap: return encode(avroPairs: text, &scratch, into: &bytes)
    case .vector, .embedding, .sparse: return encode(avroVector: text, into: &bytes)
    case .decimalString, .dateISO, .timestampISO, .zonedTimestamp, .timeISO, .zonedTime,
      .intervalISO, .base64, .base64URL, .hex, .textBase64URL, .textHex:
      return encode(plain: text, &scratch, into: &bytes) { $1.append(avro: $0) }
    case .instant, .calendarDate, .timeOfDay: return false
    }
    return true
  }

  /// Appends, in the way that is given, what JSON has as a string without an escape in it.
  func encode(
    plain text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter,
    as append: (RawSpan, inout ByteWriter) -> Void
  ) -> Bool {
    encode(written: text, &scratch, into: &bytes) { encoder, text, json in
      switch encoder.rule {
      case .decimalString: encoder.encode(decimal: text, into: &json)
      case .intervalISO: return encoder.encode(interval: text, into: &json)
      case .base64, .base64URL, .hex: return encoder.encode(bytes: text, into: &json)
      case .textBase64URL, .textHex: encoder.encode(bytesOf: text, into: &json)
      default: return encoder.encode(moment: text, into: &json)
      }
      return true
    } as: { json, bytes in
      guard json.byteCount >= 2, json[0] == 0x22 else { return false }
      append(json.extracting(1..<json.byteCount &- 1), &bytes)
      return true
    }
  }

  /// Writes a value as JSON first, and appends what is made of that.
  func encode(
    written text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter,
    _ write: (DebeziumEncoder, RawSpan, inout ByteWriter) -> Bool,
    as append: (RawSpan, inout ByteWriter) -> Bool
  ) -> Bool {
    var plain = scratch.nested.take()
    let isKnown = write(self, text, &plain) && append(plain.bytes, &bytes)
    scratch.nested.putBack(plain)
    return isKnown
  }

  private func encode(
    avroMoney text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    var plain = scratch.nested.take()
    Self.append(digitsOf: text, to: &plain)
    var isKnown = true
    switch rule {
    case .money:
      isKnown = scratch.decimal.append(avro: plain.bytes, scale: Int(scale), to: &bytes)
    case .moneyDouble:
      if let number = NumberText.floating(plain.bytes) {
        bytes.append(avro: number, isSingle: false)
      } else {
        isKnown = false
      }
    default: bytes.append(avro: plain.bytes)
    }
    scratch.nested.putBack(plain)
    return isKnown
  }
}

/// The branches of a union of null and something else, as they are written.
enum AvroUnion {
  static let null: UInt8 = 0
  static let value: UInt8 = 2
}
