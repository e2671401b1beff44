import KafkaBridge
import PGWire

/// How the events of one table are written in Avro, in Debezium's envelope or as rows alone.
///
/// Nothing here allocates for a row but the headers of a changed key.
final class AvroTablePlan: TablePlan {
  private let schema: UInt32
  private let columns: AvroColumns
  private let avroKey: AvroKey?
  /// Keys in JSON, where they are wanted, and what decides partitions and headers.
  private let key: DebeziumKey
  /// Schema and table as fields of the source.
  private let names: PreparedBytes
  private let isRow: Bool
  /// Whether a row stands in a union with null.
  private let isUnion: Bool
  private let saysDeleted: Bool
  private let row: AvroRowMembers
  private let deletes: FlatOptions.Deletes
  private let hasTombstones: Bool
  private let skips: SkippedOperations

  let holdsComposites = false

  init(_ table: Table, types: TypeCatalog, _ writer: SchemaWriter, _ schemas: SchemaNumbers) {
    schema = schemas.value
    columns = AvroColumns(table, types: types, writer)
    let number = writer.key == .avro ? schemas.key : nil
    avroKey =
      if let number { AvroKey(table, types: types, writer, schema: number) } else { nil }
    key = DebeziumKey(
      table, types: types, writer.options, format: writer.key == .avro ? .json : writer.key,
      name: writer.source)
    var names = ByteWriter()
    names.append(avro: table.relation.schema)
    names.append(avro: table.relation.name)
    self.names = PreparedBytes(names)
    isRow = writer.isRow
    isUnion = writer.isUnion(table)
    saysDeleted = writer.saysDeleted(table)
    row = AvroRowMembers(writer.isRow ? writer.members(table) : [], table, writer)
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
      AvroFormat.append(schema: schema, to: &batch.bytes)
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
    state.unwritable = column
  }

  private func appendKey(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> AvroKey.Outcome {
    switch avroKey {
    case .some(let avroKey): avroKey.append(event, &state, to: &bytes)
    case .none:
      key.append(event, &state, to: &bytes).map { .written($0) } ?? .none
    }
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    guard !isRow, !skips.contains(.truncate) else { return }
    let start = batch.bytes.count
    AvroFormat.append(schema: schema, to: &batch.bytes)
    batch.bytes.append(AvroUnion.null)
    batch.bytes.append(AvroUnion.null)
    appendEnd("t", record.event.lsn, state, to: &batch.bytes)
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
    if event.showsOld, event.oldImage != .none {
      bytes.append(AvroUnion.value)
      if let column = columns.appendOld(event, &state.debezium.scratch, to: &bytes) {
        return column
      }
    } else {
      bytes.append(AvroUnion.null)
    }
    if event.action == .delete {
      bytes.append(AvroUnion.null)
    } else {
      bytes.append(AvroUnion.value)
      if let column = columns.appendNew(event, &state.debezium.scratch, to: &bytes) {
        return column
      }
    }
    appendEnd(Self.operation(event.action), event.place.lsn, state, to: &bytes)
    return nil
  }

  /// Debezium's letter for what happened.
  static func operation(_ action: EventAction) -> StaticString {
    switch action {
    case .update: "u"
    case .delete: "d"
    case .read: "r"
    default: "c"
    }
  }

  @inline(__always)
  private func appendEnd(
    _ operation: StaticString, _ lsn: LSN, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter
  ) {
    AvroFormat.appendSource(state, lsn: lsn, names: names, to: &bytes)
    bytes.append(zigzag: 1)
    bytes.append(operation)
    bytes.append(state.debezium.end.bytes)
  }

  private func appendRow(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int? {
    if isUnion { bytes.append(AvroUnion.value) }
    let isDelete = event.action == .delete
    let column =
      isDelete
      ? columns.appendOld(event, &state.debezium.scratch, to: &bytes)
      : columns.appendNew(event, &state.debezium.scratch, to: &bytes)
    if let column { return column }
    if saysDeleted {
      bytes.append(AvroUnion.value)
      bytes.append(zigzag: isDelete ? 4 : 5)
      bytes.append(isDelete ? "true" : "false" as StaticString)
    }
    row.append(event, state, to: &bytes)
    return nil
  }
}

/// What rows carry behind their columns.
final class AvroRowMembers {
  /// One member; not private, see ``DebeziumKey/Column``.
  struct Member: BitwiseCopyable {
    let member: FlatOptions.Member
    /// Its value where all rows have the same.
    let prepared: PreparedRange
  }

  private let prepared: PreparedBytes
  private let members: OwnedArray<Member>

  init(_ fields: [FlatOptions.Field], _ table: Table, _ writer: SchemaWriter) {
    var prepared = ByteWriter(capacity: 64)
    let texts: [FlatOptions.Member: String] = [
      .connector: "postgresql", .version: "\(DebeziumFormat.version)", .name: writer.source,
      .db: writer.database, .schema: table.relation.schema, .table: table.relation.name,
    ]
    members = OwnedArray(count: fields.count) { index in
      let start = prepared.count
      switch fields[index].member {
      case .xmin, .origin, .originLSN, .id, .totalOrder, .tableOrder:
        prepared.append(AvroUnion.null)
      case let member:
        if let text = texts[member] {
          prepared.append(AvroUnion.value)
          prepared.append(avro: text)
        }
      }
      return Member(
        member: fields[index].member, prepared: PreparedRange(start, prepared.count))
    }
    self.prepared = PreparedBytes(prepared)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// Appends all of them.
  func append(
    _ event: borrowing RowEvent, _ state: borrowing EncodingState, to bytes: inout ByteWriter
  ) {
    for index in members.indices {
      let member = members[index]
      guard member.prepared.isEmpty else {
        prepared.append(member.prepared.offsets, to: &bytes)
        continue
      }
      append(member.member, event, state, to: &bytes)
    }
  }

  private func append(
    _ member: FlatOptions.Member, _ event: borrowing RowEvent, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter
  ) {
    let time = state.debezium.time
    bytes.append(AvroUnion.value)
    switch member {
    case .op:
      bytes.append(zigzag: 1)
      bytes.append(AvroTablePlan.operation(event.action))
    case .snapshot: bytes.append(avro: state.debezium.isRound ? "true" : "false")
    case .milliseconds: bytes.append(zigzag: time.flooredQuotient(1_000))
    case .microseconds: bytes.append(zigzag: time)
    case .nanoseconds:
      let (nanoseconds, overflows) = time.multipliedReportingOverflow(by: 1_000)
      bytes.append(zigzag: overflows ? .max : nanoseconds)
    case .lsn: bytes.append(zigzag: Int64(truncatingIfNeeded: event.place.lsn.value))
    case .txId:
      if let xid = state.debezium.transaction {
        bytes.append(zigzag: Int64(xid))
      } else {
        bytes.truncate(to: bytes.count - 1)
        bytes.append(AvroUnion.null)
      }
    default: AvroFormat.appendSequence(state, lsn: event.place.lsn, to: &bytes)
    }
  }
}
