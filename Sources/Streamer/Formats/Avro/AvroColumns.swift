import PGWire

/// Writes columns as the fields of an Avro record.
enum AvroWriter: ColumnWriter {
  static let leavesOutUnsent = false

  @inline(__always)
  static func append(
    _ text: RawSpan, _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Bool {
    if column.isOptional { bytes.append(AvroUnion.value) }
    return column.encoder.encode(avro: text, &scratch, into: &bytes)
  }

  @inline(__always)
  static func appendPlaceholder(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) {
    if column.isOptional { bytes.append(AvroUnion.value) }
    prepared.append(column.placeholder.offsets, to: &bytes)
  }

  @inline(__always)
  static func appendNull(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) -> Bool {
    bytes.append(AvroUnion.null)
    return column.isOptional
  }

  static func append(
    placeholderOf encoder: DebeziumEncoder, type: UInt32, _ column: RowColumn,
    _ options: DebeziumOptions, to bytes: inout ByteWriter
  ) {
    encoder.append(avroPlaceholder: options, of: type, to: &bytes)
  }
}

extension DebeziumEncoder {
  /// Appends what stands for a value that was not sent, as in JSON; nothing for types that have no
  /// stand-in.
  fileprivate func append(
    avroPlaceholder options: DebeziumOptions, of type: UInt32, to bytes: inout ByteWriter
  ) {
    // int2[] and inet[].
    guard type != 1005, type != 1041 else { return }
    let text = options.unavailable
    var value = ByteWriter()
    var count = 1
    switch rule {
    case .string, .decimalString, .hex, .bytes, .textBytes: value.append(avro: text)
    case .base64, .base64URL, .textBase64URL, .textHex:
      var plain = ByteWriter()
      plain.append(string: text)
      var characters = ByteWriter()
      Base64.append(characters: plain.bytes, to: &characters)
      value.append(avro: characters.bytes)
    case .hstoreJSON:
      var json = ByteWriter()
      json.append(0x7B as UInt8)
      ConnectText.append(string: text, to: &json)
      json.append(0x3A as UInt8)
      ConnectText.append(string: text, to: &json)
      json.append(0x7D as UInt8)
      value.append(avro: json.bytes)
    case .hstoreMap:
      value.append(zigzag: 1)
      value.append(avro: text)
      value.append(AvroUnion.value)
      value.append(avro: text)
      value.append(0 as UInt8)
    case .integer, .days:
      guard isArray else { return }
      count = text.unicodeScalars.count
      for (number, scalar) in text.unicodeScalars.enumerated() {
        if number > 0 { value.append(AvroUnion.value) }
        value.append(zigzag: Int64(scalar.value))
      }
    default: return
    }
    guard isArray else { return bytes.append(value.bytes) }
    if count > 0 {
      bytes.append(zigzag: Int64(count))
      bytes.append(AvroUnion.value)
      bytes.append(value.bytes)
    }
    bytes.append(0 as UInt8)
  }
}
