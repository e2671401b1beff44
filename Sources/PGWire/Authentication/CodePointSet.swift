/// A set of code points, kept as the text that `Scripts/unicode-tables.py` writes.
///
/// Each token, between single spaces: the distance from the end of the last range, then "-" and how
/// many more follow if there are any; hexadecimal. It is read anew for every question: passwords
/// outside ASCII are rare, and so the tables cost no memory beyond the binary's own.
struct CodePointSet: Sendable {
  private let ranges: StaticString

  /// Takes a generated table.
  init(_ ranges: StaticString) { self.ranges = ranges }

  /// Whether the code point belongs to the set.
  func contains(_ scalar: Unicode.Scalar) -> Bool {
    var reader = TableReader(ranges)
    var last: UInt32 = 0
    while let distance = reader.number() {
      let low = last + distance
      last = low
      if reader.skip("-"), let more = reader.number() { last += more }
      if scalar.value <= last { return scalar.value >= low }
      _ = reader.skip(" ")
    }
    return false
  }
}

/// Walks over a generated table of hexadecimal numbers and punctuation.
struct TableReader {
  private let table: StaticString
  private var position = 0

  /// Starts at the beginning of a table.
  init(_ table: StaticString) { self.table = table }

  private var byte: UInt8? {
    guard position < table.utf8CodeUnitCount else { return nil }
    // SAFETY: the position lies within the literal's code units.
    return unsafe table.utf8Start[position]
  }

  /// Steps over this character if it is the next one.
  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard byte == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Reads a number; nil when there is none.
  mutating func number() -> UInt32? {
    var value: UInt32?
    while let byte, let digit = Self.digit(byte) {
      value = (value ?? 0) << 4 | digit
      position += 1
    }
    return value
  }

  private static func digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x41...0x46: UInt32(byte - 0x41 + 10)
    default: nil
    }
  }
}
