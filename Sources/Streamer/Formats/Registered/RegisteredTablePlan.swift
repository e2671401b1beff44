import KafkaBridge
import PGWire

/// How the events of one table are written in a binary encoding with schemas in a registry, in
/// Debezium's envelope or as rows alone.
///
/// Nothing here allocates for a row but the headers of a changed key.
final class RegisteredTablePlan<Writer: RecordWriter>: TablePlan {
  private let schema: UInt32
  private let columns: RowColumns<Writer>
  private let recordKey: RecordKey<Writer>?
  /// Keys in JSON, where they are wanted, and what decides partitions and headers.
  private let key: DebeziumKey
  /// Schema and table as fields of the source.
  private let names: PreparedBytes
  private let isRow: Bool
  /// Whether a row stands in a union with null.
  private let isUnion: Bool
  private let saysDeleted: Bool
  /// The number of the member that says so.
  private let deletedNumber: Int32
  private let row: RowMembers<Writer>
  private let deletes: FlatOptions.Deletes
  private let hasTombstones: Bool
  private let skips: SkippedOperations

  let holdsComposites = false

  init(_ table: Table, types: TypeCatalog, _ writer: SchemaWriter, _ schemas: SchemaNumbers) {
    schema = schemas.value
    columns = RowColumns(table, types: types, writer, numbers: schemas.valueFields)
    let isOwn = writer.key == Writer.keyFormat
    recordKey =
      if isOwn, let number = schemas.key {
        RecordKey(
          table, types: types, writer, schema: number, numbers: schemas.keyFields)
      } else { nil }
    key = DebeziumKey(
      table, types: types, writer.options, format: isOwn ? .json : writer.key,
      name: writer.source)
    var names = ByteWriter()
    Writer.append(namesOf: table, to: &names)
    self.names = PreparedBytes(names)
    isRow = writer.isRow
    isUnion = writer.isUnion(table)
    saysDeleted = writer.saysDeleted(table)
    let columnCount = writer.fields(table, types).count
    deletedNumber = FieldNumbers.number(columnCount, schemas.valueFields)
    row = RowMembers(
      writer.isRow ? writer.members(table) : [], table, writer,
      after: columnCount + (saysDeleted ? 1 : 0), numbers: schemas.valueFields)
    deletes = writer.isRow ? writer.flat.deletes : .rewriteWithTombstone
    hasTombstones =
      deletes == .tombstone || (deletes.isTombstone && writer.options.tombstones)
    skips = SkippedOperations(writer.options)
  }

  var ownedBytes: Int {
    names.count + columns.ownedBytes + key.ownedBytes + row.ownedBytes
  }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let isDelete = event.action == .delete
    if skips.contains(event.action) || (isDelete && deletes == .drop) { return }
    let start = batch.bytes.count
    let keyBytes: Range<Int>?
    switch appendKey(event, &state, to: &batch.bytes) {
    case .written(let range): keyBytes = range
    case .none: keyBytes = nil
    case .unwritable(let column): return giveUp(column, start, &state, &batch)
    }
    var value: Range<Int>?
    if !isDelete || deletes.isRow {
      let first = batch.bytes.count
      Writer.append(schema: schema, to: &batch.bytes)
      if let column = append(event, &state, to: &batch.bytes) {
        return giveUp(column, start, &state, &batch)
      }
      value = first..<batch.bytes.count
    }
    let headers = event.part == .none ? [] : key.headers(event, &state)
    let partition = key.partitionHash(event, &state)
    batch.add(
      key: keyBytes, value: value, route: route, ticket: ticket, headers: headers,
      partitionHash: partition)
    guard isDelete, hasTombstones, value != nil else { return }
    batch.add(
      tombstoneOf: keyBytes, route: route, ticket: ticket, headers: headers,
      partitionHash: partition)
  }

  private func giveUp(
    _ column: Int, _ start: Int, _ state: inout EncodingState, _ batch: inout RecordBatch
  ) {
    batch.bytes.truncate(to: start)
    state.setback = .unwritable(column: column)
  }

  private func appendKey(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> KeyOutcome {
    switch recordKey {
    case .some(let recordKey): recordKey.append(event, &state, to: &bytes)
    case .none:
      key.append(event, &state, to: &bytes).map { .written($0) } ?? .none
    }
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    guard !isRow, !skips.contains(.truncate) else { return }
    let start = batch.bytes.count
    Writer.append(schema: schema, to: &batch.bytes)
    Writer.append(truncateAt: record.event.lsn, names: names, state, to: &batch.bytes)
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket)
  }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool { true }

  // MARK: - Parts

  /// Appends a value; gives the column whose value the schema cannot say.
  private func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int? {
    if isRow { return appendRow(event, &state, to: &bytes) }
    return Writer.append(
      envelopeOf: event, columns, names: names, &state, to: &bytes)
  }

  private func appendRow(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int? {
    if isUnion { Writer.appendUnion(to: &bytes) }
    let isDelete = event.action == .delete
    let outcome =
      isDelete
      ? columns.appendOld(event, &state.debezium.scratch, to: &bytes)
      : columns.appendNew(event, &state.debezium.scratch, to: &bytes)
    if let column = outcome.unwritable { return column }
    if saysDeleted {
      Writer.append(member: deletedNumber, text: isDelete ? "true" : "false", to: &bytes)
    }
    row.append(event, state, to: &bytes)
    return nil
  }
}
