import PGWire

/// How the keys of one table's records are written: the number of their schema and a record.
struct AvroKey: ~Copyable {
  /// One column; not private, see ``DebeziumKey/Column``.
  struct Column: BitwiseCopyable {
    let index: Int32
    let encoder: DebeziumEncoder
    let isOptional: Bool
  }

  private let schema: UInt32
  private let columns: OwnedArray<Column>
  private let hasPartialOldRows: Bool

  init(_ table: Table, types: TypeCatalog, _ writer: SchemaWriter, schema: UInt32) {
    self.schema = schema
    hasPartialOldRows = table.hasPartialOldRows
    let fields = writer.keyFields(table, types)
    columns = OwnedArray(count: fields.count) { place in
      Column(
        index: Int32(table.keyOrder[place]), encoder: fields[place].encoder,
        isOptional: fields[place].isOptional)
    }
  }

  /// What became of a key.
  enum Outcome {
    /// It stands in the bytes.
    case written(Range<Int>)
    /// The table, or the row, has none.
    case none
    /// The schema cannot say the value of that column.
    case unwritable(Int)
  }

  /// Appends an event's key.
  func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Outcome {
    guard columns.count > 0 else { return .none }
    let nullsAreUnsent =
      event.action == .delete && event.oldImage.leavesOutNulls(ofPartial: hasPartialOldRows)
    let start = bytes.count
    AvroFormat.append(schema: schema, to: &bytes)
    for place in columns.indices {
      let column = columns[place]
      var isKnown = true
      switch event.row.value(at: Int(column.index)) {
      case .text(let text): isKnown = append(text, column, &state, to: &bytes)
      case .unchangedToast:
        guard event.oldImage != .none,
          case .text(let text) = event.old.value(at: Int(column.index))
        else {
          bytes.truncate(to: start)
          return .none
        }
        isKnown = append(text, column, &state, to: &bytes)
      case .null, .binary:
        if nullsAreUnsent {
          bytes.truncate(to: start)
          return .none
        }
        isKnown = column.isOptional
        bytes.append(AvroUnion.null)
      }
      guard isKnown else { return .unwritable(Int(column.index)) }
    }
    return .written(start..<bytes.count)
  }

  @inline(__always)
  private func append(
    _ text: RawSpan, _ column: Column, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Bool {
    if column.isOptional { bytes.append(AvroUnion.value) }
    return column.encoder.encode(avro: text, &state.debezium.scratch, into: &bytes)
  }
}
