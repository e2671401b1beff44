import KafkaBridge
import PGWire

/// Writes events in Avro's binary encoding behind the numbers of their schemas.
///
///     00, the number in four bytes, the record: as Confluent's serializers do
///
/// The records are those of ``DebeziumFormat``, or rows alone. A class so that a lane and its plans
/// share it; all of it is constant.
final class AvroFormat: RegisteredFormat {
  private let writer: SchemaWriter
  /// From the source's version to its time.
  private let start: PreparedBytes
  /// From the time to the sequence, for what is committed and for rows that existed.
  private let middle: PreparedBytes
  private let roundMiddle: PreparedBytes

  init(_ setup: LaneSetup, _ origin: StreamOrigin) {
    writer = SchemaWriter(setup, origin)
    var start = ByteWriter()
    start.append(avro: "\(DebeziumFormat.version)")
    start.append(avro: "postgresql")
    start.append(avro: writer.source)
    let middle = { (snapshot: String) in
      var bytes = ByteWriter()
      // Its default is the first branch of the union.
      bytes.append(0 as UInt8)
      bytes.append(avro: snapshot)
      bytes.append(avro: origin.database)
      bytes.append(AvroUnion.value)
      return PreparedBytes(bytes)
    }
    self.start = PreparedBytes(start)
    self.middle = middle("false")
    roundMiddle = middle("true")
  }

  func plan(_ table: Table, types: TypeCatalog, schemas: SchemaNumbers?) -> any TablePlan {
    RegisteredTablePlan<AvroWriter>(
      table, types: types, writer, schemas ?? SchemaNumbers(key: 0))
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    let (milliseconds, time, exact) = keep(transaction, &state)
    state.debezium.head.removeAll()
    start.append(to: &state.debezium.head)
    state.debezium.head.append(zigzag: milliseconds)
    if transaction.isRound {
      roundMiddle.append(to: &state.debezium.head)
    } else {
      middle.append(to: &state.debezium.head)
    }
    state.debezium.times.removeAll()
    for number in [time, exact] {
      state.debezium.times.append(AvroUnion.value)
      state.debezium.times.append(zigzag: number)
    }
    state.debezium.xid.removeAll()
    if let xid = transaction.xid {
      state.debezium.xid.append(AvroUnion.value)
      state.debezium.xid.append(zigzag: Int64(xid))
    } else {
      state.debezium.xid.append(AvroUnion.null)
    }
    state.debezium.xid.append(AvroUnion.value)
    state.debezium.end.removeAll()
    for number in [milliseconds, time, exact] {
      state.debezium.end.append(AvroUnion.value)
      state.debezium.end.append(zigzag: number)
    }
  }

  /// Appends a record's source and its transaction, which is null; `names` are schema and table.
  @inline(__always)
  static func appendSource(
    _ state: borrowing EncodingState, lsn: LSN, names: borrowing PreparedBytes,
    to bytes: inout ByteWriter
  ) {
    bytes.append(state.debezium.head.bytes)
    appendSequence(state, lsn: lsn, to: &bytes)
    bytes.append(state.debezium.times.bytes)
    names.append(to: &bytes)
    bytes.append(state.debezium.xid.bytes)
    bytes.append(zigzag: Int64(truncatingIfNeeded: lsn.value))
    // xmin, origin, origin_lsn, and the transaction.
    for _ in 0..<4 { bytes.append(AvroUnion.null) }
  }

  /// Appends `["the last commit's end","the change's own"]`.
  @inline(__always)
  static func appendSequence(
    _ state: borrowing EncodingState, lsn: LSN, to bytes: inout ByteWriter
  ) {
    var digits = 1
    var rest = lsn.value / 10
    while rest > 0 {
      digits &+= 1
      rest /= 10
    }
    bytes.append(zigzag: Int64(state.debezium.sequence.count &+ digits &+ 2))
    bytes.append(state.debezium.sequence.bytes)
    bytes.append(decimal: lsn.value)
    bytes.append("\"]")
  }
}
