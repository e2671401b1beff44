import PGWire

/// The cyclic redundancy check of RFC 3720 (Castagnoli's polynomial), which PostgreSQL's WAL uses
/// too.
public enum CRC32C {
  /// The remainders of four bytes at a time: table 0 is that of a byte, table n of a byte that n
  /// zero bytes follow.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 1024)
    for byte in 0..<256 {
      var remainder = UInt32(byte)
      for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0) }
      tables[byte] = remainder
    }
    for index in 256..<1024 {
      let shorter = tables[index - 256]
      tables[index] = shorter >> 8 ^ tables[Int(shorter & 0xFF)]
    }
    return tables
  }()

  /// The checksum of `bytes`.
  public static func checksum(of bytes: RawSpan) -> UInt32 {
    let tables = Self.tables
    var remainder = UInt32.max
    var offset = 0
    while bytes.byteCount - offset >= 4 {
      // SAFETY: the condition leaves four bytes from offset on.
      let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)
      remainder ^= UInt32(littleEndian: word)
      remainder =
        tables[Int(768 + (remainder & 0xFF))] ^ tables[Int(512 + (remainder >> 8 & 0xFF))]
        ^ tables[Int(256 + (remainder >> 16 & 0xFF))] ^ tables[Int(remainder >> 24)]
      offset += 4
    }
    while offset < bytes.byteCount {
      remainder = remainder >> 8 ^ tables[Int((remainder ^ UInt32(bytes[offset])) & 0xFF)]
      offset += 1
    }
    return ~remainder
  }
}
