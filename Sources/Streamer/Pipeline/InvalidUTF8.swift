import PGWire

/// What is done with bytes of a SQL_ASCII database that are no text: no JSON can hold them.
enum InvalidUTF8: String, Hashable, Sendable, CaseIterable {
  /// The pipeline stops before the row.
  case stop
  /// Each sequence that is no UTF-8 becomes U+FFFD.
  case replace
  /// The whole value is written in base64, from the bytes that the server sent.
  case base64
}

/// Makes text of the rows of a database that checks none.
///
/// A row is looked through before anything is made of it, so keys, values and every format agree.
enum TextRepair {
  /// The first column of a change with a value that is no text; nil when all are.
  static func firstInvalidColumn(of change: borrowing Change) -> Int? {
    firstInvalidColumn(of: change.new) ?? firstInvalidColumn(of: change.old)
  }

  private static func firstInvalidColumn(of row: borrowing TupleData) -> Int? {
    var cursor = row.columns
    for index in 0..<row.count {
      guard case .text(let text) = cursor.next() else { continue }
      if UTF8Scan.firstInvalid(in: text, from: 0) != nil { return index }
    }
    return nil
  }

  /// Writes a change's rows into `buffer`, which is emptied first, as ``BinaryRow`` does; the result
  /// is where the new one begins.
  ///
  /// Throws ``DecodingError`` when a value grows beyond what an Int32 counts.
  static func write(
    _ change: borrowing Change, _ policy: InvalidUTF8, to buffer: inout ByteWriter
  ) throws(DecodingError) -> Int {
    buffer.removeAll()
    try append(change.old, policy, to: &buffer)
    let boundary = buffer.count
    try append(change.new, policy, to: &buffer)
    return boundary
  }

  private static func append(
    _ row: borrowing TupleData, _ policy: InvalidUTF8, to buffer: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = row.columns
    for _ in 0..<row.count {
      switch cursor.next() {
      case .text(let text), .binary(let text):
        buffer.append(UInt8(ascii: "t"))
        buffer.append(bigEndian: 0 as Int32)
        let start = buffer.count
        append(text, policy, to: &buffer)
        guard let length = Int32(exactly: buffer.count - start) else {
          throw DecodingError(.badLength(buffer.count - start), at: 0)
        }
        buffer.set(bigEndian: length, at: start - 4)
      case .null: buffer.append(UInt8(ascii: "n"))
      case .unchangedToast: buffer.append(UInt8(ascii: "u"))
      }
    }
  }

  /// Appends a text, mended where it is none.
  static func append(_ text: RawSpan, _ policy: InvalidUTF8, to buffer: inout ByteWriter) {
    var next = UTF8Scan.firstInvalid(in: text, from: 0)
    guard next != nil else { return buffer.append(text) }
    guard policy != .base64 else { return Base64.append(characters: text, to: &buffer) }
    var copied = 0
    while let invalid = next {
      buffer.append(text.extracting(copied..<invalid.lowerBound))
      buffer.append("\u{FFFD}" as StaticString)
      copied = invalid.upperBound
      next = UTF8Scan.firstInvalid(in: text, from: copied)
    }
    buffer.append(text.extracting(copied..<text.byteCount))
  }
}
