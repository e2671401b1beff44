import PGWire

/// The same values as in JSON and in Avro, in Protobuf's binary encoding.
extension DebeziumEncoder {
  /// Appends a column's field, given as PostgreSQL's text; false, and maybe a part, when the schema
  /// has no way to say the value.
  @inline(__always)
  func encode(
    protobuf text: RawSpan, _ column: RowColumn, _ scratch: inout DebeziumScratch,
    into bytes: inout ByteWriter
  ) -> Bool {
    switch (rule, isArray) {
    case (.string, false):
      bytes.append(field: column.number, ProtobufWire.bytes)
      bytes.append(protobuf: text)
      return true
    case (.integer, false):
      guard let number = NumberText.integer(text) else { return false }
      bytes.append(field: column.number, value: number)
      return true
    case (_, false):
      scratch.nested.depth = 0
      switch rule {
      case .vector, .embedding:
        return encode(protobufVector: text, column.number, into: &bytes)
      case .hstoreMap: return encode(protobufMap: text, column, &scratch, into: &bytes)
      default:
        bytes.append(field: column.number, wire)
        return encode(protobufBody: text, &scratch, into: &bytes)
      }
    case (_, true):
      scratch.nested.depth = 0
      return encode(protobufArray: text, column, &scratch, into: &bytes)
    }
  }

  /// How such values, or an array's elements, are written.
  var wire: UInt8 {
    switch rule {
    case .boolean, .bit, .integer, .days, .timestamp, .time, .interval: ProtobufWire.varint
    case .double where scale == Self.singleBytes, .embedding where scale == Self.singleBytes:
      ProtobufWire.fourBytes
    case .double, .decimalDouble, .moneyDouble, .embedding: ProtobufWire.eightBytes
    case .vector: ProtobufWire.varint
    default: ProtobufWire.bytes
    }
  }

  /// Whether a value is a message, or several values: such a field is there or not, whatever its
  /// value is.
  var isProtobufMessage: Bool {
    switch rule {
    case _ where isArray: true
    case .decimal, .money, .variableDecimal, .point, .geometry, .sparse, .vector, .embedding,
      .hstoreMap, .instant, .calendarDate, .timeOfDay, .structured:
      true
    default: false
    }
  }

  // MARK: - Arrays

  private func encode(
    protobufArray text: RawSpan, _ column: RowColumn, _ scratch: inout DebeziumScratch,
    into bytes: inout ByteWriter
  ) -> Bool {
    do {
      guard let count = try elements(of: text) else { return false }
      if column.isWrapped {
        bytes.append(field: column.number, ProtobufWire.bytes)
        let start = bytes.beginPart()
        guard try encodeElements(protobuf: text, column, &scratch, into: &bytes) else {
          return false
        }
        bytes.endPart(from: start)
        return true
      }
      guard count > 0 else { return true }
      guard wire != ProtobufWire.bytes else {
        return try encodeElements(protobuf: text, column, &scratch, into: &bytes)
      }
      bytes.append(field: column.number, ProtobufWire.bytes)
      let start = bytes.beginPart()
      guard try encodeElements(protobuf: text, column, &scratch, into: &bytes) else {
        return false
      }
      bytes.endPart(from: start)
      return true
    } catch { return false }
  }

  private func encodeElements(
    protobuf text: RawSpan, _ column: RowColumn, _ scratch: inout DebeziumScratch,
    into bytes: inout ByteWriter
  ) throws(DecodingError) -> Bool {
    var cursor = try ArrayText(text, delimiter: delimiter)
    while let token = try cursor.next() {
      switch token {
      case .null:
        // A list has no way to say it; a message without its field has.
        guard column.isWrapped else { return false }
        bytes.append(field: 1, ProtobufWire.bytes)
        bytes.append(0 as UInt8)
      case .element(let piece):
        guard piece.isEscaped else {
          guard encode(element: piece.raw(in: text), column, &scratch, into: &bytes) else {
            return false
          }
          continue
        }
        var plain = scratch.nested.take()
        piece.unescape(text, into: &plain)
        let isKnown = encode(element: plain.bytes, column, &scratch, into: &bytes)
        scratch.nested.putBack(plain)
        guard isKnown else { return false }
      case .open, .close: break
      }
    }
    return true
  }

  private func encode(
    element text: RawSpan, _ column: RowColumn, _ scratch: inout DebeziumScratch,
    into bytes: inout ByteWriter
  ) -> Bool {
    guard column.isWrapped else {
      if wire == ProtobufWire.bytes { bytes.append(field: column.number, wire) }
      return encode(protobufBody: text, &scratch, into: &bytes)
    }
    bytes.append(field: 1, ProtobufWire.bytes)
    let start = bytes.beginPart()
    bytes.append(field: 1, wire)
    guard encode(protobufBody: text, &scratch, into: &bytes) else { return false }
    bytes.endPart(from: start)
    return true
  }

  // MARK: - Scalars

  /// Appends a value without its field's number.
  @inline(never)
  private func encode(
    protobufBody text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    switch rule {
    case .boolean: bytes.append(text.byteCount == 1 && text[0] == 0x74 ? 1 : 0 as UInt8)
    case .bit: bytes.append(text.byteCount == 1 && text[0] == 0x31 ? 1 : 0 as UInt8)
    case .integer:
      guard let number = NumberText.integer(text) else { return false }
      bytes.append(varint: number)
    case .double, .decimalDouble:
      guard let number = NumberText.floating(text) else { return false }
      bytes.append(avro: number, isSingle: scale == Self.singleBytes && rule == .double)
    case .string, .textBytes: bytes.append(protobuf: text)
    case .decimal: return scratch.decimal.append(protobuf: text, scale: Int(scale), to: &bytes)
    case .variableDecimal: return scratch.decimal.append(protobufVariable: text, to: &bytes)
    case .money, .moneyDouble, .moneyString:
      return encode(protobufMoney: text, &scratch, into: &bytes)
    case .days, .timestamp, .time:
      guard let moment = CalendarText(text), let number = number(of: moment) else { return false }
      bytes.append(varint: number)
    case .instant, .calendarDate, .timeOfDay: return encode(protobufMoment: text, into: &bytes)
    case .interval:
      return encode(written: text, &scratch, into: &bytes) { encoder, text, digits in
        encoder.encode(interval: text, into: &digits)
      } as: { digits, bytes in
        guard let number = NumberText.integer(digits) else { return false }
        bytes.append(varint: number)
        return true
      }
    case .structured(let type): return encode(structured: type, protobuf: text, into: &bytes)
    case .bytes:
      guard let digits = try? Base64.hexDigits(text) else { return false }
      bytes.append(varint: UInt64(digits.byteCount / 2))
      return bytes.append(ofDigits: digits)
    case .bits:
      var plain = scratch.nested.take()
      Self.append(bits: text, to: &plain)
      bytes.append(protobuf: plain.bytes)
      scratch.nested.putBack(plain)
    case .point, .geometry: return encode(protobufGeometry: text, &scratch, into: &bytes)
    case .hstoreJSON: return encode(protobufPairs: text, &scratch, into: &bytes)
    case .sparse: return encode(protobufSparse: text, into: &bytes)
    case .decimalString, .dateISO, .timestampISO, .zonedTimestamp, .timeISO, .zonedTime,
      .intervalISO, .base64, .base64URL, .hex, .textBase64URL, .textHex:
      return encode(plain: text, &scratch, into: &bytes) { $1.append(protobuf: $0) }
    case .hstoreMap, .vector, .embedding: return false
    }
    return true
  }

  private func encode(
    protobufMoney text: RawSpan, _ scratch: inout DebeziumScratch, into bytes: inout ByteWriter
  ) -> Bool {
    var plain = scratch.nested.take()
    Self.append(digitsOf: text, to: &plain)
    var isKnown = true
    switch rule {
    case .money:
      isKnown = scratch.decimal.append(protobuf: plain.bytes, scale: Int(scale), to: &bytes)
    case .moneyDouble:
      if let number = NumberText.floating(plain.bytes) {
        bytes.append(avro: number, isSingle: false)
      } else {
        isKnown = false
      }
    default: bytes.append(protobuf: plain.bytes)
    }
    scratch.nested.putBack(plain)
    return isKnown
  }

  /// Moments as Google's messages; what is infinite is as far away as in the other formats, and no
  /// date.
  private func encode(protobufMoment text: RawSpan, into bytes: inout ByteWriter) -> Bool {
    guard let moment = CalendarText(text) else { return false }
    let start = bytes.beginPart()
    switch rule {
    case .instant:
      let units = Int64(scale)
      guard let number = changed(to: .timestamp, scale: scale).number(of: moment) else {
        return false
      }
      let seconds = number.flooredQuotient(units)
      let rest = (number &- seconds &* units) &* (1_000_000_000 / units)
      if seconds != 0 { bytes.append(field: 1, value: seconds) }
      if rest != 0 { bytes.append(field: 2, value: rest) }
    case .calendarDate:
      guard moment.kind == .moment else { return false }
      let date = moment.date
      if date.year != 0 { bytes.append(field: 1, value: date.year) }
      bytes.append(field: 2, value: date.month)
      bytes.append(field: 3, value: date.day)
    default:
      guard moment.kind == .moment else { return false }
      let seconds = moment.microseconds / 1_000_000
      // Connect's times have milliseconds.
      let rest = moment.microseconds % 1_000_000 / 1_000 * 1_000_000
      let time = (seconds / 3600, seconds / 60 % 60, seconds % 60)
      if time.0 != 0 { bytes.append(field: 1, value: time.0) }
      if time.1 != 0 { bytes.append(field: 2, value: time.1) }
      if time.2 != 0 { bytes.append(field: 3, value: time.2) }
      if rest != 0 { bytes.append(field: 4, value: rest) }
    }
    bytes.endPart(from: start)
    return true
  }
}
