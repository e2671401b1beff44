@testable import PGWire

/// The client's side of SCRAM against an arbitrary server.
enum SCRAMFuzz: FuzzTarget {
  static let name = "scram"
  private static let password = Array("geheim".utf8)
  private static let nonce = Array("n".utf8)
  /// What separates the two messages of an input.
  private static let separator = UInt8(ascii: "\n")

  static let words = ["r=nx", ",s=", ",i=", "v=", "e=", "m=", "AAAA"]

  static var seeds: [[UInt8]] {
    let first = Array("r=nx,s=AAAA,i=1".utf8)
    return [
      first + [separator] + signature(to: first), first + [separator] + Array("e=no".utf8),
      Array("r=nx,s=whmfafbtXcL81h7inh7pkw==,i=2,x=y".utf8) + [separator] + Array("v=AAAA".utf8),
    ]
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    guard !wantsMuchWork(input) else { return }
    let parts = input.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
    let first = Array(parts[0])
    let final = parts.count > 1 ? Array(parts[1]) : []
    try checkBase64(first)
    var scram = started()
    // A final message before its time.
    _ = try Outcome.of { () throws(PGError) in
      var early = started()
      try early.verify(serverFinal: final)
      return ""
    }
    let outcome = try Outcome.of { () throws(PGError) in
      let answer = try scram.clientFinal(serverFirst: first)
      return String(decoding: answer, as: UTF8.self)
    }
    try require(!scram.isVerified, "a server is trusted before its signature came")
    guard case .value = outcome else { return }
    let verdict = try Outcome.of { () throws(PGError) in
      try scram.verify(serverFinal: final)
      return ""
    }
    let isRight = final.starts(with: signature(to: first))
    try require(
      scram.isVerified == (verdict == .value("")), "a refused server counts as verified")
    try require(!scram.isVerified || isRight, "a server without the right signature is trusted")
  }

  private static func started() -> SCRAM {
    var scram = SCRAM(.password(password), nonce: nonce, binding: .none)
    _ = scram.clientFirst()
    return scram
  }

  /// What decodes is exactly what would be encoded.
  private static func checkBase64(_ text: [UInt8]) throws(Violation) {
    let decoded = Base64.decode(text)
    try require(decoded.map { Base64.encode($0) == text } ?? true, "base64 decodes two ways")
    try require(Base64.decode(Base64.encode(text)) == text, "base64 loses bytes")
  }

  /// Whether the bytes ask for so many rounds of hashing that they would take seconds: allowed, and
  /// of no interest here.
  static func wantsMuchWork(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while let range = rest.firstRange(of: Array("i=".utf8)) {
      rest = rest[range.upperBound...]
      let digits = rest.prefix { (0x30...0x39).contains($0) }
      let significant = digits.drop { $0 == 0x30 }
      if significant.count > 3 { return true }
    }
    return false
  }

  /// The server-final message of a server that knows the password, computed without the client.
  static func signature(to first: [UInt8]) -> [UInt8] {
    let fields = first.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard fields.count > 2, let salt = Base64.decode(fields[1].dropFirst(2)),
      let rounds = Int(String(decoding: fields[2].dropFirst(2), as: UTF8.self)), rounds > 0
    else { return [] }
    let final = Array("c=biws,".utf8) + fields[0]
    let message = Array("n=,r=".utf8) + nonce + Array(",".utf8) + first + Array(",".utf8) + final
    do throws(PGError) {
      let salted = try Digest.pbkdf2SHA256(password: password, salt: salt, iterations: rounds)
      let key = try Digest.hmacSHA256(key: salted, Array("Server Key".utf8))
      return Array("v=".utf8) + Base64.encode(try Digest.hmacSHA256(key: key, message))
    } catch {
      return []
    }
  }
}
