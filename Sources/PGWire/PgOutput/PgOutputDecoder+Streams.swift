/// What begins and ends chunks of streamed transactions (protocol 2) and prepared transactions
/// (protocol 3).
///
/// ```
/// 'S' Int32 xid  Byte1 first (1 for the transaction's first chunk)      'E' nothing
/// 'c' Int32 xid  Byte1 flags (0)  Int64 commit LSN  Int64 end LSN  Int64 commit time
/// 'A' Int32 xid  Int32 xid of the subtransaction  [Int64 abort LSN  Int64 abort time]
/// 'b' Int64 prepare LSN  Int64 end LSN  Int64 prepare time  Int32 xid  String GID
/// 'P' Byte1 flags (0)  as 'b'          'p' Byte1 flags (0)  as 'b'
/// 'K' Byte1 flags (0)  Int64 commit LSN  Int64 end LSN  Int64 commit time  Int32 xid  String GID
/// 'r' Byte1 flags (0)  Int64 prepare end LSN  Int64 rollback end LSN  Int64 prepare time
///     Int64 rollback time  Int32 xid  String GID
/// ```
/// The last two fields of 'A' come only where `streaming 'parallel'` was asked for (protocol 4).
extension PgOutputDecoder {
  /// The (sub)transaction of a message inside a chunk, without decoding the rest of it.
  ///
  /// nil for a message that has none: outside a chunk all messages, inside it Origin and what ends
  /// the chunk. Throws ``DecodingError`` for a message that is too short to have one.
  @inlinable public func subtransaction(of payload: RawSpan) throws(DecodingError) -> UInt32? {
    guard stream != nil else { return nil }
    var reader = ByteReader(AbridgedMessage.message(of: payload))
    switch try reader.byte() {
    case UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "D"), UInt8(ascii: "R"),
      UInt8(ascii: "Y"), UInt8(ascii: "T"), UInt8(ascii: "M"):
      return try reader.integer(UInt32.self)
    default: return nil
    }
  }

  /// Decodes a message that begins or ends something.
  @_lifetime(copy reader)
  mutating func boundary(
    _ tag: UInt8, _ reader: inout ByteReader
  ) throws(DecodingError) -> PgOutputMessage {
    switch tag {
    case UInt8(ascii: "S"):
      guard stream == nil else { throw violation("a chunk starts inside another") }
      let start = StreamStart(xid: try reader.integer(), isFirst: try reader.byte() != 0)
      try reader.finish()
      stream = start.xid
      return .streamStart(start)
    case UInt8(ascii: "E"):
      guard stream != nil else { throw violation("a chunk stops that did not start") }
      try reader.finish()
      stream = nil
      return .streamStop
    case UInt8(ascii: "B"), UInt8(ascii: "C"), UInt8(ascii: "c"), UInt8(ascii: "A"),
      UInt8(ascii: "b"), UInt8(ascii: "P"), UInt8(ascii: "p"), UInt8(ascii: "K"),
      UInt8(ascii: "r"):
      guard stream == nil else {
        throw violation("a transaction begins or ends inside another one's chunk")
      }
    default: throw unknown(tag, reader.offset)
    }
    let message = try ending(tag, &reader)
    try reader.finish()
    return message
  }

  @_lifetime(copy reader)
  private func ending(
    _ tag: UInt8, _ reader: inout ByteReader
  ) throws(DecodingError) -> PgOutputMessage {
    switch tag {
    case UInt8(ascii: "A"): return .streamAbort(try StreamAbort(from: &reader))
    case UInt8(ascii: "b"): return .beginPrepare(try Prepare(from: &reader))
    case UInt8(ascii: "c"):
      let xid = try reader.integer(UInt32.self)
      try reader.skip(1)
      return .streamCommit(xid: xid, try Commit(from: &reader))
    default: try reader.skip(1)
    }
    switch tag {
    case UInt8(ascii: "P"): return .prepare(try Prepare(from: &reader))
    case UInt8(ascii: "p"): return .streamPrepare(try Prepare(from: &reader))
    case UInt8(ascii: "K"): return .commitPrepared(try CommitPrepared(from: &reader))
    default: return .rollbackPrepared(try RollbackPrepared(from: &reader))
    }
  }

  private func violation(_ text: StaticText) -> DecodingError {
    DecodingError(.violation(text), at: 0)
  }
}

extension Commit {
  @usableFromInline init(from reader: inout ByteReader) throws(DecodingError) {
    self.init(
      commitLSN: try reader.lsn(), endLSN: try reader.lsn(), commitTime: try reader.integer())
  }
}
