/// The server waits for the next command (manual: "Message Formats").
///
///     Byte1   'I' idle, 'T' in a transaction, 'E' in a failed transaction
public struct ReadyForQuery: Hashable, Sendable {
  /// Whether a transaction is open.
  public enum TransactionStatus: UInt8, Hashable, Sendable {
    /// None is.
    case idle = 0x49  // 'I'
    /// One is.
    case inTransaction = 0x54  // 'T'
    /// One is, and has failed: only its end is accepted.
    case inFailedTransaction = 0x45  // 'E'
  }

  /// Whether a transaction is open.
  public let status: TransactionStatus

  /// Reads the body of a ReadyForQuery message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> ReadyForQuery {
    var reader = ByteReader(body)
    let code = try reader.byte()
    guard let status = TransactionStatus(rawValue: code) else {
      throw DecodingError(.unknownCode(UInt32(code)), at: 0)
    }
    try reader.finish()
    return ReadyForQuery(status: status)
  }
}
