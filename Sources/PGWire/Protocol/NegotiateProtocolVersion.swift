/// The server's answer to a StartupMessage that asks for more than it has (manual: "Message
/// Formats").
///
///     Int32   the newest version it speaks, in full: 0x00030000, whatever the manual says of "minor"
///     Int32   number of options it does not know, then for each:
///     String  name
public struct NegotiateProtocolVersion: Hashable, Sendable {
  /// The version that the server goes on with.
  public let version: ProtocolVersion
  /// The `_pq_.` options that it does not know.
  public let unknownOptions: [String]

  /// Reads the body of a NegotiateProtocolVersion message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> NegotiateProtocolVersion {
    var reader = ByteReader(body)
    let version = ProtocolVersion(number: try reader.integer())
    let count = try reader.integer(Int32.self)
    // Each name takes a byte at least, so the count cannot be larger than the message.
    guard count >= 0, Int(count) <= body.byteCount else {
      throw DecodingError(.badLength(Int(count)), at: 4)
    }
    var names: [String] = []
    for _ in 0..<count { names.append(try reader.string()) }
    try reader.finish()
    return NegotiateProtocolVersion(version: version, unknownOptions: names)
  }

  /// Checks an answer to a client that asked for `asked`, without any option.
  ///
  /// These are libpq's checks: what makes no sense comes from a broken server or from somebody in
  /// between.
  func check(asked: ProtocolVersion) throws(DecodingError) {
    guard version <= asked else {
      throw DecodingError(.violation("the server wants a newer protocol than asked for"), at: 0)
    }
    guard version >= .v3_0 else {
      throw DecodingError(.violation("the server wants a protocol before 3.0"), at: 0)
    }
    guard version != ProtocolVersion(number: 0x0003_0001) else {
      throw DecodingError(.violation("the server wants protocol 3.1, which does not exist"), at: 0)
    }
    guard version != asked || !unknownOptions.isEmpty else {
      throw DecodingError(.violation("the server negotiates and asks for no change"), at: 0)
    }
    guard unknownOptions.allSatisfy({ $0.hasPrefix("_pq_.") }) else {
      throw DecodingError(.violation("an option's name does not begin with _pq_."), at: 8)
    }
    guard unknownOptions.isEmpty else {
      throw DecodingError(.violation("the server refuses an option that was not asked for"), at: 8)
    }
  }
}
