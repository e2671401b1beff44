/// The messages a client sends, each appended whole to a buffer (manual: "Message Formats").
///
/// A text with a zero byte inside would end its field early, so texts of others are checked by
/// whoever takes them in; here a zero is a programming error.
public enum FrontendMessage {
  /// StartupMessage: no tag, Int32 length, Int32 version, { String name, String value }*, zero.
  public static func startup(
    version: ProtocolVersion = .v3_0, parameters: [(name: String, value: String)],
    into output: inout ByteWriter
  ) {
    let start = output.count
    output.append(bigEndian: Int32(0))
    output.append(bigEndian: version.number)
    for (name, value) in parameters {
      append(name, to: &output)
      append(value, to: &output)
    }
    output.append(UInt8(0))
    output.set(bigEndian: Int32(output.count - start), at: start)
  }

  /// SSLRequest: asks whether the server speaks TLS.
  public static func sslRequest(into output: inout ByteWriter) {
    output.append(bigEndian: Int32(8))
    output.append(bigEndian: Int32(80_877_103))
  }

  /// CancelRequest: the whole conversation of a connection of its own.
  public static func cancelRequest(_ key: BackendKeyData, into output: inout ByteWriter) {
    output.append(bigEndian: Int32(12 + key.secretKey.count))
    output.append(bigEndian: Int32(80_877_102))
    output.append(bigEndian: key.processID)
    output.append(array: key.secretKey)
  }

  /// PasswordMessage: `p` and the password, clear or hashed, without a zero byte.
  public static func password(_ password: [UInt8], into output: inout ByteWriter) {
    precondition(!password.contains(0), "a password has no zero byte")
    message("p", into: &output) { output in
      output.append(array: password)
      output.append(UInt8(0))
    }
  }

  /// SASLInitialResponse: `p`, the mechanism and the first message.
  public static func saslInitialResponse(
    mechanism: String, _ response: [UInt8], into output: inout ByteWriter
  ) {
    message("p", into: &output) { output in
      append(mechanism, to: &output)
      output.append(bigEndian: Int32(response.count))
      output.append(array: response)
    }
  }

  /// SASLResponse: `p` and a further message of the mechanism.
  public static func saslResponse(_ response: [UInt8], into output: inout ByteWriter) {
    message("p", into: &output) { $0.append(array: response) }
  }

  /// Query: `Q` and one or more SQL commands.
  public static func query(_ sql: String, into output: inout ByteWriter) {
    message("Q", into: &output) { append(sql, to: &$0) }
  }

  /// CopyData: tag and length of a message whose `count` bytes of body the caller appends.
  public static func copyDataHeader(bodyCount count: Int, into output: inout ByteWriter) {
    output.append(UInt8(ascii: "d"))
    output.append(bigEndian: Int32(count + 4))
  }

  /// CopyDone: `c`, the client has nothing more to copy.
  public static func copyDone(into output: inout ByteWriter) {
    message("c", into: &output) { _ in }
  }

  /// CopyFail: `f`, the client refuses to copy, and why.
  public static func copyFail(_ reason: String, into output: inout ByteWriter) {
    message("f", into: &output) { append(reason, to: &$0) }
  }

  /// Terminate: `X`, the client goes.
  public static func terminate(into output: inout ByteWriter) {
    message("X", into: &output) { _ in }
  }

  private static func message(
    _ tag: Unicode.Scalar, into output: inout ByteWriter, _ body: (inout ByteWriter) -> Void
  ) {
    output.append(UInt8(ascii: tag))
    let start = output.count
    output.append(bigEndian: Int32(0))
    body(&output)
    output.set(bigEndian: Int32(output.count - start), at: start)
  }

  private static func append(_ text: String, to output: inout ByteWriter) {
    precondition(!text.utf8.contains(0), "a text within a message has no zero byte")
    output.append(string: text)
    output.append(UInt8(0))
  }
}
