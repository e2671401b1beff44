import KafkaBridge
import PGWire

/// How the events of one table are written in the native format.
///
/// Nothing here allocates for a row: names and encoders are worked out once for each Relation
/// message. Values come as text: the pipeline makes it of binary ones, and refuses those it did not
/// ask for.
final class NativeTablePlan: TablePlan {
  /// One published column.
  private struct Column: BitwiseCopyable {
    let name: NativeEnvelope.Name
    let encoder: ValueEncoder
    let isKey: Bool
    /// Whether the server sends it where it sends a row's identity only: more than the key's columns
    /// never, fewer where a part of the key is not published, which makes the key none.
    let isIdentity: Bool
    /// Whether its values hold rows.
    let holdsComposites: Bool
  }

  private let schema: String
  private let table: String
  private let envelope: NativeEnvelope
  private let encoders: ValueEncoders
  private let columns: OwnedArray<Column>
  private let hasKey: Bool
  private let hasPartialOldRows: Bool
  private let headers: EventHeaders
  /// The places of the columns whose values stand in headers.
  private let headerColumns: [String: Int]
  /// The columns that decide the partition; nil for those of the key.
  private let partition: [Int]?
  let holdsComposites: Bool

  init(
    _ table: Table, types: TypeCatalog, _ origin: StreamOrigin, options: ValueOptions,
    headers: EventHeaders
  ) {
    let relation = table.relation
    var envelope = NativeEnvelope(
      host: origin.host, database: origin.database, schema: relation.schema, table: relation.name)
    var encoders = ValueEncoders(options: options)
    let keys = Set(table.key)
    var holdsComposites = false
    columns = OwnedArray(count: relation.columns.count) { index in
      let encoder = encoders.resolve(relation.columns[index].type, in: types)
      let holdsRows = encoders.holdsComposites(encoder)
      holdsComposites = holdsComposites || holdsRows
      return Column(
        name: envelope.name(relation.columns[index].name), encoder: encoder,
        isKey: keys.contains(index), isIdentity: relation.columns[index].isKey,
        holdsComposites: holdsRows)
    }
    encoders.seal()
    schema = relation.schema
    self.table = relation.name
    self.envelope = envelope
    self.encoders = encoders
    self.holdsComposites = holdsComposites
    hasKey = !table.key.isEmpty
    hasPartialOldRows = table.hasPartialOldRows
    self.headers = headers
    var places: [String: Int] = [:]
    for case .column(let name) in headers.parts {
      places[name] = relation.columns.firstIndex { $0.name == name }
    }
    headerColumns = places
    partition = table.partition
  }

  var ownedBytes: Int { envelope.ownedBytes + encoders.ownedBytes }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool {
    guard holdsComposites else { return true }
    state.scratch.isStrict = true
    defer { state.scratch.isStrict = false }
    return agrees(change.new, &state) && agrees(change.old, &state)
  }

  private func agrees(_ row: borrowing TupleData, _ state: inout EncodingState) -> Bool {
    guard row.count > 0 else { return true }
    var cursor = row.columns
    for index in columns.indices {
      let column = columns[index]
      guard case .text(let text) = cursor.next(), column.holdsComposites else { continue }
      state.trial.removeAll()
      do {
        try encoders.encode(
          text, as: column.encoder, scratch: &state.scratch, into: &state.trial)
      } catch { return false }
    }
    return true
  }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let key = appendKey(event, &state, to: &batch.bytes)
    let start = batch.bytes.count
    appendValue(event, key: key, &state, to: &batch.bytes)
    let value = start..<batch.bytes.count
    let hash = partitionHash(event, &state)
    guard !headers.isEmpty else {
      return batch.add(key: key, value: value, route: route, ticket: ticket, partitionHash: hash)
    }
    batch.add(
      key: key, value: value, route: route, ticket: ticket,
      headers: recordHeaders(event, state), partitionHash: hash)
  }

  private func recordHeaders(
    _ event: borrowing RowEvent, _ state: borrowing EncodingState
  ) -> [RecordHeader] {
    var values: [Int: [UInt8]] = [:]
    for place in headerColumns.values { values[place] = value(of: place, event) }
    return headers.make(
      event.action, event.place, state, schema: schema, table: table,
      isExtraDelete: event.part == .extraDelete
    ) { name in headerColumns[name].flatMap { values[$0] } }
  }

  /// The text of a column as PostgreSQL prints it; nil where it is NULL or was not sent.
  private func value(of place: Int, _ event: borrowing RowEvent) -> [UInt8]? {
    let sent = cell(place, of: event.row)
    guard sent.isUnchanged, event.oldImage == .full else { return sent.text }
    return cell(place, of: event.old).text
  }

  private func cell(
    _ place: Int, of row: borrowing TupleData
  ) -> (text: [UInt8]?, isUnchanged: Bool) {
    var cursor = row.columns
    for index in 0..<row.count {
      let value = cursor.next()
      guard index == place else { continue }
      switch value {
      case .text(let text): return (text.copied, false)
      case .unchangedToast: return (nil, true)
      case .null, .binary: return (nil, false)
      }
    }
    return (nil, false)
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    appendValue(truncate: record.event, state, to: &batch.bytes)
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers.make(.truncate, record.event, state, schema: schema, table: table))
  }

  // MARK: - Keys and values

  /// Appends an event's key; nil, and nothing, for a table or a row without one.
  @inline(__always)
  func appendKey(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to json: inout ByteWriter
  ) -> Range<Int>? {
    key(event, &state.scratch, into: &json)
  }

  /// Appends an event's object; its key stands in the same bytes.
  @inline(__always)
  func appendValue(
    _ event: borrowing RowEvent, key: Range<Int>?, _ state: inout EncodingState,
    to json: inout ByteWriter
  ) {
    envelope.appendHead(
      state, event.action, ordinal: event.place.ordinal,
      isExtraDelete: event.part == .extraDelete, to: &json)
    let hasUnchanged = columns(event, &state.scratch, into: &json)
    envelope.appendTail(state, lsn: event.place.lsn, ordinal: event.place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    if let key { json.append(copyOf: key) } else { json.append("null") }
    // An insert that stands for a new key leads to the row that has what it lacks.
    if event.showsOld || hasUnchanged, event.oldImage != .none {
      NativeEnvelope.append(.old, to: &json)
      old(event, &state.scratch, into: &json)
    }
    if hasUnchanged { unchanged(event, into: &json) }
    NativeEnvelope.appendEnd(to: &json)
  }

  /// Appends the object that says that the table was emptied.
  func appendValue(
    truncate place: EventPlace, _ state: borrowing EncodingState, to json: inout ByteWriter
  ) {
    envelope.appendHead(state, .truncate, ordinal: place.ordinal, to: &json)
    json.append("{}")
    envelope.appendTail(state, lsn: place.lsn, ordinal: place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("null")
    NativeEnvelope.appendEnd(to: &json)
  }

  /// What decides an event's partition where that is not its key.
  @inline(__always)
  func partitionHash(_ event: borrowing RowEvent, _ state: inout EncodingState) -> Int32? {
    guard let partition else { return nil }
    return partitionHash(partition, event, &state)
  }

  // MARK: - Parts

  /// Whether nulls of the event's old row are values that were not sent.
  @inline(__always)
  private func leavesOutOldNulls(_ event: borrowing RowEvent) -> Bool {
    event.oldImage.leavesOutNulls(ofPartial: hasPartialOldRows)
  }

  /// The key's columns as a JSON object; a value that was not sent again stands in the old image.
  ///
  /// A key of which a column was not sent at all is none.
  private func key(
    _ event: borrowing RowEvent, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) -> Range<Int>? {
    guard hasKey else { return nil }
    let start = json.count
    json.append(UInt8(ascii: "{"))
    var cursor = event.row.columns
    var isFirst = true
    for index in columns.indices {
      guard columns[index].isKey else {
        cursor.skip()
        continue
      }
      let column = columns[index]
      envelope.append(column.name, isFirst: isFirst, to: &json)
      isFirst = false
      switch cursor.next() {
      case .text(let text): encode(text, column, &scratch, into: &json)
      case .unchangedToast:
        guard event.oldImage != .none, case .text(let text) = event.old.value(at: index) else {
          json.truncate(to: start)
          return nil
        }
        encode(text, column, &scratch, into: &json)
      case .null, .binary:
        if event.action == .delete, leavesOutOldNulls(event) {
          json.truncate(to: start)
          return nil
        }
        json.append("null")
      }
    }
    json.append(UInt8(ascii: "}"))
    return start..<json.count
  }

  /// What decides an event's partition where that is not its key: the hash of a key of those columns,
  /// in their order.
  private func partitionHash(
    _ places: [Int], _ event: borrowing RowEvent, _ state: inout EncodingState
  ) -> Int32? {
    state.trial.removeAll()
    state.trial.append(UInt8(ascii: "{"))
    for (number, index) in places.enumerated() {
      envelope.append(columns[index].name, isFirst: number == 0, to: &state.trial)
      switch event.row.value(at: index) {
      case .text(let text): encode(text, columns[index], &state.scratch, into: &state.trial)
      case .unchangedToast:
        guard event.oldImage != .none, case .text(let text) = event.old.value(at: index) else {
          return nil
        }
        encode(text, columns[index], &state.scratch, into: &state.trial)
      case .null, .binary: state.trial.append("null")
      }
    }
    state.trial.append(UInt8(ascii: "}"))
    return Murmur2.hash(state.trial.bytes)
  }

  /// `Columns`; says whether a TOASTed value was neither sent nor known from a full old image.
  private func columns(
    _ event: borrowing RowEvent, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) -> Bool {
    json.append(UInt8(ascii: "{"))
    var cursor = event.row.columns
    var isFirst = true
    var hasUnchanged = false
    for index in columns.indices {
      let column = columns[index]
      if event.isKeyOnly, !column.isIdentity {
        cursor.skip()
        continue
      }
      switch cursor.next() {
      case .text(let text):
        envelope.append(column.name, isFirst: isFirst, to: &json)
        encode(text, column, &scratch, into: &json)
      case .unchangedToast:
        guard event.oldImage == .full, case .text(let text) = event.old.value(at: index) else {
          hasUnchanged = true
          continue
        }
        envelope.append(column.name, isFirst: isFirst, to: &json)
        encode(text, column, &scratch, into: &json)
      case .null, .binary:
        if event.action == .delete, leavesOutOldNulls(event) { continue }
        envelope.append(column.name, isFirst: isFirst, to: &json)
        json.append("null")
      }
      isFirst = false
    }
    json.append(UInt8(ascii: "}"))
    return hasUnchanged
  }

  /// `Old`: the whole old row, its key, or what a partition's own identity made the server send.
  private func old(
    _ event: borrowing RowEvent, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) {
    json.append(UInt8(ascii: "{"))
    let leavesOutNulls = leavesOutOldNulls(event)
    var cursor = event.old.columns
    var isFirst = true
    for index in columns.indices {
      let column = columns[index]
      if event.oldImage == .key, !column.isIdentity {
        cursor.skip()
        continue
      }
      switch cursor.next() {
      case .text(let text):
        envelope.append(column.name, isFirst: isFirst, to: &json)
        encode(text, column, &scratch, into: &json)
      case .null, .unchangedToast, .binary:
        if leavesOutNulls { continue }
        envelope.append(column.name, isFirst: isFirst, to: &json)
        json.append("null")
      }
      isFirst = false
    }
    json.append(UInt8(ascii: "}"))
  }

  /// `Unchanged`: the names of the columns whose TOASTed values were not sent.
  private func unchanged(_ event: borrowing RowEvent, into json: inout ByteWriter) {
    NativeEnvelope.append(.unchanged, to: &json)
    json.append(UInt8(ascii: "["))
    var cursor = event.row.columns
    var isFirst = true
    for index in columns.indices {
      guard case .unchangedToast = cursor.next() else { continue }
      if event.oldImage == .full, case .text = event.old.value(at: index) { continue }
      envelope.append(element: columns[index].name, isFirst: isFirst, to: &json)
      isFirst = false
    }
    json.append(UInt8(ascii: "]"))
  }

  /// A text that is not what its type promises is kept as it is: a string.
  ///
  /// Losing or refusing the row for it would help nobody.
  @inline(__always)
  private func encode(
    _ text: RawSpan, _ column: Column, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) {
    do { try encoders.encode(text, as: column.encoder, scratch: &scratch, into: &json) } catch {
      JSONEscape.append(text, to: &json)
    }
  }
}
