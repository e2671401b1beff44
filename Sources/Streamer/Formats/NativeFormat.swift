import KafkaBridge
import PGWire

/// Writes events as records of the native format: the key as a JSON object, the value as
/// ``NativeEnvelope`` lays it out.
///
/// A class so that a lane and its plans share it; all of it is constant.
final class NativeFormat: Format {
  private let origin: StreamOrigin
  private let options: ValueOptions
  private let headers: EventHeaders
  /// What belongs to no table.
  private let messages: NativeEnvelope

  /// Makes the format for one database.
  ///
  /// With headers each record gets those of ``EventHeaders``, which costs allocations.
  init(_ origin: StreamOrigin, options: ValueOptions, headers: EventHeaders = .none) {
    self.origin = origin
    self.options = options
    self.headers = headers
    messages = NativeEnvelope(host: origin.host, database: origin.database, schema: "", table: "")
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    NativeTablePlan(table, types: types, origin, options: options, headers: headers)
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    let uuid = EventUUID(
      systemIdentifier: origin.systemIdentifier, database: origin.database,
      xid: transaction.xid ?? 0, commitTime: transaction.commitTime ?? 0,
      commitLSN: transaction.commitLSN)
    NativeEnvelope.begin(
      commitLSN: transaction.commitLSN, commitTime: transaction.commitTime, xid: transaction.xid,
      uuid: uuid, &state)
  }

  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    appendValue(message, record.event, state, to: &batch.bytes)
    add(.message, record, start, state, to: &batch)
  }

  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    appendValue(action, gid: gid, record.event, state, to: &batch.bytes)
    add(action, record, start, state, to: &batch)
  }

  /// Appends a logical message's object.
  func appendValue(
    _ message: borrowing LogicalMessage, _ place: EventPlace, _ state: borrowing EncodingState,
    to json: inout ByteWriter
  ) {
    appendStart(.message, place, state, to: &json)
    NativeEnvelope.appendMessage(
      prefix: message.prefix, content: message.content, isTransactional: message.isTransactional,
      to: &json)
    NativeEnvelope.appendEnd(to: &json)
  }

  /// Appends the object that says what became of a prepared transaction.
  func appendValue(
    _ action: EventAction, gid: String, _ place: EventPlace, _ state: borrowing EncodingState,
    to json: inout ByteWriter
  ) {
    appendStart(action, place, state, to: &json)
    NativeEnvelope.append(.gid, to: &json)
    json.append(jsonString: gid)
    NativeEnvelope.appendEnd(to: &json)
  }

  /// Appends the members that all events without columns and key have.
  private func appendStart(
    _ action: EventAction, _ place: EventPlace, _ state: borrowing EncodingState,
    to json: inout ByteWriter
  ) {
    messages.appendHead(state, action, ordinal: place.ordinal, to: &json)
    json.append("{}")
    messages.appendTail(state, lsn: place.lsn, ordinal: place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
  }

  private func add(
    _ action: EventAction, _ record: RecordPlace, _ start: Int, _ state: borrowing EncodingState,
    to batch: inout RecordBatch
  ) {
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers.make(action, record.event, state, schema: "", table: ""))
  }
}
