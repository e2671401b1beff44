import KafkaBridge
import PGWire

/// Writes events in Protobuf's binary encoding behind the numbers of their schemas.
///
///     00, the number in four bytes, 00 for the schema's first message, the message
///
/// The messages are those of ``DebeziumFormat``, or rows alone. A class so that a lane and its plans
/// share it; all of it is constant.
final class ProtobufFormat: RegisteredFormat {
  private let writer: SchemaWriter
  /// From the source's version to its name.
  private let start: PreparedBytes
  /// Snapshot and database, for what is committed and for rows that existed.
  private let middle: PreparedBytes
  private let roundMiddle: PreparedBytes

  init(_ setup: LaneSetup, _ origin: StreamOrigin) {
    writer = SchemaWriter(setup, origin)
    var start = ByteWriter()
    start.append(field: 1, text: "\(DebeziumFormat.version)")
    start.append(field: 2, text: "postgresql")
    start.append(field: 3, text: writer.source)
    let middle = { (snapshot: String) in
      var bytes = ByteWriter()
      bytes.append(field: 5, text: snapshot)
      bytes.append(field: 6, text: origin.database)
      return PreparedBytes(bytes)
    }
    self.start = PreparedBytes(start)
    self.middle = middle("false")
    roundMiddle = middle("true")
  }

  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan {
    RegisteredTablePlan<ProtobufWriter>(
      table, types: types, writer, schemas ?? SchemaNumbers(key: 0))
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    let (milliseconds, time, exact) = keep(transaction, &state)
    state.debezium.head.removeAll()
    start.append(to: &state.debezium.head)
    if milliseconds != 0 { state.debezium.head.append(field: 4, value: milliseconds) }
    if transaction.isRound {
      roundMiddle.append(to: &state.debezium.head)
    } else {
      middle.append(to: &state.debezium.head)
    }
    state.debezium.times.removeAll()
    state.debezium.times.append(field: 8, value: time)
    state.debezium.times.append(field: 9, value: exact)
    state.debezium.xid.removeAll()
    if let xid = transaction.xid { state.debezium.xid.append(field: 12, value: Int64(xid)) }
    state.debezium.end.removeAll()
    state.debezium.end.append(field: 6, value: milliseconds)
    state.debezium.end.append(field: 7, value: time)
    state.debezium.end.append(field: 8, value: exact)
  }
}
