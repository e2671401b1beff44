import PGWire

/// How the columns of one table are written as members of a JSON object, as Debezium's formats have
/// them.
struct DebeziumColumns: ~Copyable {
  /// One column; not private, see ``DebeziumKey/Column``.
  struct Column: BitwiseCopyable {
    /// Its rule; a column that is left out has none.
    let encoder: DebeziumEncoder
    let isOmitted: Bool
    /// Whether the server sends it where it sends a row's identity only.
    let isIdentity: Bool
    /// Where its name stands, with a comma before and a colon after it.
    let name: PreparedRange
    /// Where the stand-in for a value that was not sent is; empty where its type has none.
    let placeholder: PreparedRange
  }

  private let prepared: PreparedBytes
  private let columns: OwnedArray<Column>

  /// Works them out; with schemas `fields` gets those that are written.
  init(
    _ table: Table, types: TypeCatalog, _ options: DebeziumOptions,
    fields: inout [DebeziumSchema.Field]
  ) {
    let relation = table.relation
    var prepared = ByteWriter()
    var written: [DebeziumSchema.Field] = []
    columns = OwnedArray(count: relation.columns.count) { index in
      let column = relation.columns[index]
      let encoder = DebeziumEncoder(column.type, column.typeModifier, types, options)
      let start = prepared.count
      prepared.append(0x2C as UInt8)
      ConnectText.append(string: options.fieldNames.adjusted(column.name), to: &prepared)
      prepared.append(0x3A as UInt8)
      let end = prepared.count
      if let encoder, options.schemas {
        written.append(
          DebeziumSchema.Field(
            name: column.name, type: column.type, modifier: column.typeModifier, encoder: encoder,
            isOptional: !table.key.contains(index)))
      }
      encoder?.append(placeholder: options, of: column.type, to: &prepared)
      return Column(
        encoder: encoder ?? DebeziumEncoder(.string), isOmitted: encoder == nil,
        isIdentity: column.isKey, name: PreparedRange(start, end),
        placeholder: PreparedRange(end, prepared.count))
    }
    fields = written
    self.prepared = PreparedBytes(prepared)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// Appends a member's name, after a comma unless it is the first.
  @inline(__always)
  private func append(_ column: Column, isFirst: Bool, to json: inout ByteWriter) {
    prepared.append(column.name.offsets(without: isFirst ? 1 : 0), to: &json)
  }

  /// Appends the members of the new row, without braces; says whether there is none.
  func appendNew(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) -> Bool {
    var cursor = event.row.columns
    var isFirst = true
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      switch value {
      case .text(let text):
        append(column, isFirst: isFirst, to: &json)
        column.encoder.encode(text, &scratch, into: &json)
      case .unchangedToast:
        if event.oldImage == .full, case .text(let text) = event.old.value(at: index) {
          append(column, isFirst: isFirst, to: &json)
          column.encoder.encode(text, &scratch, into: &json)
        } else if !column.placeholder.isEmpty {
          append(column, isFirst: isFirst, to: &json)
          prepared.append(column.placeholder.offsets, to: &json)
        } else {
          continue
        }
      case .null, .binary:
        append(column, isFirst: isFirst, to: &json)
        json.append("null")
      }
      isFirst = false
    }
    return isFirst
  }

  /// The same of the old row; what the server did not send of it is null.
  func appendOld(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) -> Bool {
    var cursor = event.old.columns
    var isFirst = true
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      if column.isOmitted { continue }
      append(column, isFirst: isFirst, to: &json)
      isFirst = false
      if case .text(let text) = value, event.oldImage == .full || column.isIdentity {
        column.encoder.encode(text, &scratch, into: &json)
      } else {
        json.append("null")
      }
    }
    return isFirst
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
