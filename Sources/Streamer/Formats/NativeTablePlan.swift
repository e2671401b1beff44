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
    /// Whether its values hold rows.
    let holdsComposites: Bool
  }

  private let schema: String
  private let table: String
  private let envelope: NativeEnvelope
  private let encoders: ValueEncoders
  private let columns: OwnedArray<Column>
  private let hasKey: Bool
  private let hasHeaders: Bool
  let holdsComposites: Bool

  init(
    _ table: Table, types: TypeCatalog, _ origin: StreamOrigin, options: ValueOptions,
    headers: Bool
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
        isKey: keys.contains(index), holdsComposites: holdsRows)
    }
    encoders.seal()
    schema = relation.schema
    self.table = relation.name
    self.envelope = envelope
    self.encoders = encoders
    self.holdsComposites = holdsComposites
    hasKey = !table.key.isEmpty
    hasHeaders = headers
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
    let (key, value) = write(event, &state, into: &batch.bytes)
    guard hasHeaders else {
      return batch.add(key: key, value: value, route: route, ticket: ticket)
    }
    batch.add(
      key: key, value: value, route: route, ticket: ticket,
      headers: EventHeaders.headers(
        event.action, event.place, state, schema: schema, table: table))
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    let place = record.event
    envelope.appendHead(state, .truncate, ordinal: place.ordinal, to: &batch.bytes)
    batch.bytes.append("{}")
    envelope.appendTail(state, lsn: place.lsn, ordinal: place.ordinal, to: &batch.bytes)
    NativeEnvelope.append(.key, to: &batch.bytes)
    batch.bytes.append("null")
    NativeEnvelope.appendEnd(to: &batch.bytes)
    let headers =
      hasHeaders
      ? EventHeaders.headers(.truncate, place, state, schema: schema, table: table) : []
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket,
      headers: headers)
  }

  private func write(
    _ event: borrowing RowEvent, _ state: inout EncodingState, into json: inout ByteWriter
  ) -> (key: Range<Int>?, value: Range<Int>) {
    let key = key(event, &state.scratch, into: &json)
    let start = json.count
    envelope.appendHead(state, event.action, ordinal: event.place.ordinal, to: &json)
    let hasUnchanged = columns(event, &state.scratch, into: &json)
    envelope.appendTail(state, lsn: event.place.lsn, ordinal: event.place.ordinal, to: &json)
    NativeEnvelope.append(.key, to: &json)
    if let key { json.append(copyOf: key) } else { json.append("null") }
    if event.showsOld, event.oldImage != .none {
      NativeEnvelope.append(.old, to: &json)
      old(event, &state.scratch, into: &json)
    }
    if hasUnchanged { unchanged(event, into: &json) }
    NativeEnvelope.appendEnd(to: &json)
    return (key, start..<json.count)
  }

  // MARK: - Parts

  /// The key's columns as a JSON object; a value that was not sent again stands in the old image.
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
      case .unchangedToast where event.oldImage != .none:
        value(event.old.value(at: index), column, &scratch, into: &json)
      case .null, .unchangedToast, .binary: json.append("null")
      }
    }
    json.append(UInt8(ascii: "}"))
    return start..<json.count
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
      if event.isKeyOnly, !column.isKey {
        cursor.skip()
        continue
      }
      switch cursor.next() {
      case .text(let text):
        envelope.append(column.name, isFirst: isFirst, to: &json)
        encode(text, column, &scratch, into: &json)
      case .unchangedToast:
        guard event.oldImage == .full else {
          hasUnchanged = true
          continue
        }
        envelope.append(column.name, isFirst: isFirst, to: &json)
        value(event.old.value(at: index), column, &scratch, into: &json)
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
    _ event: borrowing RowEvent, _ scratch: inout ValueScratch, into json: inout ByteWriter
  ) {
    json.append(UInt8(ascii: "{"))
    var cursor = event.old.columns
    var isFirst = true
    for index in columns.indices {
      let column = columns[index]
      if event.oldImage == .key, !column.isKey {
        cursor.skip()
        continue
      }
      envelope.append(column.name, isFirst: isFirst, to: &json)
      isFirst = false
      value(cursor.next(), column, &scratch, into: &json)
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
      envelope.append(element: columns[index].name, isFirst: isFirst, to: &json)
      isFirst = false
    }
    json.append(UInt8(ascii: "]"))
  }

  private func value(
    _ value: consuming ColumnValue, _ column: Column, _ scratch: inout ValueScratch,
    into json: inout ByteWriter
  ) {
    if case .text(let text) = value {
      encode(text, column, &scratch, into: &json)
    } else {
      json.append("null")
    }
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
