import KafkaBridge
import PGWire

/// How the events of one table are written in Debezium's envelope.
///
/// Nothing here allocates for a row but the headers of a changed key: names, stand-ins and encoders
/// are worked out once for each Relation message.
final class DebeziumTablePlan: TablePlan {
  /// One column.
  private struct Column: BitwiseCopyable {
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
  /// Schema and table as members of the source.
  private let names: Range<Int>
  /// What stands before each value; empty without schemas.
  private let schema: Range<Int>
  private let columns: OwnedArray<Column>
  private let key: DebeziumKey
  private let hasPartialOldRows: Bool
  private let options: DebeziumOptions
  private let skips: (insert: Bool, update: Bool, delete: Bool, truncate: Bool)

  let holdsComposites = false

  init(
    _ table: Table, types: TypeCatalog, _ options: DebeziumOptions, key format: KeyFormat,
    name: String
  ) {
    let relation = table.relation
    var prepared = ByteWriter()
    var fields: [DebeziumSchema.Field] = []
    ConnectText.append(string: relation.schema, to: &prepared)
    prepared.append(",\"table\":")
    ConnectText.append(string: relation.name, to: &prepared)
    names = 0..<prepared.count
    columns = OwnedArray(count: relation.columns.count) { index in
      let column = relation.columns[index]
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
      return Column(
        encoder: encoder ?? DebeziumEncoder(.string), isOmitted: encoder == nil,
        isIdentity: column.isKey, name: PreparedRange(start, end),
        placeholder: PreparedRange(end, prepared.count))
    }
    let start = prepared.count
    if options.schemas {
      DebeziumSchema(options).append(
        envelopeOf: "\(name).\(table.qualifiedName)", fields, types, to: &prepared)
    }
    schema = start..<prepared.count
    self.prepared = PreparedBytes(prepared)
    key = DebeziumKey(table, types: types, options, format: format, name: name)
    hasPartialOldRows = table.hasPartialOldRows
    self.options = options
    let skipped = options.skippedOperations
    skips = (
      skipped.contains("c"), skipped.contains("u"), skipped.contains("d"), skipped.contains("t")
    )
  }

  var ownedBytes: Int { prepared.count + key.ownedBytes }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool { true }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    switch event.action {
    case .insert: if skips.insert { return }
    case .update: if skips.update { return }
    case .delete: if skips.delete { return }
    default: break
    }
    let headers = event.part == .none ? [] : key.headers(event, &state)
    let partition = key.partitionHash(event, &state)
    let keyBytes = key.append(event, &state, to: &batch.bytes)
    let start = batch.bytes.count
    append(event, &state, to: &batch.bytes)
    batch.add(
      key: keyBytes, value: start..<batch.bytes.count, route: route, ticket: ticket,
      headers: headers, partitionHash: partition)
    guard event.action == .delete, options.tombstones else { return }
    let again = batch.bytes.count
    if let keyBytes { batch.bytes.append(copyOf: keyBytes) }
    batch.add(
      key: keyBytes == nil ? nil : again..<batch.bytes.count, value: nil, route: route,
      ticket: ticket, headers: headers, partitionHash: partition)
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    guard !skips.truncate else { return }
    let start = batch.bytes.count
    prepared.append(schema, to: &batch.bytes)
    batch.bytes.append("{\"before\":null,\"after\":null")
    appendEnd("t", record.event.lsn, state, to: &batch.bytes)
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket)
  }

  // MARK: - Parts

  private func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to json: inout ByteWriter
  ) {
    prepared.append(schema, to: &json)
    json.append("{\"before\":")
    if event.showsOld, event.oldImage != .none {
      appendOld(event, &state.debezium.scratch, to: &json)
    } else {
      json.append("null")
    }
    json.append(",\"after\":")
    if event.action == .delete {
      json.append("null")
    } else {
      appendNew(event, &state.debezium.scratch, to: &json)
    }
    let operation: StaticString =
      switch event.action {
      case .update: "u"
      case .delete: "d"
      case .read: "r"
      default: "c"
      }
    appendEnd(operation, event.place.lsn, state, to: &json)
  }

  @inline(__always)
  private func appendEnd(
    _ operation: StaticString, _ lsn: LSN, _ state: borrowing EncodingState,
    to json: inout ByteWriter
  ) {
    DebeziumFormat.appendSource(state, lsn: lsn, names: prepared, names, to: &json)
    json.append(",\"op\":\"")
    json.append(operation)
    json.append(state.debezium.end.bytes)
    if !schema.isEmpty { json.append("}") }
  }

  /// Appends a member's name, after a comma unless it is the first.
  @inline(__always)
  private func append(_ column: Column, isFirst: Bool, to json: inout ByteWriter) {
    prepared.append(column.name.offsets(without: isFirst ? 1 : 0), to: &json)
  }

  private func appendNew(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) {
    json.append(0x7B as UInt8)
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
    json.append(0x7D as UInt8)
  }

  /// The old row; what the server did not send of it is null.
  private func appendOld(
    _ event: borrowing RowEvent, _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) {
    json.append(0x7B as UInt8)
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
    json.append(0x7D as UInt8)
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

extension DebeziumOptions.Names {
  /// A name in which what Avro does not take is replaced.
  func adjusted(_ name: String) -> String {
    guard self != .none else { return name }
    var adjusted = ""
    for (index, scalar) in name.unicodeScalars.enumerated() {
      let isLetter =
        scalar.isASCII
        && (scalar.properties.isAlphabetic || scalar == "_"
          || (index > 0 && ("0"..."9").contains(scalar)))
      let isEscape = self == .avroUnicode && scalar == "_"
      if isLetter, !isEscape {
        adjusted.unicodeScalars.append(scalar)
      } else if self == .avro {
        adjusted += index == 0 && ("0"..."9").contains(scalar) ? "_\(scalar)" : "_"
      } else {
        let code = String(scalar.value, radix: 16)
        adjusted += "_u" + String(repeating: "0", count: max(0, 4 - code.count)) + code
      }
    }
    return adjusted
  }
}
