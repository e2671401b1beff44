import KafkaBridge
import PGWire

/// A format whose records name schemas of tables, so that nothing else is a record of it.
protocol RegisteredFormat: Format {
  /// Writes with these numbers of the table's schemas; nil where nobody has asked a registry.
  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan
}

extension RegisteredFormat {
  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    plan(table, types: types, schemas: nil)
  }

  /// Logical messages have no schema: a configuration that wants them is refused.
  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {}

  /// What became of a prepared transaction is no record, as in Debezium's envelope.
  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {}
}
