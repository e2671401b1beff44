import KafkaBridge
import PGWire

/// Writes events for people, one line each.
///
///     2026-11-28 12:00:00.123Z shop.public.orders UPDATE id=7: note 'w' -> 'x'
///
/// A record's key is that of ``NativeFormat``. A class so that a lane and its plans share it.
final class TextFormat: Format {
  private let origin: StreamOrigin
  private let options: ValueOptions
  private let database: String

  init(_ origin: StreamOrigin, options: ValueOptions) {
    self.origin = origin
    self.options = options
    database = TextValue.identifier(origin.database)
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    TextTablePlan(
      table, types: types,
      NativeTablePlan(table, types: types, origin, options: options, headers: .none))
  }

  /// When it was committed, to the millisecond, or a dash, and the database.
  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    state.head.removeAll()
    if let time = transaction.commitTime {
      EventTimestamp.append(microseconds: time, to: &state.head)
      state.head.set(byte: 0x20, at: state.head.count - "T12:00:00.123456Z".utf8.count)
      state.head.truncate(to: state.head.count - "456Z".utf8.count)
      state.head.append("Z ")
    } else {
      state.head.append("- ")
    }
    state.head.append(string: database)
  }

  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    batch.bytes.append(state.head.bytes)
    batch.bytes.append(" MESSAGE ")
    TextValue.append(message.prefix, .quoted, to: &batch.bytes)
    batch.bytes.append(": ")
    if UTF8Scan.firstInvalid(in: message.content, from: 0) == nil {
      TextValue.append(message.content, .quoted, to: &batch.bytes)
    } else {
      batch.bytes.append("\\x")
      for offset in 0..<message.content.byteCount {
        batch.bytes.append(hexadecimal: UInt64(message.content[offset]), digits: 2)
      }
    }
    add(record, start, &batch)
  }

  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    batch.bytes.append(state.head.bytes)
    switch action {
    case .commitPrepared: batch.bytes.append(" COMMIT PREPARED ")
    case .rollbackPrepared: batch.bytes.append(" ROLLBACK PREPARED ")
    default: batch.bytes.append(" PREPARE ")
    }
    state.trial.removeAll()
    state.trial.append(string: gid)
    TextValue.append(state.trial.bytes, .quoted, to: &batch.bytes)
    add(record, start, &batch)
  }

  private func add(_ record: RecordPlace, _ start: Int, _ batch: inout RecordBatch) {
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket)
  }
}
