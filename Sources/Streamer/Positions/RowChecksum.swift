/// The checksum over a stored row: a flipped bit of a position still reads as a position.
///
/// CRC-32 as in Ethernet (polynomial 0x04C11DB7, reflected): it finds every change within 32
/// neighbouring bits. Each value goes in with its kind and length, so that none can lend bytes to
/// the next.
enum RowChecksum {
  /// The checksum of a row's values, in their order.
  static func of(_ values: [SQLiteDatabase.Value]) -> Int64 {
    var register: UInt32 = 0xFFFF_FFFF
    for value in values {
      switch value {
      case .null: add([0], to: &register)
      case .integer(let number):
        add([1], to: &register)
        add(bytes(of: UInt64(bitPattern: number)), to: &register)
      case .text(let text):
        add([2], to: &register)
        add(bytes(of: UInt64(text.utf8.count)), to: &register)
        add(text.utf8, to: &register)
      case .blob(let blob):
        add([3], to: &register)
        add(bytes(of: UInt64(blob.count)), to: &register)
        add(blob, to: &register)
      }
    }
    return Int64(~register)
  }

  private static func bytes(of number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }

  private static func add(_ bytes: some Sequence<UInt8>, to register: inout UInt32) {
    for byte in bytes {
      register ^= UInt32(byte)
      for _ in 0..<8 {
        register = register & 1 == 1 ? register >> 1 ^ 0xEDB8_8320 : register >> 1
      }
    }
  }
}
