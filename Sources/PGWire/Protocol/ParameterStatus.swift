/// The value of a run-time parameter that the server reports (manual: "Message Formats").
///
///     String  name
///     String  value
public struct ParameterStatus: Hashable, Sendable {
  /// The parameter, such as `server_version`.
  public let name: String
  /// Its value now.
  public let value: String

  /// Reads the body of a ParameterStatus message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> ParameterStatus {
    var reader = ByteReader(body)
    let status = ParameterStatus(name: try reader.string(), value: try reader.string())
    try reader.finish()
    return status
  }
}
