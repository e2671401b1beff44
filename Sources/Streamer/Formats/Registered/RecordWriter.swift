import KafkaBridge
import PGWire

/// How records with schemas in a registry are written in one binary encoding: what
/// ``RegisteredTablePlan`` and ``RecordKey`` put together.
protocol RecordWriter: ColumnWriter {
  /// How keys are written in it.
  static var keyFormat: KeyFormat { get }

  /// Appends what stands before each key and value: the number of its schema.
  static func append(schema number: UInt32, to bytes: inout ByteWriter)

  /// Appends what stands for a value of a column that was not sent, as ``ColumnWriter`` wants it
  /// prepared; nothing for types that have no stand-in.
  static func append(
    placeholderOf encoder: DebeziumEncoder, type: UInt32, _ column: RowColumn,
    _ options: DebeziumOptions, to bytes: inout ByteWriter)

  /// Appends schema and table as fields of the source.
  static func append(namesOf table: Table, to bytes: inout ByteWriter)

  /// Appends an envelope; gives the column whose value the schema cannot say.
  static func append(
    envelopeOf event: borrowing RowEvent, _ columns: borrowing RowColumns<Self>,
    names: borrowing PreparedBytes, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int?

  /// Appends the envelope of a truncated table.
  static func append(
    truncateAt lsn: LSN, names: borrowing PreparedBytes, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter)

  /// Appends what stands before a row without an envelope that is a branch of a union with null.
  static func appendUnion(to bytes: inout ByteWriter)

  // MARK: Members of rows

  /// Appends a member that is null.
  static func append(nullMember number: Int32, to bytes: inout ByteWriter)

  /// Appends a member that is a text, in ASCII.
  static func append(
    member number: Int32, text: StaticString, to bytes: inout ByteWriter)

  /// Appends a member that is a text and the same for all rows.
  static func append(member number: Int32, prepared text: String, to bytes: inout ByteWriter)

  /// Appends a member that is a whole number.
  static func append(member number: Int32, _ value: Int64, to bytes: inout ByteWriter)

  /// Appends a member that is `["the last commit's end","the change's own"]`.
  static func append(
    member number: Int32, sequence state: borrowing EncodingState, lsn: LSN,
    to bytes: inout ByteWriter)
}

extension RowColumns where Writer: RecordWriter {
  /// Works them out; `numbers` are those of the columns that are written, in their order.
  init(_ table: Table, types: TypeCatalog, _ writer: SchemaWriter, numbers: [Int32]) {
    var prepared = ByteWriter()
    var columns: [RowColumn] = []
    var written = 0
    for (index, column) in table.relation.columns.enumerated() {
      guard let encoder = writer.encoder(column, types) else {
        columns.append(RowColumn(encoder: DebeziumEncoder(.string), isOmitted: true))
        continue
      }
      var made = RowColumn(
        encoder: encoder, isOptional: writer.isOptional(index, of: table),
        isIdentity: column.isKey, number: FieldNumbers.number(written, numbers),
        isWrapped: writer.wrapsLists)
      written += 1
      let start = prepared.count
      Writer.append(
        placeholderOf: encoder, type: column.type, made, writer.options, to: &prepared)
      made.placeholder = PreparedRange(start, prepared.count)
      columns.append(made)
    }
    self.init(columns, prepared)
  }
}

extension EventAction {
  /// Debezium's letter for what happened.
  var letter: StaticString {
    switch self {
    case .update: "u"
    case .delete: "d"
    case .read: "r"
    default: "c"
    }
  }
}
