import KafkaBridge

/// A schema that a registry has refused, and that records are held with until it takes it.
///
/// Such records name it by a number of the quarantine's own, from ``first`` on: registries count from 1
/// on, and do not come so far.
struct HeldSchema: Hashable, Sendable {
  /// The first number that no registry gives.
  static let first = UInt32(Int32.max) + 1

  /// What it is written in.
  var kind: RegisteredSchema.Kind
  /// What it is to be registered under.
  var subject: String
  /// The schema itself.
  var text: String
}

extension HeldRecord {
  /// The quarantine's numbers that its key and its value name.
  var heldNumbers: [UInt32] { [key, value].compactMap { $0.flatMap(Self.heldNumber) } }

  /// Names schemas by other numbers, and with another key goes to that key's partition; one that
  /// something else decides stays.
  mutating func rename(_ numbers: [UInt32: UInt32]) {
    value = value.map { Self.renamed($0, numbers) }
    guard let key else { return }
    let new = Self.renamed(key, numbers)
    if partitionHash == Self.hash(key) { partitionHash = Self.hash(new) }
    self.key = new
  }

  /// The number behind the zero that such bytes begin with.
  private static func heldNumber(_ bytes: [UInt8]) -> UInt32? {
    guard bytes.count >= 5, bytes[0] == 0 else { return nil }
    let number = bytes[1...4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return number > HeldSchema.first ? number : nil
  }

  private static func renamed(_ bytes: [UInt8], _ numbers: [UInt32: UInt32]) -> [UInt8] {
    guard let number = heldNumber(bytes), let other = numbers[number] else { return bytes }
    var bytes = bytes
    for (place, shift) in zip(1...4, [24, 16, 8, 0] as [UInt32]) {
      bytes[place] = UInt8(other >> shift & 0xFF)
    }
    return bytes
  }

  private static func hash(_ bytes: [UInt8]) -> Int32 {
    // SAFETY: the pointer does not leave the closure.
    unsafe bytes.withUnsafeBytes { unsafe Murmur2.hash($0) }
  }
}
