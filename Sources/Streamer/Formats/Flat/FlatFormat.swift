import KafkaBridge
import PGWire

/// Writes rows alone, as Debezium's transform ExtractNewRecordState leaves them: keys and values of
/// columns are those of ``DebeziumFormat``.
///
/// A class so that a lane and its plans share it; all of it is constant.
final class FlatFormat: Format {
  private let origin: StreamOrigin
  private let options: FlatOptions
  private let debezium: DebeziumOptions
  private let key: KeyFormat
  /// What prepares a transaction, and writes what is no row: the transform lets it pass.
  private let envelope: DebeziumFormat

  init(_ origin: StreamOrigin, _ options: FlatOptions, _ debezium: DebeziumOptions, key: KeyFormat)
  {
    self.origin = origin
    self.options = options
    self.debezium = debezium
    self.key = key
    envelope = DebeziumFormat(origin, options: debezium, key: key)
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    FlatTablePlan(table, types: types, options, debezium, key: key, database: origin.database)
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    envelope.begin(transaction, &state)
  }

  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    envelope.encode(message, record, &state, into: &batch)
  }

  /// What became of a prepared transaction is no record, as in Debezium's envelope.
  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {}
}
