/// Decodes the pgoutput messages of one connection, protocol versions 1 to 4 (manual: "Logical
/// Replication Message Formats").
///
/// ```
/// 'B' Int64 final LSN  Int64 commit time  Int32 xid
/// 'C' Byte1 flags (0)  Int64 commit LSN  Int64 end LSN  Int64 commit time
/// 'O' Int64 commit LSN at the origin  String name
/// 'R' [xid] Relation     'Y' [xid] Int32 OID  String schema  String name
/// 'I' [xid] Int32 relation  'N' TupleData
/// 'U' [xid] Int32 relation  ['K' | 'O' TupleData]  'N' TupleData
/// 'D' [xid] Int32 relation  'K' | 'O' TupleData
/// 'T' [xid] Int32 count  Byte1 flags (1 cascade, 2 restart identity)  count × Int32 relation
/// 'M' [xid] Byte1 flags (1 transactional)  Int64 LSN  String prefix  Int32 length  Byten content
/// ```
/// From protocol 2 on open transactions come in chunks between 'S' and 'E', and only there stands
/// `[xid]`, the Int32 number of the subtransaction: the bytes alone do not tell, so a decoder knows
/// where it stands. What begins and ends streams and prepared transactions is in
/// PgOutputDecoder+Streams.swift.
///
/// A message is one whole XLogData payload: bytes left over make it malformed.
public struct PgOutputDecoder: Sendable {
  /// The transaction whose chunk is being read; nil outside a chunk.
  public internal(set) var stream: UInt32?
  /// The (sub)transaction that the message decoded last belongs to; nil for a message without one,
  /// as all are outside a stream.
  ///
  /// A logical message in a stream has the number of the whole transaction, wherever it was written.
  @inlinable public var xid: UInt32? { lastXID }
  @usableFromInline var lastXID: UInt32?

  /// Makes a decoder for a new connection: outside a stream.
  public init() {}

  /// Makes a decoder that stands inside a chunk of the transaction `xid`, for messages that were
  /// kept.
  public init(insideStreamOf xid: UInt32) { stream = xid }

  /// Decodes one message and remembers where the stream stands after it.
  ///
  /// Throws ``DecodingError`` for bytes that are no message, and for a message that is not allowed
  /// where the stream stands.
  @inlinable @_lifetime(copy payload)
  public mutating func decode(_ payload: RawSpan) throws(DecodingError) -> PgOutputMessage {
    var reader = ByteReader(payload)
    let tag = try reader.byte()
    switch tag {
    case UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "D"):
      try readSubtransaction(&reader)
      return .change(try change(tag, &reader))
    case UInt8(ascii: "B") where stream == nil:
      let begin = Begin(
        finalLSN: try reader.lsn(), commitTime: try reader.integer(), xid: try reader.integer())
      try reader.finish()
      lastXID = nil
      return .begin(begin)
    case UInt8(ascii: "C") where stream == nil:
      try reader.skip(1)
      let commit = try Commit(from: &reader)
      try reader.finish()
      lastXID = nil
      return .commit(commit)
    default:
      return try uncommon(tag, &reader)
    }
  }

  /// Reads the `[xid]` that messages have inside a stream.
  @inlinable @_lifetime(reader: copy reader)
  mutating func readSubtransaction(_ reader: inout ByteReader) throws(DecodingError) {
    lastXID = stream == nil ? nil : try reader.integer(UInt32.self)
  }

  @inlinable @_lifetime(copy reader)
  func change(_ tag: UInt8, _ reader: inout ByteReader) throws(DecodingError) -> Change {
    let relation = try reader.integer(UInt32.self)
    var image = try reader.byte()
    let none = TupleData(checked: reader.bytes.extracting(first: 0), count: 0)
    if tag == UInt8(ascii: "I") {
      guard image == UInt8(ascii: "N") else { throw unknown(image, reader.offset) }
      let new = try TupleData(from: &reader)
      try reader.finish()
      return Change(kind: .insert, relation: relation, oldImage: .none, old: none, new: new)
    }
    var oldImage = Change.OldImage.none
    var old = copy none
    if image == UInt8(ascii: "K") || image == UInt8(ascii: "O") {
      oldImage = image == UInt8(ascii: "K") ? .key : .full
      old = try TupleData(from: &reader)
      if tag == UInt8(ascii: "U") { image = try reader.byte() }
    }
    if tag == UInt8(ascii: "D") {
      guard oldImage != .none else { throw unknown(image, reader.offset) }
      try reader.finish()
      return Change(kind: .delete, relation: relation, oldImage: oldImage, old: old, new: none)
    }
    guard image == UInt8(ascii: "N") else { throw unknown(image, reader.offset) }
    let new = try TupleData(from: &reader)
    try reader.finish()
    return Change(kind: .update, relation: relation, oldImage: oldImage, old: old, new: new)
  }

  @usableFromInline @_lifetime(copy reader)
  mutating func uncommon(
    _ tag: UInt8, _ reader: inout ByteReader
  ) throws(DecodingError) -> PgOutputMessage {
    let message: PgOutputMessage
    switch tag {
    case UInt8(ascii: "R"), UInt8(ascii: "Y"), UInt8(ascii: "T"), UInt8(ascii: "M"):
      try readSubtransaction(&reader)
    default: lastXID = nil
    }
    switch tag {
    case UInt8(ascii: "R"):
      message = .relation(try Relation(from: &reader))
    case UInt8(ascii: "Y"):
      let oid = try reader.integer(UInt32.self)
      let schema = try reader.string()
      message = .type(
        TypeName(
          oid: oid, schema: schema.isEmpty ? "pg_catalog" : schema, name: try reader.string()))
    case UInt8(ascii: "O"):
      message = .origin(Origin(lsn: try reader.lsn(), name: try reader.string()))
    case UInt8(ascii: "T"):
      message = .truncate(try truncate(&reader))
    case UInt8(ascii: "M"):
      let flags = try reader.byte()
      let lsn = try reader.lsn()
      let prefix = try reader.stringBytes()
      let content = try reader.sizedSpan()
      message = .message(
        LogicalMessage(isTransactional: flags & 1 != 0, lsn: lsn, prefix: prefix, content: content))
    case AbridgedMessage.tag:
      return .abridged(try AbridgedMessage(from: &reader))
    default:
      return try boundary(tag, &reader)
    }
    try reader.finish()
    return message
  }

  private func truncate(_ reader: inout ByteReader) throws(DecodingError) -> Truncate {
    let count = Int(try reader.integer(Int32.self))
    let flags = try reader.byte()
    // Each relation takes four bytes: a declared count beyond them is a lie, found before it
    // could reserve memory.
    guard count >= 0, count <= reader.remaining / 4 else {
      throw DecodingError(.badLength(count), at: reader.offset - 5)
    }
    var relations: [UInt32] = []
    for _ in 0..<count { relations.append(try reader.integer()) }
    return Truncate(
      cascade: flags & 1 != 0, restartIdentity: flags & 2 != 0, relations: relations)
  }

  @usableFromInline func unknown(_ code: UInt8, _ offset: Int) -> DecodingError {
    DecodingError(.unknownCode(UInt32(code)), at: offset - 1)
  }
}
