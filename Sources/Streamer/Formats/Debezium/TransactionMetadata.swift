import KafkaBridge
import PGWire

/// What Debezium tells of transactions beside their rows (`provide.transaction.metadata`): a record
/// where one begins, and one where it ends that counts its events by table.
///
/// A transaction's name is its number and the position of whatever says it, so it differs from record
/// to record as in Debezium.
final class TransactionMetadata {
  private let key: KeyFormat
  private let closes: Bool
  private let keySchema: PreparedBytes
  private let valueSchema: PreparedBytes

  init(_ options: DebeziumOptions, key: KeyFormat) {
    self.key = key
    closes = options.schemas
    var bytes = ByteWriter()
    if key == .jsonSchema { DebeziumSchema.append(DebeziumSchema.transactionKey, to: &bytes) }
    keySchema = PreparedBytes(bytes)
    bytes = ByteWriter()
    if options.schemas { DebeziumSchema.append(DebeziumSchema.transactionValue, to: &bytes) }
    valueSchema = PreparedBytes(bytes)
  }

  /// Adds to a batch that a transaction begins, as said by what lies at `lsn`.
  func encode(
    beginOf xid: UInt32, at lsn: LSN, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let key = begin("BEGIN", xid, lsn, &batch)
    batch.bytes.append(",\"event_count\":null,\"data_collections\":null")
    end(key, record, time: state.debezium.time, &batch)
  }

  /// Adds to a batch that a transaction ends, with what was counted of it.
  func encode(
    endOf xid: UInt32, at lsn: LSN, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let key = begin("END", xid, lsn, &batch)
    batch.bytes.append(",\"event_count\":")
    batch.bytes.append(decimal: state.debezium.counts.total)
    batch.bytes.append(",\"data_collections\":[")
    let collections = state.debezium.counts.collections
    for (number, collection) in collections.enumerated() {
      if number > 0 { batch.bytes.append(0x2C as UInt8) }
      batch.bytes.append("{\"data_collection\":")
      ConnectText.append(string: collection.name, to: &batch.bytes)
      batch.bytes.append(",\"event_count\":")
      batch.bytes.append(decimal: collection.count)
      batch.bytes.append("}")
    }
    batch.bytes.append("]")
    end(key, record, time: state.debezium.time, &batch)
  }

  /// Writes a key, and a value up to its counts.
  private func begin(
    _ status: StaticString, _ xid: UInt32, _ lsn: LSN, _ batch: inout RecordBatch
  ) -> Range<Int> {
    let start = batch.bytes.count
    keySchema.append(to: &batch.bytes)
    if key != .scalar { batch.bytes.append("{\"id\":\"") }
    TransactionCounts.append(xid, lsn, to: &batch.bytes)
    if key != .scalar { batch.bytes.append("\"}") }
    if key == .jsonSchema { batch.bytes.append("}") }
    let written = start..<batch.bytes.count
    valueSchema.append(to: &batch.bytes)
    batch.bytes.append("{\"status\":\"")
    batch.bytes.append(status)
    batch.bytes.append("\",\"id\":\"")
    TransactionCounts.append(xid, lsn, to: &batch.bytes)
    batch.bytes.append("\"")
    return written
  }

  private func end(
    _ key: Range<Int>, _ record: RecordPlace, time: Int64, _ batch: inout RecordBatch
  ) {
    batch.bytes.append(",\"ts_ms\":")
    batch.bytes.append(decimal: time.flooredQuotient(1_000))
    batch.bytes.append("}")
    if closes { batch.bytes.append("}") }
    batch.add(
      key: key, value: key.upperBound..<batch.bytes.count, route: record.route,
      ticket: record.ticket)
  }
}

/// The events of a transaction that a lane has written, by table; a lane has one.
///
/// A table's place among them is asked for once in each transaction, so a row costs two additions.
struct TransactionCounts: ~Copyable {
  /// Whether the present transaction is counted.
  private(set) var isOn = false
  /// Tells transactions apart, also one that comes again.
  private(set) var number: UInt64 = 0
  /// All events.
  private(set) var total: Int64 = 0
  /// The tables in the order of their first events.
  private(set) var collections: [(name: String, count: Int64)] = []
  private var places: [String: Int] = [:]

  /// A transaction begins, or begins again.
  mutating func begin(isOn: Bool) {
    self.isOn = isOn
    number += 1
    guard total > 0 || !collections.isEmpty else { return }
    total = 0
    collections.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }

  /// The place of a table in the present transaction.
  mutating func place(of name: String) -> Int {
    if let place = places[name] { return place }
    places[name] = collections.count
    collections.append((name, 0))
    return collections.count - 1
  }

  /// Counts an event of a table, and gives its number there.
  mutating func count(_ place: Int) -> Int64 {
    total += 1
    collections[place].count += 1
    return collections[place].count
  }

  /// Counts a logical message: those of a transaction are as of one table.
  mutating func countMessage() -> Int64 { count(place(of: "message")) }

  /// Appends where in its transaction an event stands.
  func append(_ number: Int64, of xid: UInt32, at lsn: LSN, to json: inout ByteWriter) {
    json.append(",\"transaction\":{\"id\":\"")
    Self.append(xid, lsn, to: &json)
    json.append("\",\"total_order\":")
    json.append(decimal: total)
    json.append(",\"data_collection_order\":")
    json.append(decimal: number)
    json.append("}")
  }

  /// Appends a transaction's name as something at `lsn` says it.
  static func append(_ xid: UInt32, _ lsn: LSN, to json: inout ByteWriter) {
    json.append(decimal: UInt64(xid))
    json.append(0x3A as UInt8)
    json.append(decimal: lsn.value)
  }
}

extension DebeziumSchema {
  private static let metadata = "io.debezium.connector.common.TransactionMetadata"

  /// The schema of the keys of a topic of transactions.
  static let transactionKey = ConnectSchema(
    .structure([.init("id", ConnectSchema(.string))]), metadata + "Key")

  /// The same for its values.
  static let transactionValue: ConnectSchema = {
    let collection = ConnectSchema(
      .structure([
        .init("data_collection", ConnectSchema(.string)),
        .init("event_count", ConnectSchema(.int64)),
      ]), "event.collection"
    ).optional()
    return ConnectSchema(
      .structure([
        .init("status", ConnectSchema(.string)), .init("id", ConnectSchema(.string)),
        .init("event_count", ConnectSchema(.int64).optional()),
        .init("data_collections", ConnectSchema(.array(collection)).optional()),
        .init("ts_ms", ConnectSchema(.int64)),
      ]), metadata + "Value")
  }()
}
