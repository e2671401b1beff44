/// Which methods of authentication the server may ask for (libpq's `require_auth`).
public struct RequiredAuthentication: Hashable, Sendable {
  /// A method by the name that `require_auth` has for it.
  public enum Method: String, Hashable, Sendable, CaseIterable {
    /// The password in clear.
    case password
    /// The password hashed with MD5.
    case md5
    /// GSSAPI, which this client does not speak.
    case gss
    /// SSPI, which this client does not speak.
    case sspi
    /// SCRAM-SHA-256, with channel binding or without.
    case scramSHA256 = "scram-sha-256"
    /// OAuth, which this client does not speak.
    case oauth
    /// No authentication: the server lets the client in as it is.
    case none
  }

  /// The text as configured, for errors.
  public let text: String
  /// The methods that are allowed.
  public let allowed: Set<Method>

  /// Reads a list of methods between commas, all of them with a `!` or none.
  ///
  /// Throws ``PGError/connectionString(_:)``.
  public init(_ text: String) throws(PGError) {
    self.text = text
    var named: Set<Method> = []
    var isNegative: Bool?
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let hasMark = part.hasPrefix("!")
      if let isNegative, isNegative != hasMark {
        throw .connectionString(
          "require_auth=\(text) mixes methods with and without \"!\". Give all of them one or none")
      }
      isNegative = hasMark
      guard let method = Method(rawValue: String(part.dropFirst(hasMark ? 1 : 0))) else {
        let words = Method.allCases.map(\.rawValue).joined(separator: ", ")
        throw .connectionString(
          "require_auth=\(text) names the unknown method \"\(part)\". Use some of \(words), "
            + "between commas without spaces")
      }
      guard named.insert(method).inserted else {
        throw .connectionString("require_auth=\(text) names \(method.rawValue) twice")
      }
    }
    allowed = isNegative == true ? Set(Method.allCases).subtracting(named) : named
  }

  /// Refuses a request for a method that is not allowed.
  func check(_ request: AuthenticationRequest) throws(PGError) {
    let (method, what): (Method, String)
    switch request {
    case .cleartextPassword: (method, what) = (.password, "requested a cleartext password")
    case .md5Password: (method, what) = (.md5, "requested a hashed password")
    case .sasl(let mechanisms):
      // The mechanisms of both methods begin in the same way.
      let isOAuth = !mechanisms.contains { $0.hasPrefix("SCRAM-") }
      (method, what) = (isOAuth ? .oauth : .scramSHA256, "requested SASL authentication")
    case .unsupported(let name):
      (method, what) = (name == "SSPI" ? .sspi : .gss, "requested \(name) authentication")
    case .ok, .saslContinue, .saslFinal: return
    }
    guard allowed.contains(method) else { throw failure(what) }
  }

  /// Refuses to be let in when nothing, or only a part, was asked for.
  func checkEnd(isComplete: Bool) throws(PGError) {
    guard isComplete || allowed.contains(.none) else {
      throw failure("did not complete authentication")
    }
  }

  private func failure(_ what: String) -> PGError {
    .authentication(
      "authentication method requirement \"\(text)\" failed: server \(what). Change the method in "
        + "pg_hba.conf, or require_auth")
  }
}
