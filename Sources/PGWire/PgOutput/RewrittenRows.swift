/// Rows that are written anew: without some of their columns, or with other values in them.
extension ByteWriter {
  /// Appends a column without a value.
  public mutating func appendNullColumn() { append(UInt8(ascii: "n")) }

  /// Appends a column whose TOASTed value was not sent.
  public mutating func appendUnchangedColumn() { append(UInt8(ascii: "u")) }

  /// Appends a column's text.
  public mutating func append(column text: RawSpan) {
    append(UInt8(ascii: "t"))
    append(bigEndian: Int32(truncatingIfNeeded: text.byteCount))
    append(text)
  }

  /// Begins a column's text, which is what is appended until ``endColumn(from:)``; gives where.
  public mutating func beginColumn() -> Int {
    append(UInt8(ascii: "t"))
    append(bigEndian: 0 as Int32)
    return length
  }

  /// Ends the text of a column.
  public mutating func endColumn(from start: Int) {
    set(bigEndian: Int32(truncatingIfNeeded: length - start), at: start - 4)
  }
}

extension Change {
  /// A change whose rows were written anew: the old one up to `boundary`, the new one behind it,
  /// each with so many columns or, for a count of 0, none.
  @_lifetime(borrow buffer)
  public static func rewritten(
    _ kind: Kind, of relation: UInt32, _ oldImage: OldImage, in buffer: borrowing ByteWriter,
    boundary: Int, columns: (old: Int, new: Int)
  ) -> Change {
    let old = TupleData(checked: buffer.bytes(0..<boundary), count: columns.old)
    let new = TupleData(checked: buffer.bytes(boundary..<buffer.count), count: columns.new)
    return Change(kind: kind, relation: relation, oldImage: oldImage, old: old, new: new)
  }
}
