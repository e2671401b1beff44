import KafkaBridge
import PGWire

/// Records in Avro: their fields one after the other, without names.
extension AvroWriter: RecordWriter {
  static var keyFormat: KeyFormat { .avro }

  @inline(__always)
  static func append(schema number: UInt32, to bytes: inout ByteWriter) {
    bytes.append(0 as UInt8)
    bytes.append(bigEndian: number)
  }

  static func append(namesOf table: Table, to bytes: inout ByteWriter) {
    bytes.append(avro: table.relation.schema)
    bytes.append(avro: table.relation.name)
  }

  static func append(
    envelopeOf event: borrowing RowEvent, _ columns: borrowing RowColumns<AvroWriter>,
    names: borrowing PreparedBytes, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int? {
    if event.showsOld, event.oldImage != .none {
      bytes.append(AvroUnion.value)
      let old = columns.appendOld(event, &state.debezium.scratch, to: &bytes)
      if let column = old.unwritable { return column }
    } else {
      bytes.append(AvroUnion.null)
    }
    if event.action == .delete {
      bytes.append(AvroUnion.null)
    } else {
      bytes.append(AvroUnion.value)
      let new = columns.appendNew(event, &state.debezium.scratch, to: &bytes)
      if let column = new.unwritable { return column }
    }
    append(
      endOf: event.action.letter, event.place.lsn, names: names, state, to: &bytes)
    return nil
  }

  static func append(
    truncateAt lsn: LSN, names: borrowing PreparedBytes, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter
  ) {
    bytes.append(AvroUnion.null)
    bytes.append(AvroUnion.null)
    append(endOf: "t", lsn, names: names, state, to: &bytes)
  }

  @inline(__always)
  private static func append(
    endOf operation: StaticString, _ lsn: LSN, names: borrowing PreparedBytes,
    _ state: borrowing EncodingState, to bytes: inout ByteWriter
  ) {
    AvroFormat.appendSource(state, lsn: lsn, names: names, to: &bytes)
    bytes.append(zigzag: 1)
    bytes.append(operation)
    bytes.append(state.debezium.end.bytes)
  }

  @inline(__always)
  static func appendUnion(to bytes: inout ByteWriter) { bytes.append(AvroUnion.value) }

  // MARK: - Members of rows

  static func append(nullMember number: Int32, to bytes: inout ByteWriter) {
    bytes.append(AvroUnion.null)
  }

  static func append(member number: Int32, text: StaticString, to bytes: inout ByteWriter) {
    bytes.append(AvroUnion.value)
    bytes.append(zigzag: Int64(text.utf8CodeUnitCount))
    bytes.append(text)
  }

  static func append(member number: Int32, prepared text: String, to bytes: inout ByteWriter) {
    bytes.append(AvroUnion.value)
    bytes.append(avro: text)
  }

  static func append(member number: Int32, _ value: Int64, to bytes: inout ByteWriter) {
    bytes.append(AvroUnion.value)
    bytes.append(zigzag: value)
  }

  static func append(
    member number: Int32, sequence state: borrowing EncodingState, lsn: LSN,
    to bytes: inout ByteWriter
  ) {
    bytes.append(AvroUnion.value)
    AvroFormat.appendSequence(state, lsn: lsn, to: &bytes)
  }
}
