import KafkaBridge
import PGWire

/// How the rows of one table are written without an envelope.
///
/// Nothing here allocates for a row but the headers of a changed key.
final class FlatTablePlan: TablePlan {
  /// The member that says whether a row was deleted.
  static let deleted = "__deleted"

  /// A member behind the columns.
  private struct Field: BitwiseCopyable {
    let member: FlatOptions.Member
    /// A comma, its name and a colon; its value too where all rows have the same.
    let prepared: PreparedRange
  }

  private let prepared: PreparedBytes
  /// What stands before each value: its schema, or the number of one; empty without.
  private let schema: Range<Int>
  /// Whether a brace closes what the schema has opened.
  private let closes: Bool
  /// From the comma to the value of `__deleted`; empty where rows do not have it.
  private let deleted: Range<Int>
  private let columns: DebeziumColumns
  private let fields: OwnedArray<Field>
  private let key: DebeziumKey
  private let deletes: FlatOptions.Deletes
  private let hasTombstones: Bool
  private let skips: SkippedOperations

  let holdsComposites = false

  init(
    _ table: Table, types: TypeCatalog, _ options: FlatOptions, _ debezium: DebeziumOptions,
    key format: KeyFormat, database: String, numbers: SchemaNumbers? = nil
  ) {
    let name = debezium.name ?? database
    var prepared = ByteWriter()
    var written: [DebeziumSchema.Field] = []
    columns = DebeziumColumns(table, types: types, debezium, fields: &written)
    // A column keeps its name: a row has no member twice.
    let names = Set(table.relation.columns.map { debezium.fieldNames.adjusted($0.name) })
    let added = options.fields.filter { !names.contains($0.name) }
    let saysDeleted = options.deletes.isRow && !names.contains(Self.deleted)
    closes = debezium.schemas && numbers == nil
    if let numbers {
      AvroWriter.append(schema: numbers.value, to: &prepared)
    } else if debezium.schemas {
      let deleted = saysDeleted ? [(name: Self.deleted, type: ConnectSchema.Kind.string)] : []
      let row = DebeziumSchema(debezium).row(
        of: "\(name).\(table.qualifiedName)", written,
        deleted + added.map { (name: $0.name, type: $0.member.connectType) }, types)
      DebeziumSchema.append(row, to: &prepared)
    }
    schema = 0..<prepared.count
    if saysDeleted { Self.append(member: Self.deleted, to: &prepared) }
    deleted = schema.upperBound..<prepared.count
    fields = OwnedArray(count: added.count) { index in
      let start = prepared.count
      Self.append(member: added[index].name, to: &prepared)
      let texts: [FlatOptions.Member: String] = [
        .connector: "postgresql", .version: "\(DebeziumFormat.version)", .name: name,
        .db: database, .schema: table.relation.schema, .table: table.relation.name,
      ]
      switch added[index].member {
      case .xmin, .origin, .originLSN, .id, .totalOrder, .tableOrder: prepared.append("null")
      case let member:
        if let text = texts[member] { ConnectText.append(string: text, to: &prepared) }
      }
      return Field(member: added[index].member, prepared: PreparedRange(start, prepared.count))
    }
    self.prepared = PreparedBytes(prepared)
    key = DebeziumKey(
      table, types: types, debezium, format: format, name: name,
      number: format == .jsonSchema ? numbers?.key : nil)
    deletes = options.deletes
    hasTombstones =
      options.deletes == .tombstone
      || (options.deletes.isTombstone && (table.tombstones ?? debezium.tombstones))
    skips = SkippedOperations(debezium)
  }

  private static func append(member name: String, to json: inout ByteWriter) {
    json.append(0x2C as UInt8)
    ConnectText.append(string: name, to: &json)
    json.append(0x3A as UInt8)
  }

  var ownedBytes: Int { prepared.count + columns.ownedBytes + key.ownedBytes }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool { true }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let isDelete = event.action == .delete
    guard !skips.contains(event.action), !isDelete || deletes != .drop else { return }
    let headers = event.part == .none ? [] : key.headers(event, &state)
    let partition = key.partitionHash(event, &state)
    let keyBytes = key.append(event, &state, to: &batch.bytes)
    if !isDelete || deletes.isRow {
      let start = batch.bytes.count
      append(event, &state, to: &batch.bytes)
      batch.add(
        key: keyBytes, value: start..<batch.bytes.count, route: route, ticket: ticket,
        headers: headers, partitionHash: partition)
      guard isDelete, hasTombstones else { return }
      return batch.add(
        tombstoneOf: keyBytes, route: route, ticket: ticket, headers: headers,
        partitionHash: partition)
    }
    batch.add(
      key: keyBytes, value: nil, route: route, ticket: ticket, headers: headers,
      partitionHash: partition)
  }

  /// A truncated table is no row.
  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {}

  private func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to json: inout ByteWriter
  ) {
    let isDelete = event.action == .delete
    prepared.append(schema, to: &json)
    json.append(0x7B as UInt8)
    let start = json.count
    let outcome =
      isDelete
      ? columns.appendOld(event, &state.debezium.scratch, to: &json)
      : columns.appendNew(event, &state.debezium.scratch, to: &json)
    if !deleted.isEmpty {
      prepared.append(deleted, to: &json)
      json.append(isDelete ? "\"true\"" : "\"false\"")
    }
    for index in fields.indices {
      let field = fields[index]
      prepared.append(field.prepared.offsets, to: &json)
      append(field.member, event, state.debezium, to: &json)
    }
    // Without a column the first member has a comma too many.
    if outcome.isEmpty, json.count > start { json.set(byte: 0x20, at: start) }
    json.append(0x7D as UInt8)
    if closes { json.append(0x7D as UInt8) }
  }

  /// Appends what is not prepared.
  private func append(
    _ member: FlatOptions.Member, _ event: borrowing RowEvent, _ state: borrowing DebeziumState,
    to json: inout ByteWriter
  ) {
    switch member {
    case .op:
      switch event.action {
      case .update: json.append("\"u\"")
      case .delete: json.append("\"d\"")
      case .read: json.append("\"r\"")
      default: json.append("\"c\"")
      }
    case .snapshot: json.append(state.isRound ? "\"true\"" : "\"false\"")
    case .milliseconds: json.append(decimal: state.time.flooredQuotient(1_000))
    case .microseconds: json.append(decimal: state.time)
    case .nanoseconds: DebeziumFormat.append(nanoseconds: state.time, to: &json)
    case .lsn: json.append(decimal: event.place.lsn.value)
    case .txId:
      if let xid = state.transaction {
        json.append(decimal: UInt64(xid))
      } else {
        json.append("null")
      }
    case .sequence:
      json.append("\"[\\\"")
      json.append(decimal: state.previousEnd)
      json.append("\\\",\\\"")
      json.append(decimal: event.place.lsn.value)
      json.append("\\\"]\"")
    default: break
    }
  }
}
