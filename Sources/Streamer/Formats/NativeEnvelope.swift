import PGWire

/// The format `psql-streamer`: one JSON object for each event, put together from bytes that are
/// made once for a connection, a relation, a transaction.
///
///     {"Host","Database","Table","Action","WALPosition","Timestamp","UUID","Columns",
///      "Schema","LSN","CommitLSN","XID","Ordinal","Key","Old","Unchanged","Message"}
///
/// The first eight are the seed's, in its order. An event is written in this order:
/// ``appendHead(_:_:ordinal:isExtraDelete:to:)``, the object for `Columns` (the caller's),
/// ``appendTail(_:lsn:ordinal:to:)``, then those of Key, Old, Unchanged, Message that it has, each
/// a ``Part`` and its value, and ``appendEnd(to:)``. What stands before and after `Columns` does
/// not look at it, so columns encoded while a transaction is still open are joined at its commit.
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

  /// A run of prepared bytes.
  struct Run: Hashable, Sendable, BitwiseCopyable {
    fileprivate var start: Int32
    fileprivate var end: Int32
  }

  /// What every event of a relation has.
  struct Relation: Hashable, Sendable, BitwiseCopyable {
    fileprivate var head: Run
    fileprivate var schema: Run
  }

  /// A column's name as JSON, with a comma before and a colon after it.
  struct Name: Hashable, Sendable, BitwiseCopyable {
    fileprivate var run: Run
  }

  private var prepared = ByteWriter(capacity: 4096)
  private var connection: Run
  /// From the end of the action into the UUID, the same for a transaction's events.
  private var transactionHead = ByteWriter(capacity: 128)
  /// From the end of the change's LSN up to the ordinal.
  private var transactionTail = ByteWriter(capacity: 128)

  /// Makes the format for one database; `host` as the configuration names it.
  init(host: String, database: String) {
    prepared.append("{\"Host\":")
    prepared.append(jsonString: host)
    prepared.append(",\"Database\":")
    prepared.append(jsonString: database)
    connection = Run(start: 0, end: Int32(prepared.count))
  }

  private mutating func prepare(_ write: (inout ByteWriter) -> Void) -> Run {
    let start = Int32(prepared.count)
    write(&prepared)
    return Run(start: start, end: Int32(prepared.count))
  }

  private func append(_ run: Run, to json: inout ByteWriter) {
    json.append(prepared.bytes(Int(run.start)..<Int(run.end)))
  }

  /// Prepares what every event of a relation has; once when the relation is announced.
  mutating func relation(schema: String, table: String) -> Relation {
    var head = ByteWriter()
    append(connection, to: &head)
    head.append(",\"Table\":")
    head.append(jsonString: table)
    head.append(",\"Action\":\"")
    return Relation(
      head: prepare { $0.append(head.bytes) },
      schema: prepare {
        $0.append(",\"Schema\":")
        $0.append(jsonString: schema)
        $0.append(",\"LSN\":\"")
      })
  }

  /// Prepares a column's name; once when its relation is announced.
  mutating func name(_ column: String) -> Name {
    Name(
      run: prepare {
        $0.append(0x2C as UInt8)
        $0.append(jsonString: column)
        $0.append(0x3A as UInt8)
      })
  }

  /// Prepares what every event of a transaction has; the events that follow are its own.
  ///
  /// `commitTime` is in microseconds from 2000-01-01 UTC. A message outside a transaction has
  /// neither time nor xid: the event has null for both.
  mutating func begin(commitLSN: LSN, commitTime: Int64?, xid: UInt32?, uuid: EventUUID) {
    transactionHead.removeAll()
    transactionHead.append("\",\"WALPosition\":")
    transactionHead.append(decimal: commitLSN.value)
    if let commitTime {
      transactionHead.append(",\"Timestamp\":\"")
      EventTimestamp.append(microseconds: commitTime, to: &transactionHead)
      transactionHead.append("\",\"UUID\":\"")
    } else {
      transactionHead.append(",\"Timestamp\":null,\"UUID\":\"")
    }
    uuid.appendCommon(to: &transactionHead)
    transactionTail.removeAll()
    transactionTail.append("\",\"CommitLSN\":\"")
    transactionTail.append(commitLSN)
    transactionTail.append("\",\"XID\":")
    if let xid {
      transactionTail.append(decimal: UInt64(xid))
    } else {
      transactionTail.append("null")
    }
    transactionTail.append(",\"Ordinal\":")
  }

  /// Appends everything up to the colon after `Columns`.
  func appendHead(
    _ relation: Relation, _ action: EventAction, ordinal: UInt64, isExtraDelete: Bool = false,
    to json: inout ByteWriter
  ) {
    append(relation.head, to: &json)
    json.append(action.name)
    json.append(transactionHead.bytes)
    EventUUID.append(ordinal: ordinal, isExtraDelete: isExtraDelete, to: &json)
    json.append("\",\"Columns\":")
  }

  /// Appends `Schema` to `Ordinal`; `lsn` is the change's own.
  func appendTail(
    _ relation: Relation, lsn: LSN, ordinal: UInt64, to json: inout ByteWriter
  ) {
    append(relation.schema, to: &json)
    json.append(lsn)
    json.append(transactionTail.bytes)
    json.append(decimal: ordinal)
  }

  /// Appends the start of a member; its value follows.
  static func append(_ part: Part, to json: inout ByteWriter) { json.append(part.text) }

  /// Appends a column's name and its colon, after a comma unless it is an object's first.
  func append(_ name: Name, isFirst: Bool, to json: inout ByteWriter) {
    let start = Int(name.run.start) + (isFirst ? 1 : 0)
    json.append(short: prepared.bytes(start..<Int(name.run.end)))
  }

  /// Appends a column's name as an array's element, after a comma unless it is the first.
  func append(element name: Name, isFirst: Bool, to json: inout ByteWriter) {
    let start = Int(name.run.start) + (isFirst ? 1 : 0)
    json.append(short: prepared.bytes(start..<Int(name.run.end) - 1))
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
