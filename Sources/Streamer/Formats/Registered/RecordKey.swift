import PGWire

/// What became of a record's key.
enum KeyOutcome {
  /// It stands in the bytes.
  case written(Range<Int>)
  /// The table, or the row, has none.
  case none
  /// The schema cannot say the value of that column.
  case unwritable(Int)
}

/// How the keys of one table's records are written: the number of their schema and a record.
///
/// ``DebeziumKey`` has its own walk: it also writes scalars, headers and what decides partitions.
struct RecordKey<Writer: RecordWriter>: ~Copyable {
  private let schema: UInt32
  private let columns: OwnedArray<RowColumn>
  /// Where each stands in the row.
  private let places: OwnedArray<Int32>
  private let nothing = PreparedBytes(ByteWriter(capacity: 1))
  private let hasPartialOldRows: Bool

  /// `numbers` are those of the key's fields.
  init(
    _ table: Table, types: TypeCatalog, _ writer: SchemaWriter, schema: UInt32, numbers: [Int32]
  ) {
    self.schema = schema
    hasPartialOldRows = table.hasPartialOldRows
    let fields = writer.keyFields(table, types)
    columns = OwnedArray(count: fields.count) { place in
      RowColumn(
        encoder: fields[place].encoder, isOptional: fields[place].isOptional,
        number: FieldNumbers.number(place, numbers), isWrapped: writer.wrapsLists)
    }
    places = OwnedArray(count: fields.count) { Int32(table.keyOrder[$0]) }
  }

  /// Appends an event's key.
  func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> KeyOutcome {
    guard columns.count > 0 else { return .none }
    let nullsAreUnsent =
      event.action == .delete && event.oldImage.leavesOutNulls(ofPartial: hasPartialOldRows)
    let start = bytes.count
    Writer.append(schema: schema, to: &bytes)
    for place in columns.indices {
      let column = columns[place]
      let index = Int(places[place])
      var isKnown = true
      switch event.row.value(at: index) {
      case .text(let text):
        isKnown = Writer.append(
          text, column, nothing, isFirst: false, &state.debezium.scratch, to: &bytes)
      case .unchangedToast:
        guard event.oldImage != .none,
          case .text(let text) = event.old.value(at: index)
        else {
          bytes.truncate(to: start)
          return .none
        }
        isKnown = Writer.append(
          text, column, nothing, isFirst: false, &state.debezium.scratch, to: &bytes)
      case .null, .binary:
        if nullsAreUnsent {
          bytes.truncate(to: start)
          return .none
        }
        isKnown = Writer.appendNull(column, nothing, isFirst: false, to: &bytes)
      }
      guard isKnown else { return .unwritable(index) }
    }
    return .written(start..<bytes.count)
  }
}
