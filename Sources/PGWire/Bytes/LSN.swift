/// A position in the write-ahead log, as PostgreSQL counts it: bytes since the cluster began.
///
/// Written as two hexadecimal halves, "16/B374D848" (manual: "pg_lsn Type").
public struct LSN: Hashable, Comparable, Sendable {
  /// The position in bytes.
  public var value: UInt64

  /// Makes the position at that many bytes.
  @inlinable public init(_ value: UInt64) { self.value = value }

  /// The position that stands for "none": 0/0 is never the start of a record.
  public static let zero = LSN(0)

  /// Orders by position.
  @inlinable public static func < (a: LSN, b: LSN) -> Bool { a.value < b.value }
}

extension LSN: LosslessStringConvertible {
  /// Reads PostgreSQL's text, "X/X" with 1 to 8 hexadecimal digits in each half.
  public init?(_ description: String) {
    let halves = description.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2, let high = Self.half(halves[0]), let low = Self.half(halves[1]) else {
      return nil
    }
    self.init(UInt64(high) << 32 | UInt64(low))
  }

  /// PostgreSQL's text of the position: upper case, no leading zeros.
  public var description: String {
    String(value >> 32, radix: 16, uppercase: true) + "/"
      + String(value & 0xFFFF_FFFF, radix: 16, uppercase: true)
  }

  private static func half(_ text: Substring) -> UInt32? {
    guard (1...8).contains(text.utf8.count), text.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D })
    else { return nil }
    return UInt32(text, radix: 16)
  }
}
