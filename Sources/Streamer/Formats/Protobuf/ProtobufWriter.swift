import KafkaBridge
import PGWire

/// Writes columns and records as Protobuf's messages: a field that is null is not there.
enum ProtobufWriter: RecordWriter {
  static let leavesOutUnsent = false
  static var keyFormat: KeyFormat { .protobuf }
  /// How many bytes the length of a row mostly takes.
  private static let rowRoom = 2

  // MARK: - Columns

  @inline(__always)
  static func append(
    _ text: RawSpan, _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    _ scratch: inout DebeziumScratch, to bytes: inout ByteWriter
  ) -> Bool {
    let start = bytes.count
    guard column.encoder.encode(protobuf: text, column, &scratch, into: &bytes) else {
      return false
    }
    if !column.isOptional, !column.encoder.isProtobufMessage {
      dropDefault(from: start, to: &bytes)
    }
    return true
  }

  /// Takes back a field without presence whose value is its type's default, as all writers do: keys
  /// are compared by their bytes.
  private static func dropDefault(from start: Int, to bytes: inout ByteWriter) {
    var at = start
    while bytes.bytes[at] > 0x7F { at &+= 1 }
    at &+= 1
    while at < bytes.count {
      guard bytes.bytes[at] == 0 else { return }
      at &+= 1
    }
    bytes.truncate(to: start)
  }

  @inline(__always)
  static func appendPlaceholder(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) {
    prepared.append(column.placeholder.offsets, to: &bytes)
  }

  @inline(__always)
  static func appendNull(
    _ column: RowColumn, _ prepared: borrowing PreparedBytes, isFirst: Bool,
    to bytes: inout ByteWriter
  ) -> Bool { column.isOptional }

  static func append(
    placeholderOf encoder: DebeziumEncoder, type: UInt32, _ column: RowColumn,
    _ options: DebeziumOptions, to bytes: inout ByteWriter
  ) {
    encoder.append(protobufPlaceholder: options, of: type, column, to: &bytes)
  }

  // MARK: - Records

  /// The path names the first message of its schema.
  @inline(__always)
  static func append(schema number: UInt32, to bytes: inout ByteWriter) {
    bytes.append(0 as UInt8)
    bytes.append(bigEndian: number)
    bytes.append(0 as UInt8)
  }

  static func append(namesOf table: Table, to bytes: inout ByteWriter) {
    bytes.append(field: 10, text: table.relation.schema)
    bytes.append(field: 11, text: table.relation.name)
  }

  static func append(
    envelopeOf event: borrowing RowEvent, _ columns: borrowing RowColumns<ProtobufWriter>,
    names: borrowing PreparedBytes, _ state: inout EncodingState, to bytes: inout ByteWriter
  ) -> Int? {
    if event.showsOld, event.oldImage != .none {
      bytes.append(field: 1, ProtobufWire.bytes)
      let start = bytes.beginPart(room: rowRoom)
      let old = columns.appendOld(event, &state.debezium.scratch, to: &bytes)
      if let column = old.unwritable { return column }
      bytes.endPart(from: start, room: rowRoom)
    }
    if event.action != .delete {
      bytes.append(field: 2, ProtobufWire.bytes)
      let start = bytes.beginPart(room: rowRoom)
      let new = columns.appendNew(event, &state.debezium.scratch, to: &bytes)
      if let column = new.unwritable { return column }
      bytes.endPart(from: start, room: rowRoom)
    }
    append(endOf: event.action.letter, event.place.lsn, names: names, state, to: &bytes)
    return nil
  }

  static func append(
    truncateAt lsn: LSN, names: borrowing PreparedBytes, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter
  ) {
    append(endOf: "t", lsn, names: names, state, to: &bytes)
  }

  /// Appends the source, the operation and the times.
  @inline(__always)
  private static func append(
    endOf operation: StaticString, _ lsn: LSN, names: borrowing PreparedBytes,
    _ state: borrowing EncodingState, to bytes: inout ByteWriter
  ) {
    bytes.append(field: 3, ProtobufWire.bytes)
    let source = bytes.beginPart(room: rowRoom)
    bytes.append(state.debezium.head.bytes)
    append(member: 7, sequence: state, lsn: lsn, to: &bytes)
    bytes.append(state.debezium.times.bytes)
    names.append(to: &bytes)
    bytes.append(state.debezium.xid.bytes)
    bytes.append(field: 13, value: Int64(truncatingIfNeeded: lsn.value))
    bytes.endPart(from: source, room: rowRoom)
    append(member: 5, text: operation, to: &bytes)
    bytes.append(state.debezium.end.bytes)
  }

  static func appendUnion(to bytes: inout ByteWriter) {}

  // MARK: - Members of rows

  static func append(nullMember number: Int32, to bytes: inout ByteWriter) {}

  @inline(__always)
  static func append(member number: Int32, text: StaticString, to bytes: inout ByteWriter) {
    bytes.append(field: number, ProtobufWire.bytes)
    bytes.append(varint: UInt64(text.utf8CodeUnitCount))
    bytes.append(text)
  }

  static func append(member number: Int32, prepared text: String, to bytes: inout ByteWriter) {
    bytes.append(field: number, text: text)
  }

  static func append(member number: Int32, _ value: Int64, to bytes: inout ByteWriter) {
    bytes.append(field: number, value: value)
  }

  @inline(__always)
  static func append(
    member number: Int32, sequence state: borrowing EncodingState, lsn: LSN,
    to bytes: inout ByteWriter
  ) {
    bytes.append(field: number, ProtobufWire.bytes)
    let start = bytes.beginPart()
    bytes.append(state.debezium.sequence.bytes)
    bytes.append(decimal: lsn.value)
    bytes.append("\"]")
    bytes.endPart(from: start)
  }
}

extension DebeziumEncoder {
  /// Appends what stands for a value that was not sent, as in JSON and Avro.
  fileprivate func append(
    protobufPlaceholder options: DebeziumOptions, of type: UInt32, _ column: RowColumn,
    to bytes: inout ByteWriter
  ) {
    // int2[] and inet[].
    guard type != 1005, type != 1041 else { return }
    let text = options.unavailable
    var values: [[UInt8]] = []
    switch rule {
    case .string, .decimalString, .hex, .bytes, .textBytes: values = [Array(text.utf8)]
    case .base64, .base64URL, .textBase64URL, .textHex:
      var plain = ByteWriter()
      plain.append(string: text)
      var characters = ByteWriter()
      Base64.append(characters: plain.bytes, to: &characters)
      values = [characters.copied]
    case .hstoreJSON:
      var json = ByteWriter()
      json.append(0x7B as UInt8)
      ConnectText.append(string: text, to: &json)
      json.append(0x3A as UInt8)
      ConnectText.append(string: text, to: &json)
      json.append(0x7D as UInt8)
      values = [json.copied]
    case .hstoreMap:
      var pair = ByteWriter()
      pair.append(field: 1, text: text)
      pair.append(field: 2, text: text)
      values = [pair.copied]
    case .integer, .days:
      guard isArray else { return }
      values = text.unicodeScalars.map { scalar in
        var number = ByteWriter()
        number.append(varint: UInt64(scalar.value))
        return number.copied
      }
    default: return
    }
    append(placeholders: values, column, to: &bytes)
  }

  private func append(
    placeholders values: [[UInt8]], _ column: RowColumn, to bytes: inout ByteWriter
  ) {
    let isLong = wire == ProtobufWire.bytes
    let isList = isArray || rule == .hstoreMap
    guard isList, column.isWrapped || !isLong else {
      for value in values {
        bytes.append(field: column.number, ProtobufWire.bytes)
        bytes.append(varint: UInt64(value.count))
        bytes.append(array: value)
      }
      return
    }
    bytes.append(field: column.number, ProtobufWire.bytes)
    let start = bytes.beginPart()
    for value in values {
      guard column.isWrapped else {
        bytes.append(array: value)
        continue
      }
      bytes.append(field: 1, ProtobufWire.bytes)
      let element = bytes.beginPart()
      if rule != .hstoreMap {
        bytes.append(field: 1, wire)
        if isLong { bytes.append(varint: UInt64(value.count)) }
      }
      bytes.append(array: value)
      bytes.endPart(from: element)
    }
    bytes.endPart(from: start)
  }
}

extension ByteWriter {
  /// What was written, as an array; for what is not on the row path.
  fileprivate var copied: [UInt8] { (0..<count).map { bytes[$0] } }
}
