public import PGWire

/// Backend messages of a walsender, put together field by field: what a server would send, without
/// one.
///
/// It shares no code with the decoder, so that the two can disagree.
public struct ServerBytes {
  /// One column of a row image.
  public enum Cell: Hashable, Sendable {
    /// SQL NULL.
    case null
    /// A TOASTed value that is not sent again.
    case unchanged
    /// The type's text output.
    case text(String)
  }

  /// Which old row an update or delete carries.
  public enum Image: Unicode.Scalar, Sendable {
    /// The columns of the replica identity; the others read as NULL.
    case key = "K"
    /// The whole row.
    case full = "O"
  }

  /// Everything appended so far.
  public private(set) var bytes: [UInt8] = []

  /// Nothing yet.
  public init() {}

  // MARK: - Framing

  /// Appends bytes that were put together before.
  public mutating func append(_ other: [UInt8]) { bytes += other }

  /// Appends one backend message.
  public mutating func message(_ tag: Unicode.Scalar, _ body: [UInt8]) {
    bytes.append(UInt8(ascii: tag))
    bytes += Self.integer(Int32(body.count + 4)) + body
  }

  /// Appends an XLogData message around one message of the plugin.
  public mutating func xLogData(_ start: LSN, _ payload: [UInt8]) {
    let position = Self.integer(start.value)
    message("d", [UInt8(ascii: "w")] + position + position + Self.integer(Int64(0)) + payload)
  }

  /// Appends a keepalive.
  public mutating func keepalive(walEnd: LSN, reply: Bool = false) {
    let fields = Self.integer(walEnd.value) + Self.integer(Int64(0)) + [reply ? 1 : 0]
    message("d", [UInt8(ascii: "k")] + fields)
  }

  // MARK: - Transactions

  /// Appends a Begin.
  public mutating func begin(_ commitLSN: LSN, time: Int64 = 0, xid: UInt32) {
    let fields = Self.integer(commitLSN.value) + Self.integer(time) + Self.integer(xid)
    xLogData(commitLSN, [UInt8(ascii: "B")] + fields)
  }

  /// Appends a Commit.
  public mutating func commit(_ commitLSN: LSN, end: LSN, time: Int64 = 0) {
    let fields = Self.integer(commitLSN.value) + Self.integer(end.value) + Self.integer(time)
    xLogData(end, [UInt8(ascii: "C"), 0] + fields)
  }

  /// Appends a table's description; such messages carry no position.
  public mutating func relation(_ relation: Relation) {
    var payload = [UInt8(ascii: "R")] + Self.integer(relation.oid)
    payload += Self.string(relation.schema) + Self.string(relation.name)
    payload += [relation.replicaIdentity.rawValue] + Self.integer(Int16(relation.columns.count))
    for column in relation.columns {
      payload += [column.isKey ? 1 : 0] + Self.string(column.name)
      payload += Self.integer(column.type) + Self.integer(column.typeModifier)
    }
    xLogData(.zero, payload)
  }

  // MARK: - Payloads of changes

  /// An Insert.
  public static func insert(_ relation: UInt32, _ new: [Cell]) -> [UInt8] {
    [UInt8(ascii: "I")] + integer(relation) + [UInt8(ascii: "N")] + tuple(new)
  }

  /// An Update, with an old image when there is one.
  public static func update(
    _ relation: UInt32, old: (image: Image, cells: [Cell])? = nil, _ new: [Cell]
  ) -> [UInt8] {
    var payload = [UInt8(ascii: "U")] + integer(relation)
    if let old { payload += [UInt8(ascii: old.image.rawValue)] + tuple(old.cells) }
    return payload + [UInt8(ascii: "N")] + tuple(new)
  }

  /// A Delete.
  public static func delete(_ relation: UInt32, _ image: Image, _ old: [Cell]) -> [UInt8] {
    [UInt8(ascii: "D")] + integer(relation) + [UInt8(ascii: image.rawValue)] + tuple(old)
  }

  /// A Truncate.
  public static func truncate(_ relations: [UInt32]) -> [UInt8] {
    [UInt8(ascii: "T")] + integer(Int32(relations.count)) + [0] + relations.flatMap { integer($0) }
  }

  /// A logical message.
  public static func logical(
    transactional: Bool, at lsn: LSN, prefix: String, _ content: [UInt8]
  ) -> [UInt8] {
    [UInt8(ascii: "M"), transactional ? 1 : 0] + integer(lsn.value) + string(prefix)
      + integer(Int32(content.count)) + content
  }

  private static func tuple(_ cells: [Cell]) -> [UInt8] {
    var result = integer(Int16(cells.count))
    for cell in cells {
      switch cell {
      case .null: result.append(UInt8(ascii: "n"))
      case .unchanged: result.append(UInt8(ascii: "u"))
      case .text(let text):
        result.append(UInt8(ascii: "t"))
        result += integer(Int32(text.utf8.count)) + Array(text.utf8)
      }
    }
    return result
  }

  private static func string(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

  private static func integer<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    stride(from: T.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> T($0))
    }
  }
}
