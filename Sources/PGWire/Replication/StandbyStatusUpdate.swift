/// What a client tells the server of its progress (manual: "Standby status update").
///
/// ```
/// 'd' Int32 length  'r' Int64 written  Int64 flushed  Int64 applied  Int64 time  Byte1 reply
/// ```
public struct StandbyStatusUpdate: Hashable, Sendable {
  /// The last position received.
  public var written: LSN
  /// The last position saved: the server may forget everything before it.
  public var flushed: LSN
  /// The last position applied, for pg_stat_replication.
  public var applied: LSN
  /// Whether the server is to answer with a keepalive at once.
  public var replyRequested: Bool

  /// Makes an update; without `applied` that is the same as `flushed`.
  public init(written: LSN, flushed: LSN, applied: LSN? = nil, replyRequested: Bool = false) {
    self.written = written
    self.flushed = flushed
    self.applied = applied ?? flushed
    self.replyRequested = replyRequested
  }

  /// Appends the whole CopyData message; `time` is microseconds since 2000-01-01 00:00 UTC.
  public func encode(time: Int64, into writer: inout ByteWriter) {
    writer.append(UInt8(ascii: "d"))
    writer.append(bigEndian: Int32(4 + 34))
    writer.append(UInt8(ascii: "r"))
    writer.append(bigEndian: written.value)
    writer.append(bigEndian: flushed.value)
    writer.append(bigEndian: applied.value)
    writer.append(bigEndian: time)
    writer.append(replyRequested ? 1 : 0)
  }
}
