/// What a CancelRequest for this session must carry (manual: "Message Formats").
///
///     Int32   process id
///     Byten   secret key: 4 bytes in protocol 3.0, 4 to 256 from 3.2 on
public struct BackendKeyData: Hashable, Sendable {
  /// The server process of this session.
  public let processID: Int32
  /// The key; a secret.
  public let secretKey: [UInt8]

  /// Reads the body of a BackendKeyData message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> BackendKeyData {
    var reader = ByteReader(body)
    let processID = try reader.integer(Int32.self)
    let key = reader.rest()
    guard (4...256).contains(key.byteCount) else {
      throw DecodingError(.badLength(key.byteCount), at: 4)
    }
    return BackendKeyData(processID: processID, secretKey: key.array)
  }
}

extension BackendKeyData: CustomStringConvertible {
  /// The process id only: the key stays secret.
  public var description: String { "process \(processID)" }
}
