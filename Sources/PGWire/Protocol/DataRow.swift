/// One row of a query's result, as text (manual: "Message Formats").
///
///     Int16   number of columns, then for each:
///     Int32   length, -1 for NULL
///     Byten   value
///
/// For catalog look-ups and replication commands only: changes never take this way.
public struct DataRow: Hashable, Sendable {
  /// The values in the order of the columns; nil is NULL.
  public let values: [String?]

  /// Reads the body of a DataRow message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> DataRow {
    var reader = ByteReader(body)
    let count = try reader.integer(Int16.self)
    guard count >= 0 else { throw DecodingError(.badLength(Int(count)), at: 0) }
    var values: [String?] = []
    for _ in 0..<count {
      let length = try reader.integer(Int32.self)
      guard length >= -1 else {
        throw DecodingError(.badLength(Int(length)), at: reader.offset - 4)
      }
      values.append(length == -1 ? nil : try reader.span(Int(length)).text)
    }
    try reader.finish()
    return DataRow(values: values)
  }
}
