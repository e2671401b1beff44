import COpenSSL

/// The digests that authentication needs, all of them OpenSSL's.
enum Digest {
  /// SHA-256 of the bytes, 32 bytes.
  static func sha256(_ bytes: [UInt8]) throws(PGError) -> [UInt8] {
    try unsafe digest(bytes, EVP_sha256(), name: "SHA-256")
  }

  /// MD5 of the bytes, 16 bytes; throws where OpenSSL's policy forbids MD5.
  static func md5(_ bytes: [UInt8]) throws(PGError) -> [UInt8] {
    try unsafe digest(bytes, EVP_md5(), name: "MD5")
  }

  /// HMAC with SHA-256 (RFC 2104), 32 bytes.
  static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) throws(PGError) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    // SAFETY: the pointers live for the call; OpenSSL writes the digest's 32 bytes.
    let done = unsafe HMAC(
      EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &result, &length)
    guard unsafe done != nil, length == 32 else { throw unavailable("HMAC-SHA-256") }
    return result
  }

  /// PBKDF2 with HMAC-SHA-256 (RFC 8018), which SCRAM calls `Hi`; 32 bytes.
  ///
  /// The time it takes grows with `iterations`, which the caller has bounded.
  static func pbkdf2SHA256(
    password: [UInt8], salt: [UInt8], iterations: Int
  ) throws(PGError) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    let done = unsafe password.withUnsafeBytes { secret in
      // SAFETY: the pointers live for the call; OpenSSL writes 32 bytes. An empty array's pointer
      // may be nil, for which OpenSSL takes the length 0.
      unsafe PKCS5_PBKDF2_HMAC(
        secret.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(secret.count),
        salt, Int32(salt.count), Int32(iterations), EVP_sha256(), 32, &result)
    }
    guard done == 1 else { throw unavailable("PBKDF2") }
    return result
  }

  /// Whether two digests are equal, in a time that does not tell where they differ.
  static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    // SAFETY: both have a.count bytes.
    return unsafe CRYPTO_memcmp(a, b, a.count) == 0
  }

  private static func digest(
    _ bytes: [UInt8], _ type: OpaquePointer?, name: String
  ) throws(PGError) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    // SAFETY: the pointers live for the call; a digest has at most EVP_MAX_MD_SIZE bytes.
    let done = unsafe EVP_Digest(bytes, bytes.count, &result, &length, type, nil)
    guard done == 1 else { throw unavailable(name) }
    return Array(result.prefix(Int(length)))
  }

  private static func unavailable(_ name: String) -> PGError {
    ERR_clear_error()
    return .authentication(
      "OpenSSL refuses \(name): its policy forbids it. Use another authentication method")
  }
}
