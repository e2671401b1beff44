import KafkaBridge
import PGWire

/// How the keys of one table's records are written: byte for byte as Connect's converter does.
struct DebeziumKey: ~Copyable {
  /// One column; not private, which Swift 6.3 does not link where a type that cannot be copied holds
  /// several of it.
  struct Column: BitwiseCopyable {
    let index: Int32
    let encoder: DebeziumEncoder
    let name: PreparedRange
  }

  private let prepared: PreparedBytes
  /// What stands before each key: its schema, or the number of one; empty without.
  private let schema: Range<Int>
  /// Whether a brace closes what the schema has opened.
  private let closes: Bool
  private let columns: OwnedArray<Column>
  private let partition: OwnedArray<Column>?
  private let format: KeyFormat
  private let hasPartialOldRows: Bool

  init(
    _ table: Table, types: TypeCatalog, _ options: DebeziumOptions, format: KeyFormat,
    name: String, number: UInt32? = nil
  ) {
    var prepared = ByteWriter(capacity: 64)
    closes = format == .jsonSchema && number == nil
    if let number {
      AvroWriter.append(schema: number, to: &prepared)
    } else if format == .jsonSchema {
      let fields = Self.fields(table, types, options)
      DebeziumSchema.append(
        DebeziumSchema(options).key(of: "\(name).\(table.qualifiedName)", fields, types),
        to: &prepared)
    }
    schema = 0..<prepared.count
    func column(_ place: Int, _ prepared: inout ByteWriter) -> Column {
      let column = table.relation.columns[place]
      let start = prepared.count
      prepared.append(0x2C as UInt8)
      ConnectText.append(string: options.fieldNames.adjusted(column.name), to: &prepared)
      prepared.append(0x3A as UInt8)
      // A key says what identifies a row: none of it is left out.
      let encoder =
        DebeziumEncoder(column.type, column.typeModifier, types, options)
        ?? DebeziumEncoder(.string)
      return Column(
        index: Int32(place), encoder: encoder, name: PreparedRange(start, prepared.count))
    }
    columns = OwnedArray(count: table.keyOrder.count) { column(table.keyOrder[$0], &prepared) }
    partition = table.partition.map { places in
      OwnedArray(count: places.count) { column(places[$0], &prepared) }
    }
    self.prepared = PreparedBytes(prepared)
    self.format = format
    hasPartialOldRows = table.hasPartialOldRows
  }

  /// The key's columns, for its schema.
  static func fields(
    _ table: Table, _ types: TypeCatalog, _ options: DebeziumOptions, isOptional: Bool = false
  ) -> [DebeziumSchema.Field] {
    table.keyOrder.map { place in
      let column = table.relation.columns[place]
      return DebeziumSchema.Field(
        name: column.name, type: column.type, modifier: column.typeModifier,
        encoder: DebeziumEncoder(column.type, column.typeModifier, types, options)
          ?? DebeziumEncoder(.string), isOptional: isOptional)
    }
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  // MARK: - Keys

  /// Appends an event's key; nil, and nothing, for a table or a row without one.
  func append(
    _ event: borrowing RowEvent, _ state: inout EncodingState, to json: inout ByteWriter
  ) -> Range<Int>? {
    let leavesOutNulls = event.oldImage.leavesOutNulls(ofPartial: hasPartialOldRows)
    return append(
      columns, event.row, else: event.old, hasOld: event.oldImage != .none,
      nullsAreUnsent: event.action == .delete && leavesOutNulls, &state.debezium.scratch, to: &json)
  }

  private func append(
    _ columns: borrowing OwnedArray<Column>, _ row: borrowing TupleData,
    else old: borrowing TupleData, hasOld: Bool, nullsAreUnsent: Bool, isHeader: Bool = false,
    _ scratch: inout DebeziumScratch, to json: inout ByteWriter
  ) -> Range<Int>? {
    guard columns.count > 0 else { return nil }
    let start = json.count
    let isScalar = format == .scalar && columns.count == 1 && !isHeader
    let hasSchema = !schema.isEmpty && !isHeader
    if hasSchema { prepared.append(schema, to: &json) }
    if !isScalar { json.append(0x7B as UInt8) }
    for place in columns.indices {
      let column = columns[place]
      if !isScalar {
        prepared.append(column.name.offsets(without: place == 0 ? 1 : 0), to: &json)
      }
      switch row.value(at: Int(column.index)) {
      case .text(let text): append(text, column, isScalar, &scratch, to: &json)
      case .unchangedToast:
        guard hasOld, case .text(let text) = old.value(at: Int(column.index)) else {
          json.truncate(to: start)
          return nil
        }
        append(text, column, isScalar, &scratch, to: &json)
      case .null, .binary:
        if nullsAreUnsent || isScalar {
          json.truncate(to: start)
          return nil
        }
        json.append("null")
      }
    }
    if !isScalar { json.append(0x7D as UInt8) }
    if hasSchema, closes { json.append(0x7D as UInt8) }
    return start..<json.count
  }

  @inline(__always)
  private func append(
    _ text: RawSpan, _ column: Column, _ isScalar: Bool, _ scratch: inout DebeziumScratch,
    to json: inout ByteWriter
  ) {
    if isScalar, column.encoder.rule == .string, !column.encoder.isArray {
      json.append(text)
      return
    }
    let start = json.count
    column.encoder.encode(text, &scratch, into: &json)
    // What is no text and has quotes has nothing in them that is escaped.
    guard isScalar, json.count > start, json.bytes[start] == 0x22 else { return }
    let inner = start + 1..<json.count - 1
    let length = inner.count
    json.append(copyOf: inner)
    let copy = json.count - length
    for offset in 0..<length {
      let byte = json.bytes[copy + offset]
      json.set(byte: byte, at: start + offset)
    }
    json.truncate(to: start + length)
  }

  // MARK: - Partitions and headers

  /// What decides an event's partition where that is not its key: the hash of a key of those columns.
  func partitionHash(
    _ event: borrowing RowEvent, _ state: inout EncodingState
  ) -> Int32? {
    guard partition != nil else { return nil }
    state.trial.removeAll()
    guard case .some = appendPartition(event, &state) else { return nil }
    return Murmur2.hash(state.trial.bytes)
  }

  private func appendPartition(
    _ event: borrowing RowEvent, _ state: inout EncodingState
  ) -> Range<Int>? {
    switch partition {
    case .none: nil
    case .some(let columns):
      append(
        columns, event.row, else: event.old, hasOld: event.oldImage != .none,
        nullsAreUnsent: false, &state.debezium.scratch, to: &state.trial)
    }
  }

  /// The headers of the two events, and of the tombstone between them, that a changed key becomes.
  func headers(_ event: borrowing RowEvent, _ state: inout EncodingState) -> [RecordHeader] {
    state.trial.removeAll()
    let isDelete = event.part != .insert
    let other = append(
      columns, isDelete ? event.successor : event.old, else: event.old, hasOld: true,
      nullsAreUnsent: false, isHeader: true, &state.debezium.scratch, to: &state.trial)
    guard other != nil else { return [] }
    return [
      RecordHeader(
        name: isDelete ? "__debezium.newkey" : "__debezium.oldkey",
        value: (0..<state.trial.count).map { state.trial.bytes[$0] })
    ]
  }
}
