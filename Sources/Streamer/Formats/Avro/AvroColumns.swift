import PGWire

/// How the columns of one table are written as the fields of an Avro record.
struct AvroColumns: ~Copyable {
  /// One column; not private, see ``DebeziumKey/Column``.
  struct Column: BitwiseCopyable {
    /// Its rule; a column that is left out has none.
    let encoder: DebeziumEncoder
    let isOmitted: Bool
    /// Whether it stands in a union with null.
    let isOptional: Bool
    /// Whether the server sends it where it sends a row's identity only.
    let isIdentity: Bool
    /// Where the stand-in for a value that was not sent is; empty where its type has none.
    let placeholder: PreparedRange
  }

  private let prepared: PreparedBytes
  private let columns: OwnedArray<Column>

  /// Works them out.
  init(_ table: Table, types: TypeCatalog, _ writer: SchemaWriter) {
    let relation = table.relation
    var prepared = ByteWriter()
    columns = OwnedArray(count: relation.columns.count) { index in
      let column = relation.columns[index]
      let encoder = writer.encoder(column, types)
      let start = prepared.count
      encoder?.append(avroPlaceholder: writer.options, of: column.type, to: &prepared)
      return Column(
        encoder: encoder ?? DebeziumEncoder(.string), isOmitted: encoder == nil,
        isOptional: writer.isOptional(index, of: table), isIdentity: column.isKey,
        placeholder: PreparedRange(start, prepared.count))
    }
    self.prepared = PreparedBytes(prepared)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// Appends the fields of the new row; gives the column whose value cannot be said, nil for none.
  func appendNew(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Int? {
    var cursor = event.row.columns
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      switch value {
      case .text(let text):
        if column.isOptional { bytes.append(AvroUnion.value) }
        guard column.encoder.encode(avro: text, &scratch, into: &bytes) else { return index }
      case .unchangedToast:
        if event.oldImage == .full, case .text(let text) = event.old.value(at: index) {
          if column.isOptional { bytes.append(AvroUnion.value) }
          guard column.encoder.encode(avro: text, &scratch, into: &bytes) else { return index }
        } else if !column.placeholder.isEmpty {
          if column.isOptional { bytes.append(AvroUnion.value) }
          prepared.append(column.placeholder.offsets, to: &bytes)
        } else {
          guard column.isOptional else { return index }
          bytes.append(AvroUnion.null)
        }
      case .null, .binary:
        guard column.isOptional else { return index }
        bytes.append(AvroUnion.null)
      }
    }
    return nil
  }

  /// The same of the old row; what the server did not send of it is null.
  func appendOld(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Int? {
    var cursor = event.old.columns
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      if case .text(let text) = value, event.oldImage == .full || column.isIdentity {
        if column.isOptional { bytes.append(AvroUnion.value) }
        guard column.encoder.encode(avro: text, &scratch, into: &bytes) else { return index }
      } else {
        guard column.isOptional else { return index }
        bytes.append(AvroUnion.null)
      }
    }
    return nil
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
