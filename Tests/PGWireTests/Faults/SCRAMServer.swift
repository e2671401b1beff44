@testable import PGWire

/// A server's side of SCRAM-SHA-256 as RFC 5802 has it, or with one thing wrong.
struct SCRAMServer: Sendable {
  /// What the server's nonce is.
  enum Nonce: Sendable {
    /// The client's, with more behind.
    case extended
    /// The client's alone.
    case unextended
    /// Another one.
    case foreign
  }

  var password = "p"
  var salt = Array("salt".utf8)
  var iterations = "1"
  var nonce = Nonce.extended
  /// What is sent instead of the server-final message.
  var final: String?
  /// Whether one bit of the signature is wrong.
  var hasWrongSignature = false

  /// The turns of the exchange, up to the server-final message and without what follows it.
  func turns(then rest: [UInt8]) -> [FaultyServer.Turn] {
    [
      .packet,
      .send(Scripted.message("R", [0, 0, 0, 10] + Array("SCRAM-SHA-256\0\0".utf8))),
      .message, .answer { Scripted.message("R", [0, 0, 0, 11] + first(Self.initial($0[1]))) },
      .message,
      .answer {
        let outcome = last(Self.initial($0[1]), Array($0[2].dropFirst(5)))
        return Scripted.message("R", [0, 0, 0, 12] + outcome) + rest
      },
    ]
  }

  /// The client-first message without its header, from the whole SASLInitialResponse.
  private static func initial(_ message: [UInt8]) -> [UInt8] {
    Array(message.dropFirst(5 + "SCRAM-SHA-256\0".utf8.count + 4 + "n,,".utf8.count))
  }

  private func first(_ initial: [UInt8]) -> [UInt8] {
    let theirs = Array(initial.dropFirst("n=,r=".utf8.count))
    let ours: [UInt8] =
      switch nonce {
      case .extended: theirs + Array("server".utf8)
      case .unextended: theirs
      case .foreign: Array("foreign".utf8) + theirs.reversed()
      }
    return Array("r=".utf8) + ours + Array(",s=".utf8) + Base64.encode(salt)
      + Array(",i=\(iterations)".utf8)
  }

  private func last(_ initial: [UInt8], _ response: [UInt8]) -> [UInt8] {
    if let final { return Array(final.utf8) }
    // No client gets here with another count.
    guard let rounds = Int(iterations), (1...100_000).contains(rounds) else { return [] }
    let text = String(decoding: response, as: UTF8.self)
    let withoutProof = text.split(separator: ",").dropLast().joined(separator: ",")
    let comma = [UInt8(ascii: ",")]
    let signed = initial + comma + first(initial) + comma + Array(withoutProof.utf8)
    do {
      let salted = try Digest.pbkdf2SHA256(
        password: Array(password.utf8), salt: salt, iterations: rounds)
      let key = try Digest.hmacSHA256(key: salted, Array("Server Key".utf8))
      var signature = try Digest.hmacSHA256(key: key, signed)
      if hasWrongSignature { signature[0] ^= 1 }
      return Array("v=".utf8) + Base64.encode(signature)
    } catch { preconditionFailure("OpenSSL has SHA-256") }
  }
}
