import PGWire

/// Writes records that name their schema as JSON: what they say, with the schema's names, and bytes in
/// base64.
///
/// For commands that show or compare records: rows on their way never pass through it.
enum RecordText {
  case avro(AvroReader)
  case json
  case protobuf(ProtobufReader)

  /// What stands before a record: 0, and the number of its schema in four bytes.
  private static let head = 5

  /// Nil where the text is no schema of that kind.
  init?(_ kind: RegisteredSchema.Kind, _ text: String) {
    switch kind {
    case .json: self = .json
    case .avro:
      guard let reader = AvroReader(text) else { return nil }
      self = .avro(reader)
    case .protobuf:
      guard let reader = ProtobufReader(text) else { return nil }
      self = .protobuf(reader)
    }
  }

  /// The number of a record's schema; nil where it names none.
  static func number(in record: RawSpan) -> UInt32? {
    guard record.byteCount >= head, record[0] == 0 else { return nil }
    return (1..<head).reduce(0) { $0 << 8 | UInt32(record[$1]) }
  }

  /// Appends a record as JSON; false where its bytes are none of the schema.
  func append(_ record: RawSpan, to json: inout ByteWriter) -> Bool {
    guard record.byteCount >= Self.head else { return false }
    let bytes = record.extracting(Self.head..<record.byteCount)
    switch self {
    case .avro(let reader): return reader.append(bytes, to: &json)
    case .protobuf(let reader): return reader.append(bytes, to: &json)
    case .json:
      json.append(bytes)
      return true
    }
  }
}

extension RawSpan {
  /// Reads a number of seven bits a byte, the lowest first, as Avro and Protobuf have it; nil where the
  /// bytes end before it does.
  func varint(from at: inout Int) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard at < byteCount else { return nil }
      let byte = self[at]
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}
