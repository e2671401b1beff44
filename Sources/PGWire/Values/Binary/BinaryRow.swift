/// Turns the rows of one table that came in binary into the rows that would have come as text.
public struct BinaryRow: Sendable {
  private let formats: BinaryFormats
  private let columns: [BinaryFormat]

  /// Prepares a table's columns; nil, with the first column at fault, when one of them has a type
  /// whose binary form cannot be read.
  ///
  /// `serverMajor` is the server's version: some texts differ by it.
  public static func prepare(
    _ relation: Relation, types: TypeCatalog, serverMajor: Int
  ) -> Result<BinaryRow, UnreadableColumn> {
    var formats = BinaryFormats(serverMajor: serverMajor)
    var columns: [BinaryFormat] = []
    for column in relation.columns {
      guard let format = formats.resolve(column.type, in: types) else {
        let type = types.description(of: column.type)?.name
        return .failure(UnreadableColumn(name: column.name, type: type ?? "\(column.type)"))
      }
      columns.append(format)
    }
    return .success(BinaryRow(formats: formats, columns: columns))
  }

  /// A column that cannot be read in binary.
  public struct UnreadableColumn: Error, Hashable, Sendable {
    /// The column's name.
    public let name: String
    /// The name of its type, or its OID where the catalog does not know it.
    public let type: String
  }

  /// Writes a change's rows as text into `buffer`, which is emptied first; ``change(like:in:boundary:)``
  /// reads them there.
  ///
  /// The result is where the old row ends and the new one begins. Throws ``DecodingError`` when a
  /// row has another number of columns than the table or a value is not of its type; the offset
  /// counts from the value's first byte.
  public func write(
    _ change: borrowing Change, to buffer: inout ByteWriter
  ) throws(DecodingError) -> Int {
    buffer.removeAll()
    try append(change.old, to: &buffer)
    let boundary = buffer.count
    try append(change.new, to: &buffer)
    return boundary
  }

  /// The change as ``write(_:to:)`` left it in `buffer`.
  @_lifetime(borrow buffer)
  public static func change(
    like change: borrowing Change, in buffer: borrowing ByteWriter, boundary: Int
  ) -> Change {
    let old = TupleData(checked: buffer.bytes(0..<boundary), count: change.old.count)
    let new = TupleData(checked: buffer.bytes(boundary..<buffer.count), count: change.new.count)
    return Change(
      kind: change.kind, relation: change.relation, oldImage: change.oldImage, old: old, new: new)
  }

  private func append(
    _ row: borrowing TupleData, to buffer: inout ByteWriter
  ) throws(DecodingError) {
    guard row.count == 0 || row.count == columns.count else {
      throw DecodingError(.badLength(row.count), at: 0)
    }
    var cursor = row.columns
    for index in 0..<row.count {
      switch cursor.next() {
      case .null: buffer.append(UInt8(ascii: "n"))
      case .unchangedToast: buffer.append(UInt8(ascii: "u"))
      case .text(let text):
        let start = buffer.beginValue()
        buffer.append(short: text)
        try buffer.endValue(from: start)
      case .binary(let value):
        let start = buffer.beginValue()
        try formats.appendText(of: value, as: columns[index], to: &buffer)
        try buffer.endValue(from: start)
      }
    }
  }
}

extension ByteWriter {
  fileprivate mutating func beginValue() -> Int {
    append(UInt8(ascii: "t"))
    append(bigEndian: 0 as Int32)
    return count
  }

  /// Sets the length of the value that began at `start`.
  ///
  /// Throws when the text is longer than an Int32 counts, which no value of a server is.
  fileprivate mutating func endValue(from start: Int) throws(DecodingError) {
    guard let length = Int32(exactly: count - start) else {
      throw DecodingError(.badLength(count - start), at: 0)
    }
    set(bigEndian: length, at: start - 4)
  }
}
