import KafkaBridge
import PGWire

/// Writes events as records of the native format: the key as a JSON object, the value as
/// ``NativeEnvelope`` lays it out.
///
/// A class so that a lane and its plans share it; all of it is constant.
final class NativeFormat: Format {
  private let origin: StreamOrigin
  private let options: ValueOptions
  private let hasHeaders: Bool
  /// What belongs to no table.
  private let messages: NativeEnvelope

  /// Makes the format for one database.
  ///
  /// With headers each record gets those of ``EventHeaders``, which costs allocations.
  init(_ origin: StreamOrigin, options: ValueOptions, headers: Bool = false) {
    self.origin = origin
    self.options = options
    hasHeaders = headers
    messages = NativeEnvelope(host: origin.host, database: origin.database, schema: "", table: "")
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    NativeTablePlan(table, types: types, origin, options: options, headers: hasHeaders)
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
    let start = appendStart(.message, record, state, to: &batch.bytes)
    NativeEnvelope.appendMessage(
      prefix: message.prefix, content: message.content, isTransactional: message.isTransactional,
      to: &batch.bytes)
    NativeEnvelope.appendEnd(to: &batch.bytes)
    add(.message, record, start, state, to: &batch)
  }

  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = appendStart(action, record, state, to: &batch.bytes)
    NativeEnvelope.append(.gid, to: &batch.bytes)
    batch.bytes.append(jsonString: gid)
    NativeEnvelope.appendEnd(to: &batch.bytes)
    add(action, record, start, state, to: &batch)
  }

  /// Appends the members that all events without columns and key have; gives the event's start.
  private func appendStart(
    _ action: EventAction, _ record: RecordPlace, _ state: borrowing EncodingState,
    to json: inout ByteWriter
  ) -> Int {
    let start = json.count
    messages.appendHead(state, action, ordinal: record.event.ordinal, to: &json)
    json.append("{}")
    messages.appendTail(state, lsn: record.event.lsn, ordinal: record.event.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
    return start
  }

  private func add(
    _ action: EventAction, _ record: RecordPlace, _ start: Int, _ state: borrowing EncodingState,
    to batch: inout RecordBatch
  ) {
    let headers =
      hasHeaders
      ? EventHeaders.headers(action, record.event, state, schema: "", table: "") : []
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers)
  }
}
