import KafkaBridge
import PGWire

/// How the rows of an outbox become records: the payload as it is, in the topic that the row names.
///
/// A new row is a record. A row that goes away is none: that is how an outbox is cleaned. What else
/// happens in it is a mistake, about which the configuration decides.
final class OutboxPlan: TablePlan {
  /// The header that holds the event's id.
  static let idHeader = "id"
  /// The envelope's member that holds the payload.
  static let payloadMember = "payload"

  /// A column and how its values are written.
  private struct Column {
    let index: Int
    let value: OutboxValue
    let name: String
  }

  /// A column that stands in a header or in the envelope.
  private struct Placed {
    let column: Column
    /// The header's name.
    let alias: String
    /// The envelope's bytes before the value.
    let lead: [UInt8]
  }

  private let options: OutboxOptions
  private let names: TopicRouting.TopicNames
  private let id: Column
  private let key: Column
  private let payload: Column
  private let routeBy: Column
  private let timestamp: Column?
  private let partition: Column?
  private let headers: [Placed]
  private let members: [Placed]
  private let payloadLead: [UInt8]
  private let hasEnvelope: Bool

  /// Works out the places of the columns; throws where the table lacks one.
  init(
    _ options: OutboxOptions, _ names: TopicRouting.TopicNames, _ relation: Relation,
    _ types: TypeCatalog
  ) throws(TableRules.Misfit) {
    func column(_ name: String, _ key: String) throws(TableRules.Misfit) -> Column {
      guard let index = relation.columns.firstIndex(where: { $0.name == name }) else {
        throw .noColumn(name, key: key, in: relation)
      }
      let type = relation.columns[index].type
      let value = type == Self.memberType ? .member : OutboxValue(type, types)
      return Column(index: index, value: value, name: name)
    }
    func placed(_ place: OutboxOptions.Placement.Place) throws(TableRules.Misfit) -> [Placed] {
      var placed: [Placed] = []
      for placement in options.placements where placement.place == place {
        placed.append(
          Placed(
            column: try column(placement.column, "placement"), alias: placement.alias,
            lead: Self.lead(",", placement.alias)))
      }
      return placed
    }
    self.options = options
    self.names = names
    id = try column(options.eventID, "eventID")
    key = try column(options.eventKey, "eventKey")
    payload = try column(options.payload, "payload")
    routeBy = try column(options.routeBy, "routeBy")
    timestamp = try options.timestamp.map { (name) throws(TableRules.Misfit) in
      try column(name, "timestamp")
    }
    headers = try placed(.header)
    members = try placed(.envelope)
    partition = try placed(.partition).first?.column
    payloadLead = Self.lead("{", Self.payloadMember)
    hasEnvelope = options.hasEnvelope
  }

  /// The OID that stands for a member of a message, which no type of a table has.
  static let memberType: UInt32 = 0

  private static func lead(_ start: Character, _ name: String) -> [UInt8] {
    var json = ByteWriter()
    json.append(string: String(start))
    json.append(jsonString: name)
    json.append(string: ":")
    return json.bytes.copied
  }

  let holdsComposites = false
  var ownedBytes: Int { payloadLead.count + members.reduce(0) { $0 + $1.lead.count } }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool { true }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {}

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    switch (event.action, event.part) {
    case (.insert, .none), (.read, _): break
    case (.update, _), (.insert, _): return fail(.update, &state)
    default: return
    }
    let start = batch.bytes.count
    let fault = add(event.row, route, ticket: ticket, &state, to: &batch)
    guard let fault else { return }
    batch.bytes.truncate(to: start)
    fail(fault, &state)
  }

  private func fail(_ fault: OutboxFault, _ state: inout EncodingState) {
    state.outbox.fault = fault
    state.setback = .outbox
  }

  /// Adds the record of a row; gives what stands in its way.
  private func add(
    _ row: borrowing TupleData, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, to batch: inout RecordBatch
  ) -> OutboxFault? {
    guard let topic = topic(row, &state, &batch.bytes) else {
      return state.outbox.fault.take() ?? .noRoute(options.routeBy)
    }
    let start = batch.bytes.count
    guard let hasKey = append(key, of: row, to: &batch.bytes) else {
      return .malformed(options.eventKey)
    }
    let key = hasKey ? start..<batch.bytes.count : nil
    let valueStart = batch.bytes.count
    guard let hasValue = appendValue(row, &state, to: &batch.bytes) else {
      return .malformed(options.payload)
    }
    let value = hasValue ? valueStart..<batch.bytes.count : nil
    var hash: Int32?
    if let partition {
      switch number(partition, of: row) {
      case .some(.some(let number)): hash = number
      case .some(nil): break
      case nil: return .noPartition(partition.name)
      }
    }
    if let timestamp, let time = time(timestamp, of: row) { batch.stamp(time) }
    let first = batch.headerCount
    guard addHeader(id, Self.idHeader, of: row, to: &batch) else {
      batch.dropHeaders(from: first)
      return .malformed(options.eventID)
    }
    for header in headers where !addHeader(header.column, header.alias, of: row, to: &batch) {
      batch.dropHeaders(from: first)
      return .malformed(header.column.name)
    }
    batch.add(
      key: key, value: value,
      route: Route(topic: topic, like: route), ticket: ticket, headersFrom: first,
      partitionHash: hash)
    if topic < 0 { state.setback = .outbox }
    return nil
  }

  /// The number of a row's topic, or what stands for it until the sink has given one; nil where the
  /// row has none.
  private func topic(
    _ row: borrowing TupleData, _ state: inout EncodingState, _ scratch: inout ByteWriter
  ) -> TopicID? {
    guard case .text(let raw) = row.value(at: routeBy.index), raw.byteCount > 0 else { return nil }
    guard case .text = routeBy.value else { return topic(decoding: raw, &state, &scratch) }
    return topic(raw, &state)
  }

  private func topic(
    decoding raw: RawSpan, _ state: inout EncodingState, _ scratch: inout ByteWriter
  ) -> TopicID? {
    let start = scratch.count
    defer { scratch.truncate(to: start) }
    guard routeBy.value.append(raw, to: &scratch), scratch.count > start else { return nil }
    return topic(scratch.bytes(start..<scratch.count), &state)
  }

  private func topic(_ value: RawSpan, _ state: inout EncodingState) -> TopicID? {
    if let known = state.outbox.topics.find(value) { return known }
    let name = options.topic(of: value.text, names)
    guard TopicRouting.isTopicName(name) else {
      state.outbox.fault = .topicName(name)
      return nil
    }
    return state.outbox.topics.add(value, name)
  }

  /// Appends a column's value; false for null, nil when it is not what its type says.
  private func append(
    _ column: Column, of row: borrowing TupleData, to bytes: inout ByteWriter
  ) -> Bool? {
    guard case .text(let value) = row.value(at: column.index) else { return false }
    return column.value.append(value, to: &bytes) ? true : nil
  }

  private func addHeader(
    _ column: Column, _ name: String, of row: borrowing TupleData, to batch: inout RecordBatch
  ) -> Bool {
    let start = batch.bytes.count
    guard let isThere = append(column, of: row, to: &batch.bytes) else { return false }
    batch.addHeader(name, isThere ? start..<batch.bytes.count : nil)
    return true
  }

}

// What stands in a record besides its key.
extension OutboxPlan {
  /// Appends the record's value; false for none, nil when a value is not what its type says.
  private func appendValue(
    _ row: borrowing TupleData, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Bool? {
    if options.tombstoneOnEmptyPayload, isEmpty(row.value(at: payload.index)) { return false }
    guard hasEnvelope else { return append(payload, of: row, to: &bytes) }
    bytes.append(array: payloadLead)
    switch row.value(at: payload.index) {
    case .text(let value):
      guard appendPayload(value, &state, to: &bytes) else { return nil }
    default: bytes.append("null")
    }
    for member in members {
      bytes.append(array: member.lead)
      switch row.value(at: member.column.index) {
      case .text(let value):
        guard member.column.value.append(json: value, to: &bytes) else { return nil }
      default: bytes.append("null")
      }
    }
    bytes.append(UInt8(ascii: "}"))
    return true
  }

  /// Appends the payload as JSON: a document as it is where that is wanted, anything else as a string.
  private func appendPayload(
    _ value: RawSpan, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Bool {
    guard options.expandPayload else { return payload.value.append(json: value, to: &bytes) }
    switch payload.value {
    case .document where isDocument(value),
      .text where isDocument(value) && state.outbox.isDocument(value):
      bytes.append(value)
      return true
    case .member where value[0] == UInt8(ascii: "\""):
      let start = bytes.count
      guard payload.value.append(value, to: &bytes) else { return false }
      if isWholeDocument(bytes, from: start, &state) { return true }
      bytes.truncate(to: start)
    default: break
    }
    return payload.value.append(json: value, to: &bytes)
  }

  private func isWholeDocument(
    _ bytes: borrowing ByteWriter, from start: Int, _ state: inout EncodingState
  ) -> Bool {
    let text = bytes.bytes(start..<bytes.count)
    return isDocument(text) && state.outbox.isDocument(text)
  }

  /// Whether a text begins like an object or an array, and every reader takes it in an event.
  private func isDocument(_ text: RawSpan) -> Bool {
    guard text.byteCount > 1, text[0] == UInt8(ascii: "{") || text[0] == UInt8(ascii: "[") else {
      return false
    }
    return (try? JSONReach.isEmbeddable(text, mayHaveSurrogates: true)) ?? false
  }

  /// Whether a payload is null, or nothing but blanks.
  private func isEmpty(_ value: ColumnValue) -> Bool {
    guard case .text(let text) = value else { return true }
    var range = 0..<text.byteCount
    switch payload.value {
    case .bytea: return text.byteCount <= 2
    case .member where text.byteCount >= 2 && text[0] == UInt8(ascii: "\""):
      range = 1..<text.byteCount - 1
    default: break
    }
    for offset in range where text[offset] > 0x20 { return false }
    return true
  }

  /// The number in a column: nil inside for null, outside for anything else.
  private func number(_ column: Column, of row: borrowing TupleData) -> Int32?? {
    guard case .text(let text) = row.value(at: column.index) else { return .some(nil) }
    guard text.byteCount > 0 else { return nil }
    var number: Int32 = 0
    for offset in 0..<text.byteCount {
      let digit = text[offset] &- 0x30
      guard digit < 10, number < 100_000_000 else { return nil }
      number = number * 10 + Int32(digit)
    }
    return .some(number)
  }

  /// The moment in a column, in milliseconds since 1970; nil leaves it to the producer.
  private func time(_ column: Column, of row: borrowing TupleData) -> Int64? {
    guard case .text(let text) = row.value(at: column.index), text.byteCount > 0 else { return nil }
    switch column.value {
    case .integer: return Int64(text.text)
    case .member where text[0] != UInt8(ascii: "\""): return Int64(text.text)
    case .member: return time(text.extracting(1..<text.byteCount - 1))
    default: return time(text)
    }
  }

  private func time(_ text: RawSpan) -> Int64? {
    guard let moment = CalendarText(text), case .moment = moment.kind else { return nil }
    let time = moment.sinceEpoch(unitsPerSecond: 1_000)
    return time > 0 ? time : nil
  }
}
