/// What an authentication message (`R`) asks for.
///
///     Int32   0 Ok, 3 CleartextPassword, 5 MD5Password (then Byte4 salt),
///             10 SASL (then String* mechanisms and a zero byte),
///             11 SASLContinue, 12 SASLFinal (then Byten data), others unsupported
///
/// (manual: "Message Formats").
public enum AuthenticationRequest: Hashable, Sendable {
  /// The server is content.
  case ok
  /// The password as it is.
  case cleartextPassword
  /// The password hashed with MD5 and these four bytes.
  case md5Password(salt: [UInt8])
  /// A SASL exchange by one of these mechanisms.
  case sasl(mechanisms: [String])
  /// The server's challenge within the exchange.
  case saslContinue([UInt8])
  /// The server's last word in the exchange.
  case saslFinal([UInt8])
  /// A method that this client does not have; the name is the manual's.
  case unsupported(name: String)

  /// Reads the body of an authentication message.
  public static func decode(_ body: RawSpan) throws(DecodingError) -> AuthenticationRequest {
    var reader = ByteReader(body)
    let code = try reader.integer(Int32.self)
    let request: AuthenticationRequest
    switch code {
    case 0: request = .ok
    case 3: request = .cleartextPassword
    case 5: request = .md5Password(salt: try reader.span(4).array)
    case 10: request = .sasl(mechanisms: try mechanisms(&reader))
    case 11: request = .saslContinue(reader.rest().array)
    case 12: request = .saslFinal(reader.rest().array)
    case 2: request = .unsupported(name: "KerberosV5")
    case 7, 8: return .unsupported(name: "GSSAPI")
    case 9: request = .unsupported(name: "SSPI")
    default: return .unsupported(name: "number \(code)")
    }
    try reader.finish()
    return request
  }

  private static func mechanisms(_ reader: inout ByteReader) throws(DecodingError) -> [String] {
    var names: [String] = []
    while true {
      let name = try reader.string()
      if name.isEmpty { return names }
      names.append(name)
    }
  }
}

extension RawSpan {
  /// The bytes as an array; it allocates, so not for the row path.
  var array: [UInt8] {
    // SAFETY: the pointer does not leave the closure.
    unsafe withUnsafeBytes { unsafe Array($0) }
  }
}
