/// A command has finished (manual: "Message Formats").
///
///     String  command tag, such as "SELECT 1"
public struct CommandComplete: Hashable, Sendable {
  /// Which command, and for some how many rows.
  public let commandTag: String

  /// Reads the body of a CommandComplete message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> CommandComplete {
    var reader = ByteReader(body)
    let complete = CommandComplete(commandTag: try reader.string())
    try reader.finish()
    return complete
  }
}
