import KafkaBridge
import PGWire

/// How the events of one table are written in Debezium's envelope.
///
/// Nothing here allocates for a row but the headers of a changed key: names, stand-ins and encoders
/// are worked out once for each Relation message.
final class DebeziumTablePlan: TablePlan {
  private let prepared: PreparedBytes
  /// Schema and table as members of the source.
  private let names: Range<Int>
  /// What stands before each value: its schema, or the number of one; empty without.
  private let schema: Range<Int>
  /// Whether a brace closes what the schema has opened.
  private let closes: Bool
  private let columns: DebeziumColumns
  private let key: DebeziumKey
  private let hasPartialOldRows: Bool
  private let hasTombstones: Bool
  private let skips: SkippedOperations
  /// What the table is called where a transaction's events are counted, its place there, and in which
  /// transaction that was asked for.
  private let collection: String
  private var place = 0
  private var counted: UInt64 = 0

  let holdsComposites = false

  init(
    _ table: Table, types: TypeCatalog, _ options: DebeziumOptions, key format: KeyFormat,
    name: String, numbers: SchemaNumbers? = nil
  ) {
    let relation = table.relation
    var prepared = ByteWriter()
    var fields: [DebeziumSchema.Field] = []
    ConnectText.append(string: relation.schema, to: &prepared)
    prepared.append(",\"table\":")
    ConnectText.append(string: relation.name, to: &prepared)
    names = 0..<prepared.count
    columns = DebeziumColumns(table, types: types, options, fields: &fields)
    let start = prepared.count
    closes = options.schemas && numbers == nil
    if let numbers {
      AvroWriter.append(schema: numbers.value, to: &prepared)
    } else if options.schemas {
      DebeziumSchema.append(
        DebeziumSchema(options).envelope(of: "\(name).\(table.qualifiedName)", fields, types),
        to: &prepared)
    }
    schema = start..<prepared.count
    self.prepared = PreparedBytes(prepared)
    collection = "\(relation.schema).\(relation.name)"
    key = DebeziumKey(
      table, types: types, options, format: format, name: name,
      number: format == .jsonSchema ? numbers?.key : nil)
    hasPartialOldRows = table.hasPartialOldRows
    hasTombstones = table.tombstones ?? options.tombstones
    skips = SkippedOperations(options)
  }

  var ownedBytes: Int { prepared.count + columns.ownedBytes + key.ownedBytes }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool { true }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    if skips.contains(event.action) { return }
    let headers = event.part == .none ? [] : key.headers(event, &state)
    let partition = key.partitionHash(event, &state)
    let keyBytes = key.append(event, &state, to: &batch.bytes)
    let start = batch.bytes.count
    append(event, &state, to: &batch.bytes)
    batch.add(
      key: keyBytes, value: start..<batch.bytes.count, route: route, ticket: ticket,
      headers: headers, partitionHash: partition)
    guard event.action == .delete, hasTombstones else { return }
    batch.add(
      tombstoneOf: keyBytes, route: route, ticket: ticket, headers: headers,
      partitionHash: partition)
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    guard !skips.contains(.truncate) else { return }
    let start = batch.bytes.count
    prepared.append(schema, to: &batch.bytes)
    batch.bytes.append("{\"before\":null,\"after\":null")
    appendEnd("t", record.event.lsn, &state, to: &batch.bytes)
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
      json.append("{")
      _ = columns.appendOld(event, &state.debezium.scratch, to: &json)
      json.append("}")
    } else {
      json.append("null")
    }
    json.append(",\"after\":")
    if event.action == .delete {
      json.append("null")
    } else {
      json.append("{")
      _ = columns.appendNew(event, &state.debezium.scratch, to: &json)
      json.append("}")
    }
    let operation: StaticString =
      switch event.action {
      case .update: "u"
      case .delete: "d"
      case .read: "r"
      default: "c"
      }
    appendEnd(operation, event.place.lsn, &state, to: &json)
  }

  @inline(__always)
  private func appendEnd(
    _ operation: StaticString, _ lsn: LSN, _ state: inout EncodingState,
    to json: inout ByteWriter
  ) {
    DebeziumFormat.appendSource(state, lsn: lsn, names: prepared, names, to: &json)
    if state.debezium.counts.isOn {
      count(lsn, &state.debezium, to: &json)
    } else {
      json.append(",\"transaction\":null")
    }
    json.append(",\"op\":\"")
    json.append(operation)
    json.append(state.debezium.end.bytes)
    if closes { json.append("}") }
  }

  /// Counts an event in its transaction, and appends what that comes to.
  private func count(_ lsn: LSN, _ state: inout DebeziumState, to json: inout ByteWriter) {
    if counted != state.counts.number {
      counted = state.counts.number
      place = state.counts.place(of: collection)
    }
    let number = state.counts.count(place)
    state.counts.append(number, of: state.transaction ?? 0, at: lsn, to: &json)
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
