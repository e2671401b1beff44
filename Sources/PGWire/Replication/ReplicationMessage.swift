/// What a server sends inside CopyData while it streams (manual: "Streaming Replication Protocol").
///
/// ```
/// 'w' XLogData          Int64 start  Int64 end  Int64 time  Byten one pgoutput message
/// 'k' Primary keepalive  Int64 WAL end  Int64 time  Byte1 reply requested
/// ```
/// Times are microseconds since 2000-01-01 00:00 UTC by the server's clock.
public enum ReplicationMessage: ~Escapable {
  /// A message of the output plugin. `start` is the change's own LSN: neither rising nor unique,
  /// and nothing to acknowledge.
  case xLogData(start: LSN, sendTime: Int64, payload: RawSpan)
  /// How far the server has decoded, and whether it wants an answer at once.
  case keepalive(walEnd: LSN, sendTime: Int64, replyRequested: Bool)

  /// Where the plugin's message begins in the body of XLogData.
  static var payloadOffset: Int { 25 }

  /// Decodes the body of one CopyData message.
  @inlinable @_lifetime(copy body)
  public init(_ body: RawSpan) throws(DecodingError) {
    var reader = ByteReader(body)
    switch try reader.byte() {
    case UInt8(ascii: "w"):
      let start = try reader.lsn()
      try reader.skip(8)  // the end: always the same as the start
      let time = try reader.integer(Int64.self)
      self = .xLogData(start: start, sendTime: time, payload: reader.rest())
    case UInt8(ascii: "k"):
      let walEnd = try reader.lsn()
      let time = try reader.integer(Int64.self)
      let reply = try reader.byte()
      try reader.finish()
      self = .keepalive(walEnd: walEnd, sendTime: time, replyRequested: reply != 0)
    case let tag:
      throw DecodingError(.unknownCode(UInt32(tag)), at: 0)
    }
  }
}
