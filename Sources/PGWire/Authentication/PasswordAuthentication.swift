/// Answers a server's authentication requests, without I/O.
///
/// It refuses to be called authenticated before the server has proved itself when SCRAM was
/// begun, and a second method after a first one.
struct PasswordAuthentication: Sendable {
  private enum State: Sendable {
    case untouched
    case answered
    case scram(SCRAM)
    case authenticated
  }

  private let user: String
  private let credential: Credential
  private let rules: AuthenticationRules
  private let material: BindingMaterial
  private let nonce: [UInt8]
  private var state = State.untouched

  /// Makes it for one connection; `nonce` is used by SCRAM only.
  init(
    user: String, credential: Credential, rules: AuthenticationRules, material: BindingMaterial,
    nonce: [UInt8]
  ) {
    self.user = user
    self.credential = credential
    self.rules = rules
    self.material = material
    self.nonce = nonce
  }

  /// Whether the server has accepted us.
  var isAuthenticated: Bool { if case .authenticated = state { true } else { false } }

  /// Appends the answer to a request, if there is one.
  mutating func answer(
    _ request: AuthenticationRequest, into output: inout ByteWriter
  ) throws(PGError) {
    try rules.check(request)
    switch request {
    case .ok: try accept()
    case .cleartextPassword:
      try beginPassword(method: "a cleartext password")
      FrontendMessage.password(try credential.givenPassword(of: user), into: &output)
    case .md5Password(let salt):
      try beginPassword(method: "an MD5 password")
      let hash = try MD5Password.hash(
        user: user, password: try credential.givenPassword(of: user), salt: salt)
      FrontendMessage.password(hash, into: &output)
    case .sasl(let mechanisms): try beginSASL(mechanisms, into: &output)
    case .saslContinue(let challenge):
      guard case .scram(var scram) = state else { throw outOfOrder("SASLContinue") }
      let response = try scram.clientFinal(serverFirst: challenge)
      state = .scram(scram)
      FrontendMessage.saslResponse(response, into: &output)
    case .saslFinal(let outcome):
      guard case .scram(var scram) = state else { throw outOfOrder("SASLFinal") }
      try scram.verify(serverFinal: outcome)
      state = .scram(scram)
    case .unsupported(let name):
      throw .authentication(
        "the server asks for \(name), which this client does not have. Use scram-sha-256 in "
          + "pg_hba.conf")
    }
  }

  private mutating func accept() throws(PGError) {
    var (isComplete, isBound) = (true, false)
    switch state {
    case .authenticated: throw outOfOrder("a second AuthenticationOk")
    case .scram(let scram):
      guard scram.isVerified else {
        throw .authentication(
          "the server ended SCRAM before proving that it knows the password: it may be an "
            + "impostor. Check host and port, and use sslmode=verify-full")
      }
      if case .bound = scram.binding { isBound = true }
    case .untouched: isComplete = false
    case .answered: break
    }
    try rules.checkEnd(isComplete: isComplete, isBound: isBound)
    state = .authenticated
  }

  private mutating func beginPassword(method: String) throws(PGError) {
    guard case .untouched = state else { throw outOfOrder("another request") }
    guard rules.channelBinding != .require else {
      throw .authentication(
        "channel_binding=require, but the server asks for \(method). Use scram-sha-256 in "
          + "pg_hba.conf")
    }
    state = .answered
  }

  private mutating func beginSASL(
    _ mechanisms: [String], into output: inout ByteWriter
  ) throws(PGError) {
    guard case .untouched = state else { throw outOfOrder("another request") }
    let binding = try SCRAMBinding.choose(
      offered: mechanisms, material: material, wish: rules.channelBinding)
    let secret: SCRAM.Secret =
      if let keys = credential.scramKeys {
        .keys(keys)
      } else {
        .password(SASLprep.prepare(try credential.givenPassword(of: user)))
      }
    var scram = SCRAM(secret, nonce: nonce, binding: binding)
    let first = scram.clientFirst()
    state = .scram(scram)
    FrontendMessage.saslInitialResponse(mechanism: binding.mechanism, first, into: &output)
  }

  private func outOfOrder(_ what: String) -> PGError {
    .authentication("the server sends \(what) at the wrong time")
  }
}
