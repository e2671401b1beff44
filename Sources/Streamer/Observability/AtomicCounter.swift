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

/// A moment that one thread sets and others read, without a lock; it may be none.
struct AtomicInstant: ~Copyable, Sendable {
  // Instants are kept as nanoseconds since this one; zero stands for none.
  private let epoch = ContinuousClock.now
  private let nanoseconds = AtomicCounter()

  /// The moment now.
  var value: ContinuousClock.Instant? {
    let count = nanoseconds.value
    return count == 0 ? nil : epoch.advanced(by: .nanoseconds(Int64(clamping: count)))
  }

  /// Replaces the moment; what lies before this value was made counts as that time.
  func set(_ instant: ContinuousClock.Instant?) {
    guard let instant else { return nanoseconds.set(0) }
    let (seconds, attoseconds) = (instant - epoch).components
    nanoseconds.set(UInt64(max(1, seconds * 1_000_000_000 + attoseconds / 1_000_000_000)))
  }
}
