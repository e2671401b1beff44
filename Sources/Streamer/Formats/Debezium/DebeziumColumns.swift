import PGWire

/// How the columns of one table are written as members of a JSON object, as Debezium's formats have
/// them: without braces.
typealias DebeziumColumns = RowColumns<JSONColumnWriter>

extension RowColumns where Writer == JSONColumnWriter {
  /// Works them out; with schemas `fields` gets those that are written.
  init(
    _ table: Table, types: TypeCatalog, _ options: DebeziumOptions,
    fields: inout [DebeziumSchema.Field]
  ) {
    var prepared = ByteWriter()
    var columns: [RowColumn] = []
    for (index, column) in table.relation.columns.enumerated() {
      let encoder = DebeziumEncoder(column.type, column.typeModifier, types, options)
      let start = prepared.count
      prepared.append(0x2C as UInt8)
      ConnectText.append(string: options.fieldNames.adjusted(column.name), to: &prepared)
      prepared.append(0x3A as UInt8)
      let end = prepared.count
      if let encoder, options.schemas {
        fields.append(
          DebeziumSchema.Field(
            name: column.name, type: column.type, modifier: column.typeModifier, encoder: encoder,
            isOptional: !table.key.contains(index)))
      }
      encoder?.append(placeholder: options, of: column.type, to: &prepared)
      columns.append(
        RowColumn(
          encoder: encoder ?? DebeziumEncoder(.string), isOmitted: encoder == nil,
          isIdentity: column.isKey, name: PreparedRange(start, end),
          placeholder: PreparedRange(end, prepared.count)))
    }
    self.init(columns, prepared)
  }
}

/// Writes columns as members of a JSON object, which needs no schema to say a value.
enum JSONColumnWriter: ColumnWriter {
  static let leavesOutUnsent = true

  @inline(__always)
  static func append(
    _ text: RawSpan, _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Bool {
    prepared.append(column.name.offsets(without: isFirst ? 1 : 0), to: &bytes)
    column.encoder.encode(text, &scratch, into: &bytes)
    return true
  }

  @inline(__always)
  static func appendPlaceholder(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) {
    prepared.append(column.name.offsets(without: isFirst ? 1 : 0), to: &bytes)
    prepared.append(column.placeholder.offsets, to: &bytes)
  }

  @inline(__always)
  static func appendNull(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) -> Bool {
    prepared.append(column.name.offsets(without: isFirst ? 1 : 0), to: &bytes)
    bytes.append("null")
    return true
  }
}

extension DebeziumEncoder {
  /// Appends what stands for a value that was not sent, as Debezium has it for the type; nothing for
  /// types that have no stand-in.
  fileprivate func append(
    placeholder options: DebeziumOptions, of type: UInt32, to json: inout ByteWriter
  ) {
    // int2[] and inet[].
    guard type != 1005, type != 1041 else { return }
    let text = options.unavailable
    if isArray { json.append(0x5B as UInt8) }
    let start = json.count
    switch rule {
    case .string, .decimalString, .hex: ConnectText.append(string: text, to: &json)
    case .bytes, .base64, .base64URL, .textBytes, .textBase64URL, .textHex:
      let bytes = Array(text.utf8)
      Base64.append(unsafe bytes.span.bytes, to: &json)
    case .hstoreJSON, .hstoreMap:
      var map = ByteWriter()
      map.append(0x7B as UInt8)
      ConnectText.append(string: text, to: &map)
      map.append(0x3A as UInt8)
      ConnectText.append(string: text, to: &map)
      map.append(0x7D as UInt8)
      if rule == .hstoreMap {
        json.append(map.bytes)
      } else {
        ConnectText.append(map.bytes, to: &json)
      }
    case .integer, .days:
      if isArray {
        let codes = text.unicodeScalars.map { "\($0.value)" }
        json.append(string: codes.joined(separator: ","))
      }
    default: break
    }
    guard isArray else { return }
    if json.count == start {
      json.truncate(to: start - 1)
    } else {
      json.append(0x5D as UInt8)
    }
  }
}
