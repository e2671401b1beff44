/// A NOTIFY of another session (manual: "Message Formats").
///
///     Int32   process id of the session
///     String  channel
///     String  payload
public struct NotificationResponse: Hashable, Sendable {
  /// The process of the session that notifies.
  public let processID: Int32
  /// The channel's name.
  public let channel: String
  /// What it says.
  public let payload: String

  /// Reads the body of a NotificationResponse message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> NotificationResponse {
    var reader = ByteReader(body)
    let notification = NotificationResponse(
      processID: try reader.integer(), channel: try reader.string(), payload: try reader.string())
    try reader.finish()
    return notification
  }
}
