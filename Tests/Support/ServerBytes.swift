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
    /// The type's binary send format.
    case binary([UInt8])
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
    xLogData(.zero, Self.relation(relation))
  }

  /// A table's description.
  public static func relation(_ relation: Relation) -> [UInt8] {
    var payload = [UInt8(ascii: "R")] + integer(relation.oid)
    payload += string(relation.schema) + string(relation.name)
    payload += [relation.replicaIdentity.rawValue] + integer(Int16(relation.columns.count))
    for column in relation.columns {
      payload += [column.isKey ? 1 : 0] + string(column.name)
      payload += integer(column.type) + integer(column.typeModifier)
    }
    return payload
  }

  // MARK: - Streamed and prepared transactions

  /// Appends a Stream Start.
  public mutating func streamStart(_ xid: UInt32, isFirst: Bool) {
    xLogData(.zero, [UInt8(ascii: "S")] + Self.integer(xid) + [isFirst ? 1 : 0])
  }

  /// Appends a Stream Stop.
  public mutating func streamStop() { xLogData(.zero, [UInt8(ascii: "E")]) }

  /// Appends a Stream Commit.
  public mutating func streamCommit(
    _ xid: UInt32, _ commitLSN: LSN, end: LSN, time: Int64 = 0
  ) {
    let fields = Self.integer(commitLSN.value) + Self.integer(end.value) + Self.integer(time)
    xLogData(end, [UInt8(ascii: "c")] + Self.integer(xid) + [0] + fields)
  }

  /// Appends a Stream Abort, with position and time where parallel streaming was asked for.
  public mutating func streamAbort(
    _ xid: UInt32, _ subtransaction: UInt32, at position: (lsn: LSN, time: Int64)? = nil
  ) {
    var payload = [UInt8(ascii: "A")] + Self.integer(xid) + Self.integer(subtransaction)
    if let position {
      payload += Self.integer(position.lsn.value) + Self.integer(position.time)
    }
    xLogData(.zero, payload)
  }

  /// Appends one of the messages Begin Prepare (`b`), Prepare (`P`) and Stream Prepare (`p`).
  public mutating func prepare(
    _ tag: Unicode.Scalar, _ prepareLSN: LSN, end: LSN, time: Int64 = 0, xid: UInt32, gid: String
  ) {
    let flags: [UInt8] = tag == "b" ? [] : [0]
    let fields = Self.integer(prepareLSN.value) + Self.integer(end.value) + Self.integer(time)
    xLogData(
      end, [UInt8(ascii: tag)] + flags + fields + Self.integer(xid) + Self.string(gid))
  }

  /// Appends a Commit Prepared.
  public mutating func commitPrepared(
    _ commitLSN: LSN, end: LSN, time: Int64 = 0, xid: UInt32, gid: String
  ) {
    let fields = Self.integer(commitLSN.value) + Self.integer(end.value) + Self.integer(time)
    xLogData(end, [UInt8(ascii: "K"), 0] + fields + Self.integer(xid) + Self.string(gid))
  }

  /// Appends a Rollback Prepared.
  public mutating func rollbackPrepared(
    prepareEnd: LSN, end: LSN, prepareTime: Int64 = 0, time: Int64 = 0, xid: UInt32, gid: String
  ) {
    let fields = Self.integer(prepareEnd.value) + Self.integer(end.value)
    xLogData(
      end,
      [UInt8(ascii: "r"), 0] + fields + Self.integer(prepareTime) + Self.integer(time)
        + Self.integer(xid) + Self.string(gid))
  }

  /// The same payload as it stands inside a stream: the (sub)transaction behind the tag.
  public static func streamed(_ payload: [UInt8], _ xid: UInt32) -> [UInt8] {
    payload.prefix(1) + integer(xid) + payload.dropFirst()
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
      case .binary(let value):
        result.append(UInt8(ascii: "b"))
        result += integer(Int32(value.count)) + value
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
