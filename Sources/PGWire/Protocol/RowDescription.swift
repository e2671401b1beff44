/// The columns of the rows that follow (manual: "Message Formats").
///
///     Int16   number of columns, then for each:
///     String  name
///     Int32   table OID or 0
///     Int16   attribute number or 0
///     Int32   type OID
///     Int16   type size, negative for variable width
///     Int32   type modifier
///     Int16   format: 0 text, 1 binary
public struct RowDescription: Hashable, Sendable {
  /// One column.
  public struct Field: Hashable, Sendable {
    /// The column's name.
    public let name: String
    /// The table it comes from, 0 when it is an expression.
    public let tableOID: UInt32
    /// Its attribute number there, 0 when it is an expression.
    public let attributeNumber: Int16
    /// Its data type.
    public let typeOID: UInt32
    /// The size of a value in bytes (pg_type.typlen), negative for variable width.
    public let typeSize: Int16
    /// The type's modifier (pg_attribute.atttypmod).
    public let typeModifier: Int32
    /// 0 for text, 1 for binary.
    public let format: Int16
  }

  /// The columns in order.
  public let fields: [Field]

  /// Reads the body of a RowDescription message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> RowDescription {
    var reader = ByteReader(body)
    let count = try reader.integer(Int16.self)
    guard count >= 0 else { throw DecodingError(.badLength(Int(count)), at: 0) }
    var fields: [Field] = []
    for _ in 0..<count {
      fields.append(
        Field(
          name: try reader.string(), tableOID: try reader.integer(),
          attributeNumber: try reader.integer(), typeOID: try reader.integer(),
          typeSize: try reader.integer(), typeModifier: try reader.integer(),
          format: try reader.integer()))
    }
    try reader.finish()
    return RowDescription(fields: fields)
  }
}
