import KafkaBridge
import PGWire

/// Writes events as records of the native format: the key as a JSON object, the value as
/// ``NativeEnvelope`` lays it out.
///
/// A class so that a lane holds it beside its batch; only the pipeline's thread uses it. Nothing
/// here allocates for a row: names and encoders are worked out once for each Relation message.
/// Values come as text: the pipeline makes it of binary ones, and refuses those it did not ask for.
final class EventEncoder {
  /// What all rows of one table share.
  final class Plan {
    /// One published column.
    struct Column: BitwiseCopyable {
      let name: NativeEnvelope.Name
      let encoder: ValueEncoder
      let isKey: Bool
      /// Whether its values hold rows.
      let holdsComposites: Bool
    }

    let schema: String
    let table: String
    let relation: NativeEnvelope.Relation
    let columns: [Column]
    let hasKey: Bool
    let holdsComposites: Bool

    init(
      schema: String, table: String, relation: NativeEnvelope.Relation, columns: [Column]
    ) {
      self.schema = schema
      self.table = table
      self.relation = relation
      self.columns = columns
      hasKey = columns.contains(where: \.isKey)
      holdsComposites = columns.contains(where: \.holdsComposites)
    }
  }

  private var envelope: NativeEnvelope
  private var encoders: ValueEncoders
  private let options: ValueOptions
  private let systemIdentifier: UInt64
  private let database: String
  private let messages: Plan
  private let hasHeaders: Bool
  private var uuid: EventUUID?
  /// Where ``agrees(_:_:)`` writes.
  private var trial = ByteWriter()

  /// Makes the encoder for one database; `host` as the connection string names it.
  ///
  /// With headers each record gets those of ``EventHeaders``, which costs allocations.
  init(
    systemIdentifier: UInt64, host: String, database: String, options: ValueOptions,
    headers: Bool = false
  ) {
    hasHeaders = headers
    self.systemIdentifier = systemIdentifier
    self.database = database
    self.options = options
    envelope = NativeEnvelope(host: host, database: database)
    encoders = ValueEncoders(options: options)
    messages = Plan(
      schema: "", table: "", relation: envelope.relation(schema: "", table: ""), columns: [])
  }

  /// Works out what all rows of a table share.
  func plan(_ table: Table, types: TypeCatalog) -> Plan {
    let columns = table.relation.columns.enumerated().map { index, column in
      let encoder = encoders.resolve(column.type, in: types)
      return Plan.Column(
        name: envelope.name(column.name), encoder: encoder, isKey: table.key.contains(index),
        holdsComposites: encoders.holdsComposites(encoder))
    }
    let relation = envelope.relation(schema: table.relation.schema, table: table.relation.name)
    return Plan(
      schema: table.relation.schema, table: table.relation.name, relation: relation,
      columns: columns)
  }

  /// Whether each row among the values has as many fields as its type is known to have.
  func agrees(_ change: borrowing Change, _ plan: Plan) -> Bool {
    guard plan.holdsComposites else { return true }
    encoders.isStrict = true
    defer { encoders.isStrict = false }
    return agrees(change.new, plan) && agrees(change.old, plan)
  }

  private func agrees(_ row: borrowing TupleData, _ plan: Plan) -> Bool {
    guard row.count > 0 else { return true }
    var cursor = row.columns
    for column in plan.columns {
      guard case .text(let text) = cursor.next(), column.holdsComposites else { continue }
      trial.removeAll()
      do { try encoders.encode(text, as: column.encoder, into: &trial) } catch { return false }
    }
    return true
  }

  /// A transaction begins: the events that follow are its own.
  func begin(_ transaction: Transaction) {
    let uuid = EventUUID(
      systemIdentifier: systemIdentifier, database: database, xid: transaction.xid ?? 0,
      commitTime: transaction.commitTime ?? 0, commitLSN: transaction.commitLSN)
    envelope.begin(
      commitLSN: transaction.commitLSN, commitTime: transaction.commitTime, xid: transaction.xid,
      uuid: uuid)
    self.uuid = uuid
  }

  // MARK: - Events

  /// Adds a row event to a batch.
  func encode(
    _ event: borrowing RowEvent, _ lane: TableLane, ticket: UInt64, into batch: inout RecordBatch
  ) {
    add(row(event, lane.plan, into: &batch.bytes), lane.route, ticket, to: &batch)
  }

  /// Adds to a batch that a table was emptied.
  func encode(
    truncate place: EventPlace, _ lane: TableLane, ticket: UInt64, into batch: inout RecordBatch
  ) {
    add(truncate(place, lane.plan, into: &batch.bytes), lane.route, ticket, to: &batch)
  }

  /// Adds a logical message to a batch.
  func encode(
    _ message: borrowing LogicalMessage, _ place: EventPlace, _ route: Route, ticket: UInt64,
    into batch: inout RecordBatch
  ) {
    add(self.message(message, place, into: &batch.bytes), route, ticket, to: &batch)
  }

  /// Adds to a batch what became of a prepared transaction.
  func encode(
    _ action: EventAction, gid: String, _ place: EventPlace, _ route: Route, ticket: UInt64,
    into batch: inout RecordBatch
  ) {
    add(outcome(action, gid: gid, place, into: &batch.bytes), route, ticket, to: &batch)
  }

  private func add(
    _ record: EncodedRecord, _ route: Route, _ ticket: UInt64, to batch: inout RecordBatch
  ) {
    batch.add(
      key: record.key, value: record.value, route: route, ticket: ticket,
      headers: record.headers?.recordHeaders ?? [])
  }

  /// Writes a row event.
  private func row(
    _ event: borrowing RowEvent, _ plan: Plan, into json: inout ByteWriter
  ) -> EncodedRecord {
    let key = key(event, plan, into: &json)
    let start = json.count
    envelope.appendHead(plan.relation, event.action, ordinal: event.place.ordinal, to: &json)
    let hasUnchanged = columns(event, plan, into: &json)
    envelope.appendTail(
      plan.relation, lsn: event.place.lsn, ordinal: event.place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    if let key { json.append(copyOf: key) } else { json.append("null") }
    if event.showsOld, event.oldImage != .none {
      NativeEnvelope.append(.old, to: &json)
      old(event, plan, into: &json)
    }
    if hasUnchanged { unchanged(event, plan, into: &json) }
    NativeEnvelope.appendEnd(to: &json)
    return EncodedRecord(
      key: key, value: start..<json.count, headers: headers(event.action, event.place, plan))
  }

  /// Writes that a table was emptied; it has no key.
  private func truncate(
    _ place: EventPlace, _ plan: Plan, into json: inout ByteWriter
  ) -> EncodedRecord {
    let start = json.count
    envelope.appendHead(plan.relation, .truncate, ordinal: place.ordinal, to: &json)
    json.append("{}")
    envelope.appendTail(plan.relation, lsn: place.lsn, ordinal: place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
    NativeEnvelope.appendEnd(to: &json)
    return EncodedRecord(
      key: nil, value: start..<json.count, headers: headers(.truncate, place, plan))
  }

  /// Writes a logical message; it has no key.
  private func message(
    _ message: borrowing LogicalMessage, _ place: EventPlace, into json: inout ByteWriter
  ) -> EncodedRecord {
    let start = json.count
    envelope.appendHead(messages.relation, .message, ordinal: place.ordinal, to: &json)
    json.append("{}")
    envelope.appendTail(messages.relation, lsn: place.lsn, ordinal: place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
    NativeEnvelope.appendMessage(
      prefix: message.prefix, content: message.content, isTransactional: message.isTransactional,
      to: &json)
    NativeEnvelope.appendEnd(to: &json)
    return EncodedRecord(
      key: nil, value: start..<json.count, headers: headers(.message, place, messages))
  }

  /// Writes what became of a prepared transaction; it has no key.
  private func outcome(
    _ action: EventAction, gid: String, _ place: EventPlace, into json: inout ByteWriter
  ) -> EncodedRecord {
    let start = json.count
    envelope.appendHead(messages.relation, action, ordinal: place.ordinal, to: &json)
    json.append("{}")
    envelope.appendTail(messages.relation, lsn: place.lsn, ordinal: place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
    NativeEnvelope.append(.gid, to: &json)
    json.append(jsonString: gid)
    NativeEnvelope.appendEnd(to: &json)
    return EncodedRecord(
      key: nil, value: start..<json.count, headers: headers(action, place, messages))
  }

  // MARK: - Parts

  private func headers(
    _ action: EventAction, _ place: EventPlace, _ plan: Plan
  ) -> EventHeaders? {
    guard hasHeaders, let uuid else { return nil }
    var text = ByteWriter(capacity: 40)
    uuid.append(ordinal: place.ordinal, to: &text)
    return EventHeaders(
      uuid: text.bytes.text, lsn: "\(place.lsn)", schema: plan.schema, table: plan.table,
      action: "\(action.name)")
  }

  /// The key's columns as a JSON object; a value that was not sent again stands in the old image.
  private func key(
    _ event: borrowing RowEvent, _ plan: Plan, into json: inout ByteWriter
  ) -> Range<Int>? {
    guard plan.hasKey else { return nil }
    let start = json.count
    json.append(UInt8(ascii: "{"))
    var cursor = event.row.columns
    var isFirst = true
    for (index, column) in plan.columns.enumerated() {
      guard column.isKey else {
        cursor.skip()
        continue
      }
      envelope.append(column.name, isFirst: isFirst, to: &json)
      isFirst = false
      switch cursor.next() {
      case .text(let text): encode(text, column, into: &json)
      case .unchangedToast where event.oldImage != .none:
        value(event.old.value(at: index), column, into: &json)
      case .null, .unchangedToast, .binary: json.append("null")
      }
    }
    json.append(UInt8(ascii: "}"))
    return start..<json.count
  }

  /// `Columns`; says whether a TOASTed value was neither sent nor known from a full old image.
  private func columns(
    _ event: borrowing RowEvent, _ plan: Plan, into json: inout ByteWriter
  ) -> Bool {
    json.append(UInt8(ascii: "{"))
    var cursor = event.row.columns
    var isFirst = true
    var hasUnchanged = false
    for (index, column) in plan.columns.enumerated() {
      if event.isKeyOnly, !column.isKey {
        cursor.skip()
        continue
      }
      switch cursor.next() {
      case .text(let text):
        envelope.append(column.name, isFirst: isFirst, to: &json)
        encode(text, column, into: &json)
      case .unchangedToast:
        guard event.oldImage == .full else {
          hasUnchanged = true
          continue
        }
        envelope.append(column.name, isFirst: isFirst, to: &json)
        value(event.old.value(at: index), column, into: &json)
      case .null, .binary:
        envelope.append(column.name, isFirst: isFirst, to: &json)
        json.append("null")
      }
      isFirst = false
    }
    json.append(UInt8(ascii: "}"))
    return hasUnchanged
  }

  /// `Old`: the whole old row, or its key.
  private func old(
    _ event: borrowing RowEvent, _ plan: Plan, into json: inout ByteWriter
  ) {
    json.append(UInt8(ascii: "{"))
    var cursor = event.old.columns
    var isFirst = true
    for column in plan.columns {
      if event.oldImage == .key, !column.isKey {
        cursor.skip()
        continue
      }
      envelope.append(column.name, isFirst: isFirst, to: &json)
      isFirst = false
      value(cursor.next(), column, into: &json)
    }
    json.append(UInt8(ascii: "}"))
  }

  /// `Unchanged`: the names of the columns whose TOASTed values were not sent.
  private func unchanged(
    _ event: borrowing RowEvent, _ plan: Plan, into json: inout ByteWriter
  ) {
    NativeEnvelope.append(.unchanged, to: &json)
    json.append(UInt8(ascii: "["))
    var cursor = event.row.columns
    var isFirst = true
    for column in plan.columns {
      guard case .unchangedToast = cursor.next() else { continue }
      envelope.append(element: column.name, isFirst: isFirst, to: &json)
      isFirst = false
    }
    json.append(UInt8(ascii: "]"))
  }

  private func value(
    _ value: consuming ColumnValue, _ column: Plan.Column, into json: inout ByteWriter
  ) {
    if case .text(let text) = value {
      encode(text, column, into: &json)
    } else {
      json.append("null")
    }
  }

  /// A text that is not what its type promises is kept as it is: a string.
  ///
  /// Losing or refusing the row for it would help nobody.
  private func encode(_ text: RawSpan, _ column: Plan.Column, into json: inout ByteWriter) {
    do { try encoders.encode(text, as: column.encoder, into: &json) } catch {
      JSONEscape.append(text, to: &json)
    }
  }
}

/// Where an encoded record stands in its batch's bytes.
private struct EncodedRecord {
  /// The key's place; nil for none.
  let key: Range<Int>?
  /// The value's place.
  let value: Range<Int>
  /// What its headers say; nil for none.
  let headers: EventHeaders?
}
