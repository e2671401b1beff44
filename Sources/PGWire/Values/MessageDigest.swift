import COpenSSL

/// A digest of bytes that come in pieces, by any algorithm that OpenSSL has: made once, used again
/// for each digest, for which OpenSSL itself allocates once.
@safe public final class MessageDigest {
  /// How many bytes a digest has at most.
  private static let longest = Int(EVP_MAX_MD_SIZE)
  private let method: OpaquePointer
  private let context: OpaquePointer

  /// Makes the digest of an algorithm, "SHA-256" or "MD5"; nil when OpenSSL does not have it.
  public init?(_ algorithm: String) {
    guard let method = unsafe EVP_MD_fetch(nil, algorithm, nil) else { return nil }
    guard let context = unsafe EVP_MD_CTX_new() else {
      unsafe EVP_MD_free(method)
      return nil
    }
    unsafe self.method = method
    unsafe self.context = context
  }

  deinit {
    unsafe EVP_MD_CTX_free(context)
    unsafe EVP_MD_free(method)
  }

  /// Begins a new digest.
  public func begin() {
    let result = unsafe EVP_DigestInit_ex2(context, method, nil)
    precondition(result == 1, "OpenSSL cannot begin a digest")
  }

  /// Adds bytes to it.
  public func add(_ bytes: RawSpan) {
    // SAFETY: the bytes are only read, while the closure runs.
    let result = unsafe bytes.withUnsafeBytes {
      unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
    }
    precondition(result == 1, "OpenSSL cannot take bytes of a digest")
  }

  /// Ends it, and gives its bytes.
  public func end() -> [UInt8] {
    // SAFETY: the room is that of the longest digest there is, and the size is what was written.
    unsafe [UInt8](unsafeUninitializedCapacity: Self.longest) { room, count in
      var size: UInt32 = 0
      let result = unsafe EVP_DigestFinal_ex(context, room.baseAddress, &size)
      precondition(result == 1, "OpenSSL cannot end a digest")
      count = Int(size)
    }
  }

  /// Ends it, and appends it in hexadecimal digits.
  public func end(into writer: inout ByteWriter) {
    // SAFETY: the room is that of the longest digest there is, and the size is what was written.
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.longest) { room in
      var size: UInt32 = 0
      let result = unsafe EVP_DigestFinal_ex(context, room.baseAddress, &size)
      precondition(result == 1, "OpenSSL cannot end a digest")
      for offset in 0..<Int(size) {
        let byte = unsafe room[offset]
        writer.append(Self.digit(byte >> 4))
        writer.append(Self.digit(byte & 15))
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 &+ value : 0x61 &+ value &- 10
  }
}
