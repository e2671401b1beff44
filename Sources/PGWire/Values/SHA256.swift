import COpenSSL

/// SHA-256 of bytes that are at hand as a whole.
public enum SHA256 {
  /// How many bytes a digest has.
  public static let byteCount = 32

  // Fetched once: EVP_sha256() looks the implementation up, under a lock, at every digest.
  // SAFETY: constant after its first use, and OpenSSL's methods may be used by any thread.
  private static nonisolated(unsafe) let method = unsafe EVP_MD_fetch(nil, "SHA256", nil)

  /// The digest of `bytes`: 32 bytes.
  public static func digest(of bytes: [UInt8]) -> [UInt8] {
    var size: UInt32 = 0
    var digest = [UInt8](repeating: 0, count: byteCount)
    // SAFETY: the digest has 32 bytes, for which there is room; the input is only read.
    let result = unsafe EVP_Digest(bytes, bytes.count, &digest, &size, method, nil)
    precondition(result == 1 && size == byteCount, "OpenSSL has no SHA-256")
    return digest
  }
}
