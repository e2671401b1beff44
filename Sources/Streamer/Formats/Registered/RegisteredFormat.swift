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

  /// Keeps what records say of a transaction, and begins their sequence; gives its time in milli-,
  /// micro- and nanoseconds.
  func keep(
    _ transaction: Transaction, _ state: inout EncodingState
  ) -> (milliseconds: Int64, microseconds: Int64, nanoseconds: Int64) {
    // A message outside has no time: the last one that is known stands for it.
    if let time = transaction.commitTime {
      state.debezium.time = time + EventTimestamp.epochOffset * 1_000_000
    }
    let time = state.debezium.time
    let isAlone = transaction.xid == nil && !transaction.isRound
    let last = isAlone ? transaction.commitLSN.value + 1 : state.lastEnd.value
    state.debezium.isRound = transaction.isRound
    state.debezium.previousEnd = last
    state.debezium.transaction = transaction.xid
    state.debezium.sequence.removeAll()
    state.debezium.sequence.append("[\"")
    state.debezium.sequence.append(decimal: last)
    state.debezium.sequence.append("\",\"")
    let (nanoseconds, overflows) = time.multipliedReportingOverflow(by: 1_000)
    return (time.flooredQuotient(1_000), time, overflows ? .max : nanoseconds)
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
