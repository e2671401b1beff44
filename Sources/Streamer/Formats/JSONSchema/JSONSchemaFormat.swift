import KafkaBridge
import PGWire

/// Writes the JSON of ``DebeziumFormat``, or of rows alone, behind the numbers of its schemas in a
/// registry.
///
/// A class so that a lane and its plans share it; all of it is constant.
final class JSONSchemaFormat: RegisteredFormat {
  private let writer: SchemaWriter
  /// What prepares a transaction.
  private let envelope: DebeziumFormat

  init(_ setup: LaneSetup, _ origin: StreamOrigin) {
    writer = SchemaWriter(setup, origin)
    envelope = DebeziumFormat(origin, options: writer.options, key: setup.keyFormat)
  }

  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan {
    let numbers = schemas ?? SchemaNumbers(key: 0)
    guard writer.isRow else {
      return DebeziumTablePlan(
        table, types: types, writer.options, key: writer.key, name: writer.source,
        numbers: numbers)
    }
    return FlatTablePlan(
      table, types: types, writer.flat, writer.options, key: writer.key,
      database: writer.database, numbers: numbers)
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    envelope.begin(transaction, &state)
  }
}
