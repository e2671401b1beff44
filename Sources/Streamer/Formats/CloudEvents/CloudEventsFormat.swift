import KafkaBridge
import PGWire

/// Writes events as CloudEvents 1.0, whose data is the object of ``NativeFormat``.
///
/// A class so that a lane and its plans share it; all of it is constant.
final class CloudEventsFormat: Format {
  private let origin: StreamOrigin
  private let options: ValueOptions
  private let native: NativeFormat
  private let envelope: CloudEventsEnvelope

  init(_ origin: StreamOrigin, options: ValueOptions, _ mode: CloudEventsMode) {
    self.origin = origin
    self.options = options
    native = NativeFormat(origin, options: options)
    envelope = CloudEventsEnvelope(origin, mode)
  }

  func plan(_ table: Table, types: TypeCatalog) -> any TablePlan {
    CloudEventsTablePlan(
      NativeTablePlan(table, types: types, origin, options: options, headers: .none), envelope,
      CloudEventsSubject("\(table.relation.schema).\(table.relation.name)"))
  }

  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    native.begin(transaction, &state)
    envelope.begin(transaction, &state)
  }

  func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    let headers = envelope.open(.message, record.event, nil, state, to: &batch.bytes)
    native.appendValue(message, record.event, state, to: &batch.bytes)
    close(record, start, headers, &batch)
  }

  func encode(
    _ action: EventAction, gid: String, _ record: RecordPlace, _ state: inout EncodingState,
    into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    let headers = envelope.open(action, record.event, nil, state, to: &batch.bytes)
    native.appendValue(action, gid: gid, record.event, state, to: &batch.bytes)
    close(record, start, headers, &batch)
  }

  private func close(
    _ record: RecordPlace, _ start: Int, _ headers: [RecordHeader], _ batch: inout RecordBatch
  ) {
    envelope.close(&batch.bytes)
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers)
  }
}

/// How the events of one table become CloudEvents.
final class CloudEventsTablePlan: TablePlan {
  private let native: NativeTablePlan
  private let envelope: CloudEventsEnvelope
  private let subject: CloudEventsSubject

  init(_ native: NativeTablePlan, _ envelope: CloudEventsEnvelope, _ subject: CloudEventsSubject) {
    self.native = native
    self.envelope = envelope
    self.subject = subject
  }

  var ownedBytes: Int { native.ownedBytes + subject.ownedBytes }

  var holdsComposites: Bool { native.holdsComposites }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool {
    native.agrees(change, &state)
  }

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let key = native.appendKey(event, &state, to: &batch.bytes)
    let start = batch.bytes.count
    let headers = envelope.open(
      event.action, event.place, subject, isExtraDelete: event.part == .extraDelete, state,
      to: &batch.bytes)
    native.appendValue(event, key: key, &state, to: &batch.bytes)
    envelope.close(&batch.bytes)
    let value = start..<batch.bytes.count
    batch.add(
      key: key, value: value, route: route, ticket: ticket, headers: headers,
      partitionHash: native.partitionHash(event, &state))
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    let headers = envelope.open(.truncate, record.event, subject, state, to: &batch.bytes)
    native.appendValue(truncate: record.event, state, to: &batch.bytes)
    envelope.close(&batch.bytes)
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers)
  }
}
