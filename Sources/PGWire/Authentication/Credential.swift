/// What this client knows to prove who it is.
///
/// Its texts show nothing of it.
struct Credential: Sendable {
  /// The keys that a role's SCRAM verifier is made of, 32 bytes each.
  ///
  /// They stand in for a password, for this verifier alone (`scram_client_key` and
  /// `scram_server_key`).
  struct SCRAMKeys: Hashable, Sendable {
    /// ClientKey of RFC 5802; a secret.
    let client: [UInt8]
    /// ServerKey of RFC 5802; a secret.
    let server: [UInt8]
  }

  /// The password; nil when there is none.
  var password: [UInt8]?
  /// The keys; nil when there are none.
  var scramKeys: SCRAMKeys?

  /// Makes a credential of a password's text.
  init(password: String? = nil, scramKeys: SCRAMKeys? = nil) {
    self.password = password.map { Array($0.utf8) }
    self.scramKeys = scramKeys
  }

  /// The bytes of a password, or an error that says what is missing; `user` names the role.
  func givenPassword(of user: String) throws(PGError) -> [UInt8] {
    guard let password, !password.isEmpty else {
      throw .authentication(
        "the server asks user \(user) for a password and none is given. Set password in the "
          + "connection string, PGPASSWORD or a passfile")
    }
    guard !password.contains(0) else {
      throw .authentication("the password of user \(user) holds a zero byte. Take it out")
    }
    return password
  }
}

extension Credential.SCRAMKeys {
  /// Reads both keywords; nil when neither is set.
  init?(_ values: [ConnectionKeyword: String]) throws(PGError) {
    let keywords = [ConnectionKeyword.scramClientKey, .scramServerKey]
    guard keywords.contains(where: { values[$0] != nil }) else { return nil }
    var keys: [[UInt8]] = []
    for keyword in keywords {
      guard let text = values[keyword] else {
        throw .connectionString(
          "one of scram_client_key and scram_server_key is missing. Give both")
      }
      guard let key = Base64.decode(Array(text.utf8)[...]), key.count == 32 else {
        throw .connectionString("\(keyword.rawValue) is not 32 bytes in base64")
      }
      keys.append(key)
    }
    self.init(client: keys[0], server: keys[1])
  }
}
