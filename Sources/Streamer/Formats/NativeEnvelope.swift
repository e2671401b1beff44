import PGWire

/// The format `psql-streamer`: one JSON object for each event, put together from bytes that are
/// made once for a table, and once for a transaction.
///
///     {"Host","Database","Table","Action","WALPosition","Timestamp","UUID","Columns",
///      "Schema","LSN","CommitLSN","XID","Ordinal","Key","Old","Unchanged","Message"}
///
/// The first eight are the seed's, in its order. An event is written in this order:
/// ``appendHead(_:_:ordinal:isExtraDelete:to:)``, the object for `Columns` (the caller's),
/// ``appendTail(_:lsn:ordinal:to:)``, then those of Key, Old, Unchanged, Message that it has, each
/// a ``Part`` and its value, and ``appendEnd(to:)``. What stands before and after `Columns` does
/// not look at it, so columns encoded while a transaction is still open are joined at its commit.
///
/// It belongs to one table and owns what is prepared for it.
struct NativeEnvelope: ~Copyable {
  /// A member that only some events have; it follows the tail, in this order.
  enum Part {
    /// An object with the key's columns.
    case key
    /// An object with the old row, or what the server sent of it.
    case old
    /// An array of the names of columns whose TOASTed value was not sent.
    case unchanged
    /// See ``NativeEnvelope/appendMessage(prefix:content:isTransactional:to:)``.
    case message
    /// The name of a prepared transaction.
    case gid

    /// The comma, the member's name and the colon.
    var text: StaticString {
      switch self {
      case .key: ",\"Key\":"
      case .old: ",\"Old\":"
      case .unchanged: ",\"Unchanged\":"
      case .message: ",\"Message\":"
      case .gid: ",\"GID\":"
      }
    }
  }

  /// A column's name as JSON, with a comma before and a colon after it.
  struct Name: Hashable, Sendable, BitwiseCopyable {
    fileprivate var start: Int32
    fileprivate var end: Int32
  }

  /// From the event's start to its action, the schema's member, then the columns' names.
  private var prepared: ByteWriter
  private let headEnd: Int
  private let schemaEnd: Int

  /// Prepares what every event of a table has; `host` as the configuration names it.
  init(host: String, database: String, schema: String, table: String) {
    prepared = ByteWriter(capacity: 128)
    prepared.append("{\"Host\":")
    prepared.append(jsonString: host)
    prepared.append(",\"Database\":")
    prepared.append(jsonString: database)
    prepared.append(",\"Table\":")
    prepared.append(jsonString: table)
    prepared.append(",\"Action\":\"")
    headEnd = prepared.count
    prepared.append(",\"Schema\":")
    prepared.append(jsonString: schema)
    prepared.append(",\"LSN\":\"")
    schemaEnd = prepared.count
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// Prepares a column's name; once when its table is described.
  mutating func name(_ column: String) -> Name {
    let start = Int32(prepared.count)
    prepared.append(0x2C as UInt8)
    prepared.append(jsonString: column)
    prepared.append(0x3A as UInt8)
    return Name(start: start, end: Int32(prepared.count))
  }

  /// Prepares what every event of a transaction has; the events that follow are its own.
  ///
  /// `commitTime` is in microseconds from 2000-01-01 UTC. A message outside a transaction has
  /// neither time nor xid: the event has null for both.
  static func begin(
    commitLSN: LSN, commitTime: Int64?, xid: UInt32?, uuid: EventUUID, _ state: inout EncodingState
  ) {
    // From the end of the action into the UUID.
    state.head.removeAll()
    state.head.append("\",\"WALPosition\":")
    state.head.append(decimal: commitLSN.value)
    if let commitTime {
      state.head.append(",\"Timestamp\":\"")
      EventTimestamp.append(microseconds: commitTime, to: &state.head)
      state.head.append("\",\"UUID\":\"")
    } else {
      state.head.append(",\"Timestamp\":null,\"UUID\":\"")
    }
    uuid.appendCommon(to: &state.head)
    // From the end of the change's LSN up to the ordinal.
    state.tail.removeAll()
    state.tail.append("\",\"CommitLSN\":\"")
    state.tail.append(commitLSN)
    state.tail.append("\",\"XID\":")
    if let xid {
      state.tail.append(decimal: UInt64(xid))
    } else {
      state.tail.append("null")
    }
    state.tail.append(",\"Ordinal\":")
    state.uuid = uuid
  }

  /// Appends everything up to the colon after `Columns`.
  @inline(__always)
  func appendHead(
    _ state: borrowing EncodingState, _ action: EventAction, ordinal: UInt64,
    isExtraDelete: Bool = false, to json: inout ByteWriter
  ) {
    json.append(prepared.bytes(0..<headEnd))
    json.append(action.name)
    json.append(state.head.bytes)
    EventUUID.append(ordinal: ordinal, isExtraDelete: isExtraDelete, to: &json)
    json.append("\",\"Columns\":")
  }

  /// Appends `Schema` to `Ordinal`; `lsn` is the change's own.
  @inline(__always)
  func appendTail(
    _ state: borrowing EncodingState, lsn: LSN, ordinal: UInt64, to json: inout ByteWriter
  ) {
    json.append(prepared.bytes(headEnd..<schemaEnd))
    json.append(lsn)
    json.append(state.tail.bytes)
    json.append(decimal: ordinal)
  }

  /// Appends the start of a member; its value follows.
  static func append(_ part: Part, to json: inout ByteWriter) { json.append(part.text) }

  /// Appends a column's name and its colon, after a comma unless it is an object's first.
  @inline(__always)
  func append(_ name: Name, isFirst: Bool, to json: inout ByteWriter) {
    let start = Int(name.start) &+ (isFirst ? 1 : 0)
    json.append(short: prepared.bytes(start..<Int(name.end)))
  }

  /// Appends a column's name as an array's element, after a comma unless it is the first.
  func append(element name: Name, isFirst: Bool, to json: inout ByteWriter) {
    let start = Int(name.start) + (isFirst ? 1 : 0)
    json.append(short: prepared.bytes(start..<Int(name.end) - 1))
  }

  /// Appends the member `Message` of a logical message, its content in base64.
  static func appendMessage(
    prefix: RawSpan, content: RawSpan, isTransactional: Bool, to json: inout ByteWriter
  ) {
    append(.message, to: &json)
    json.append("{\"Prefix\":")
    JSONEscape.append(prefix, to: &json)
    json.append(",\"Content\":")
    Base64.append(content, to: &json)
    json.append(isTransactional ? ",\"Transactional\":true}" : ",\"Transactional\":false}")
  }

  /// Appends the event's last byte.
  static func appendEnd(to json: inout ByteWriter) { json.append(0x7D as UInt8) }
}
