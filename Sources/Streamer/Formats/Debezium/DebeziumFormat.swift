import KafkaBridge
import PGWire

/// Writes events as Debezium's PostgreSQL connector and Connect's JSON converter do, so that what
/// reads its topics goes on.
///
///     {"before","after","source","transaction","op","ts_ms","ts_us","ts_ns"}
///
/// A class so that a lane and its plans share it; all of it is constant.
final class DebeziumFormat: Format {
  /// The version that `source` names: that of the connector which this one was compared with.
  static let version: StaticString = "3.6.1.Final"

  private let origin: StreamOrigin
  private let options: DebeziumOptions
  private let key: KeyFormat
  /// How the content of a message is written.
  private let content: DebeziumEncoder
  /// The schema and table of what belongs to none.
  private let noNames: PreparedBytes
  /// What stands before the key of a message, and before its value, with schemas.
  private let messageKeySchema: PreparedBytes
  private let messageSchema: PreparedBytes
  /// From the source's member to its time.
  private let start: PreparedBytes
  /// From the time to the sequence, for what is committed and for rows that existed.
  private let middle: PreparedBytes
  private let roundMiddle: PreparedBytes
  /// Whether records say where in their transaction they stand.
  private let countsTransactions: Bool

  init(
    _ origin: StreamOrigin, options: DebeziumOptions, key: KeyFormat,
    countsTransactions: Bool = false
  ) {
    self.origin = origin
    self.countsTransactions = countsTransactions
    self.options = options
    self.key = key
    content = DebeziumEncoder(DebeziumEncoder.textBytes(options))
    var start = ByteWriter()
    start.append(",\"source\":{\"version\":\"")
    start.append(Self.version)
    start.append("\",\"connector\":\"postgresql\",\"name\":")
    ConnectText.append(string: options.name ?? origin.database, to: &start)
    start.append(",\"ts_ms\":")
    let middle = { (isRound: Bool) in
      var text = ByteWriter()
      text.append(isRound ? ",\"snapshot\":\"true\",\"db\":" : ",\"snapshot\":\"false\",\"db\":")
      ConnectText.append(string: origin.database, to: &text)
      text.append(",\"sequence\":\"[\\\"")
      return PreparedBytes(text)
    }
    var names = ByteWriter()
    names.append("\"\",\"table\":\"\"")
    noNames = PreparedBytes(names)
    var keySchema = ByteWriter()
    DebeziumSchema.append(DebeziumSchema.messageKey, to: &keySchema)
    messageKeySchema = PreparedBytes(keySchema)
    var schema = ByteWriter()
    DebeziumSchema.append(DebeziumSchema(options).message, to: &schema)
    messageSchema = PreparedBytes(schema)
    self.start = PreparedBytes(start)
    self.middle = middle(false)
    roundMiddle = middle(true)
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    DebeziumTablePlan(table, types: types, options, key: key, name: options.name ?? origin.database)
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    // A message outside has no time: the last one that is known stands for it.
    if let time = transaction.commitTime {
      state.debezium.time = time + EventTimestamp.epochOffset * 1_000_000
    }
    let time = state.debezium.time
    state.debezium.head.removeAll()
    start.append(to: &state.debezium.head)
    state.debezium.head.append(decimal: time.flooredQuotient(1_000))
    state.debezium.isRound = transaction.isRound
    if transaction.isRound {
      roundMiddle.append(to: &state.debezium.head)
    } else {
      middle.append(to: &state.debezium.head)
    }
    // A message outside is its own transaction, which ends where it does.
    let isAlone = transaction.xid == nil && !transaction.isRound
    let last = isAlone ? transaction.commitLSN.value + 1 : state.lastEnd.value
    state.debezium.head.append(decimal: last)
    state.debezium.previousEnd = last
    state.debezium.transaction = transaction.xid
    state.debezium.counts.begin(
      isOn: countsTransactions && transaction.xid != nil && !transaction.isRound)
    state.debezium.head.append("\\\",\\\"")

    state.debezium.times.removeAll()
    state.debezium.times.append("\\\"]\",\"ts_us\":")
    state.debezium.times.append(decimal: time)
    state.debezium.times.append(",\"ts_ns\":")
    Self.append(nanoseconds: time, to: &state.debezium.times)
    state.debezium.times.append(",\"schema\":")

    state.debezium.xid.removeAll()
    state.debezium.xid.append(",\"txId\":")
    if let xid = transaction.xid {
      state.debezium.xid.append(decimal: UInt64(xid))
    } else {
      state.debezium.xid.append("null")
    }
    state.debezium.xid.append(",\"lsn\":")

    state.debezium.end.removeAll()
    state.debezium.end.append("\",\"ts_ms\":")
    state.debezium.end.append(decimal: time.flooredQuotient(1_000))
    state.debezium.end.append(",\"ts_us\":")
    state.debezium.end.append(decimal: time)
    state.debezium.end.append(",\"ts_ns\":")
    Self.append(nanoseconds: time, to: &state.debezium.end)
    state.debezium.end.append("}")
  }

  /// Appends a time, which is in microseconds, in nanoseconds.
  static func append(nanoseconds time: Int64, to json: inout ByteWriter) {
    let (nanoseconds, overflows) = time.multipliedReportingOverflow(by: 1_000)
    json.append(decimal: overflows ? .max : nanoseconds)
  }

  /// Appends the source up to where an event's own part goes on; `names` are its schema and table.
  @inline(__always)
  static func appendSource(
    _ state: borrowing EncodingState, lsn: LSN, names: borrowing PreparedBytes, _ part: Range<Int>,
    to json: inout ByteWriter
  ) {
    json.append(state.debezium.head.bytes)
    json.append(decimal: lsn.value)
    json.append(state.debezium.times.bytes)
    names.append(part, to: &json)
    json.append(state.debezium.xid.bytes)
    json.append(decimal: lsn.value)
    json.append(",\"xmin\":null,\"origin\":null,\"origin_lsn\":null}")
  }

  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    if key == .jsonSchema { messageKeySchema.append(to: &batch.bytes) }
    if key == .scalar {
      batch.bytes.append(message.prefix)
    } else {
      batch.bytes.append("{\"prefix\":")
      ConnectText.append(message.prefix, to: &batch.bytes)
      batch.bytes.append("}")
    }
    if key == .jsonSchema { batch.bytes.append("}") }
    let key = start..<batch.bytes.count
    if options.schemas { messageSchema.append(to: &batch.bytes) }
    batch.bytes.append("{\"op\":\"m\",\"ts_ms\":")
    batch.bytes.append(decimal: state.debezium.time.flooredQuotient(1_000))
    Self.appendSource(
      state, lsn: record.event.lsn, names: noNames, 0..<noNames.count, to: &batch.bytes)
    if state.debezium.counts.isOn {
      let number = state.debezium.counts.countMessage()
      state.debezium.counts.append(
        number, of: state.debezium.transaction ?? 0, at: record.event.lsn, to: &batch.bytes)
    } else {
      batch.bytes.append(",\"transaction\":null")
    }
    batch.bytes.append(",\"message\":{\"prefix\":")
    ConnectText.append(message.prefix, to: &batch.bytes)
    batch.bytes.append(",\"content\":")
    content.encode(bytesOf: message.content, into: &batch.bytes)
    batch.bytes.append("}}")
    if options.schemas { batch.bytes.append("}") }
    batch.add(
      key: key, value: key.upperBound..<batch.bytes.count, route: record.route,
      ticket: record.ticket)
  }

  /// Debezium knows no prepared transactions: what became of one is no record.
  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {}
}

/// What Debezium's formats keep of a transaction; each format of a lane has one.
struct DebeziumState: ~Copyable {
  /// The time of the last transaction, in microseconds since 1970.
  var time: Int64 = 0
  /// Whether rows are read that existed.
  var isRound = false
  /// The first part of the sequence.
  var previousEnd: UInt64 = 0
  /// The transaction's number.
  var transaction: UInt32?
  /// From the source's member to an event's LSN in the sequence; in Avro to the sequence.
  var head = ByteWriter(capacity: 32)
  /// The sequence up to an event's LSN; only in Avro.
  var sequence = ByteWriter(capacity: 32)
  /// From there to the schema's name.
  var times = ByteWriter(capacity: 32)
  /// From the table's name to the LSN.
  var xid = ByteWriter(capacity: 32)
  /// From the operation to the end.
  var end = ByteWriter(capacity: 32)
  /// What was written of the transaction, by table.
  var counts = TransactionCounts()
  /// Buffers for values.
  var scratch = DebeziumScratch()
}

extension Int64 {
  /// The quotient rounded towards the past.
  func flooredQuotient(_ divisor: Int64) -> Int64 {
    let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? quotient - 1 : quotient
  }
}
