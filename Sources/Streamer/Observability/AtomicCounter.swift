import Synchronization

/// A number that one thread writes and others read, without a lock.
///
/// The readers want a recent value and no order between several of them, so everything is
/// relaxed.
struct AtomicCounter: ~Copyable, Sendable {
  private let raw = Atomic<UInt64>(0)

  /// The number now.
  var value: UInt64 { raw.load(ordering: .relaxed) }

  /// Adds to the number; several threads may do so.
  @inline(__always)
  func add(_ count: UInt64 = 1) { raw.wrappingAdd(count, ordering: .relaxed) }

  /// Replaces the number.
  func set(_ value: UInt64) { raw.store(value, ordering: .relaxed) }
}

/// A fraction that several threads may change, without a lock.
struct AtomicFraction: ~Copyable, Sendable {
  // The bits of a Double.
  private let raw = Atomic<UInt64>(0)

  /// The number now.
  var value: Double { Double(bitPattern: raw.load(ordering: .relaxed)) }

  /// Replaces the number.
  func set(_ value: Double) { raw.store(value.bitPattern, ordering: .relaxed) }

  /// Adds to the number.
  func add(_ amount: Double) {
    var before = raw.load(ordering: .relaxed)
    while true {
      let after = (Double(bitPattern: before) + amount).bitPattern
      let (exchanged, original) = raw.weakCompareExchange(
        expected: before, desired: after, ordering: .relaxed)
      if exchanged { return }
      before = original
    }
  }
}
