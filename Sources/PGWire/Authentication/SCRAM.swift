/// The client's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), without I/O.
///
///     client-first   gs2-header "n=,r=" nonce
///     server-first   "r=" nonce more ",s=" salt ",i=" iterations
///     client-final   "c=" binding ",r=" nonce more ",p=" proof
///     server-final   "v=" signature, or "e=" error
///
/// The user name is left empty: PostgreSQL takes the one of the StartupMessage.
struct SCRAM: Sendable {
  /// The most rounds of PBKDF2 that a server may ask for, some tenths of a second of work; servers
  /// ask for 4096 unless `scram_iterations` says more.
  static let iterationLimit = 1_000_000

  private enum State: Sendable {
    case start
    case waitingForServerFirst
    case waitingForServerFinal(signature: [UInt8])
    case verified
    case failed
  }

  /// What the client proves that it knows.
  enum Secret: Sendable {
    /// A password that has been through ``SASLprep``.
    case password([UInt8])
    /// The keys that would be derived from it.
    case keys(Credential.SCRAMKeys)
  }

  /// How the exchange is bound to the connection.
  let binding: SCRAMBinding
  private let secret: Secret
  private let nonce: [UInt8]
  private let user: String
  private var state = State.start

  /// Starts an exchange.
  ///
  /// `nonce` is printable ASCII without commas and must be unpredictable except in tests. The RFC's
  /// examples name a `user`.
  init(_ secret: Secret, nonce: [UInt8], binding: SCRAMBinding, user: String = "") {
    precondition(!nonce.isEmpty, "a nonce has at least one character")
    self.secret = secret
    self.nonce = nonce
    self.binding = binding
    self.user = user
  }

  /// Whether the server has proved that it knows the password's verifier.
  var isVerified: Bool { if case .verified = state { true } else { false } }

  /// The client-first message.
  mutating func clientFirst() -> [UInt8] {
    guard case .start = state else { preconditionFailure("an exchange starts once") }
    state = .waitingForServerFirst
    return Array(binding.header.utf8) + clientFirstBare
  }

  /// The client-final message that answers the server-first message.
  mutating func clientFinal(serverFirst: [UInt8]) throws(PGError) -> [UInt8] {
    guard case .waitingForServerFirst = state else {
      throw broken("a challenge comes at the wrong time")
    }
    state = .failed
    let challenge = try parse(serverFirst: serverFirst)
    let keys = try keys(salt: challenge.salt, iterations: challenge.iterations)
    let storedKey = try Digest.sha256(keys.client)

    let withoutProof =
      Array("c=".utf8) + Base64.encode(binding.input) + Array(",r=".utf8) + challenge.nonce
    let comma = [UInt8(ascii: ",")]
    let authMessage = clientFirstBare + comma + serverFirst + comma + withoutProof
    let clientSignature = try Digest.hmacSHA256(key: storedKey, authMessage)
    let proof = zip(keys.client, clientSignature).map { $0 ^ $1 }
    state = .waitingForServerFinal(
      signature: try Digest.hmacSHA256(key: keys.server, authMessage))
    return withoutProof + Array(",p=".utf8) + Base64.encode(proof)
  }

  /// Checks the server-final message: only now the server is known to be the right one.
  mutating func verify(serverFinal: [UInt8]) throws(PGError) {
    guard case .waitingForServerFinal(let signature) = state else {
      throw broken("a final message comes at the wrong time")
    }
    state = .failed
    if serverFinal.starts(with: Array("e=".utf8)) {
      let reason = String(decoding: serverFinal.dropFirst(2).prefix(100), as: UTF8.self)
      throw .authentication("the server broke the SCRAM exchange off: \(reason)")
    }
    var fields = Fields(serverFinal)
    guard let value = fields.next("v"), let theirs = Base64.decode(value) else {
      throw broken("the server's signature is malformed", at: fields.start)
    }
    guard Digest.areEqual(theirs, signature) else {
      throw .authentication(
        "the server's SCRAM signature is wrong: it does not know this password's verifier and may "
          + "be an impostor. Check host and port, and use sslmode=verify-full")
    }
    state = .verified
  }

  private func keys(salt: [UInt8], iterations: Int) throws(PGError) -> Credential.SCRAMKeys {
    switch secret {
    case .keys(let keys): return keys
    case .password(let password):
      let salted = try Digest.pbkdf2SHA256(
        password: password, salt: salt, iterations: iterations)
      return Credential.SCRAMKeys(
        client: try Digest.hmacSHA256(key: salted, Array("Client Key".utf8)),
        server: try Digest.hmacSHA256(key: salted, Array("Server Key".utf8)))
    }
  }

  private var clientFirstBare: [UInt8] { Array("n=\(user),r=".utf8) + nonce }

  private func parse(
    serverFirst: [UInt8]
  ) throws(PGError) -> (nonce: [UInt8], salt: [UInt8], iterations: Int) {
    var fields = Fields(serverFirst)
    guard let theirs = fields.next("r"), theirs.starts(with: nonce), theirs.count > nonce.count
    else {
      throw broken("the server's nonce does not extend ours", at: fields.start)
    }
    guard let saltText = fields.next("s"), let salt = Base64.decode(saltText) else {
      throw broken("the salt is malformed", at: fields.start)
    }
    guard let rounds = fields.next("i"), rounds.count <= 10,
      rounds.allSatisfy({ (0x30...0x39).contains($0) }),
      let iterations = Int(String(decoding: rounds, as: UTF8.self)), iterations >= 1
    else {
      throw broken("the iteration count is malformed", at: fields.start)
    }
    guard iterations <= Self.iterationLimit else {
      throw .authentication(
        "the server asks for \(iterations) SCRAM iterations: at most \(Self.iterationLimit) are "
          + "done. Lower scram_iterations and set the password again")
    }
    return (Array(theirs), salt, iterations)
  }

  /// The offset is that in the mechanism's data, which follows the four bytes of the request's code.
  private func broken(_ what: String, at offset: Int = 0) -> PGError {
    .authentication(
      "the server broke the SCRAM protocol: \(what) (message \(MessageTag.authentication), offset "
        + "\(offset + 4))")
  }

  /// Reads `x=value` fields between commas, in the order the grammar prescribes.
  private struct Fields {
    private var rest: ArraySlice<UInt8>
    /// Where the field begins that was asked for last.
    private(set) var start = 0
    init(_ message: [UInt8]) { rest = message[...] }

    mutating func next(_ name: Unicode.Scalar) -> ArraySlice<UInt8>? {
      start = rest.startIndex
      let field = rest.prefix { $0 != UInt8(ascii: ",") }
      guard field.count >= 2, field.first == UInt8(ascii: name),
        field[field.startIndex + 1] == UInt8(ascii: "=")
      else { return nil }
      rest = rest[field.endIndex...].dropFirst()
      return field.dropFirst(2)
    }
  }
}
