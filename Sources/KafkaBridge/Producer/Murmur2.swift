/// The hash by which Java's clients choose a partition, so that every consumer finds its keys where
/// it expects them.
///
/// Kafka's `org.apache.kafka.common.utils.Utils.murmur2`: 32 bits, seed 0x9747b28c, little endian.
public enum Murmur2 {
  /// The hash of a key's bytes, signed as in Java.
  @inlinable public static func hash(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    let multiplier: UInt32 = 0x5bd1_e995
    let count = bytes.count
    var hash: UInt32 = 0x9747_b28c ^ UInt32(truncatingIfNeeded: count)
    var at = 0
    while count &- at >= 4 {
      // SAFETY: four bytes are left.
      var word = unsafe UInt32(
        littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      word = word &* multiplier
      word ^= word >> 24
      word = word &* multiplier
      hash = hash &* multiplier
      hash ^= word
      at &+= 4
    }
    if at < count {
      if count &- at == 3 { unsafe hash ^= UInt32(bytes[at &+ 2]) << 16 }
      if count &- at >= 2 { unsafe hash ^= UInt32(bytes[at &+ 1]) << 8 }
      unsafe hash ^= UInt32(bytes[at])
      hash = hash &* multiplier
    }
    hash ^= hash >> 13
    hash = hash &* multiplier
    hash ^= hash >> 15
    return Int32(bitPattern: hash)
  }

  /// The hash of a key's bytes, signed as in Java.
  @inlinable public static func hash(_ bytes: RawSpan) -> Int32 {
    // SAFETY: the pointer does not leave the closure.
    unsafe bytes.withUnsafeBytes { unsafe hash($0) }
  }

  /// The partition of a key in a topic of `partitionCount` partitions.
  @inlinable public static func partition(
    of key: UnsafeRawBufferPointer, partitionCount: Int
  ) -> Int32 {
    precondition(partitionCount > 0, "a topic has at least one partition")
    // Java's "toPositive": the sign bit is cleared, not the number negated.
    return unsafe Int32(truncatingIfNeeded: Int(hash(key) & 0x7fff_ffff) % partitionCount)
  }

  /// The partition of a key in a topic of `partitionCount` partitions.
  @inlinable public static func partition(of key: RawSpan, partitionCount: Int) -> Int32 {
    // SAFETY: the pointer does not leave the closure.
    unsafe key.withUnsafeBytes { unsafe partition(of: $0, partitionCount: partitionCount) }
  }
}
