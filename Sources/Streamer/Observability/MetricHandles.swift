/// A count that only rises.
///
/// A class, because the registry and the writer share it.
final class Counter: Sendable {
  private let count = AtomicCounter()

  /// The count now.
  var value: UInt64 { count.value }

  /// Raises the count; lock-free.
  @inline(__always)
  func add(_ amount: UInt64 = 1) { count.add(amount) }
}

/// A value that rises and falls.
///
/// A class, because the registry and the writer share it.
final class Gauge: Sendable {
  private let fraction = AtomicFraction()

  /// The value now.
  var value: Double { fraction.value }

  /// Replaces the value; lock-free.
  func set(_ value: Double) { fraction.set(value) }

  /// Replaces the value with a whole number.
  func set(_ value: some BinaryInteger) { fraction.set(Double(value)) }

  /// Adds to the value; lock-free.
  func add(_ amount: Double) { fraction.add(amount) }
}

/// How often values fell below each of some bounds.
///
/// A class, because the registry and the writer share it.
final class Histogram: Sendable {
  /// The upper bounds, rising, without infinity.
  let bounds: [Double]
  // One more than bounds: the last one is above all of them.
  private let counts: [Counter]
  private let total = AtomicFraction()

  /// Makes an empty histogram with these rising bounds.
  init(bounds: [Double]) {
    precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds must rise")
    self.bounds = bounds
    counts = (0...bounds.count).map { _ in Counter() }
  }

  /// Counts a value `count` times; lock-free and without allocation.
  func observe(_ value: Double, count: UInt64 = 1) {
    place(of: value).add(count)
    total.add(value * Double(count))
  }

  /// Counts `count` values of which only the sum is known: each by their mean, so that the sum is
  /// right and the counts nearly so.
  ///
  /// A sum below zero, as from clocks that disagree, counts as zero.
  func observe(latencySum sum: Double, count: UInt64) {
    guard count > 0 else { return }
    let sum = max(sum, 0)
    place(of: sum / Double(count)).add(count)
    total.add(sum)
  }

  private func place(of value: Double) -> Counter {
    var index = 0
    while index < bounds.count, value > bounds[index] { index += 1 }
    return counts[index]
  }

  /// The sum of all values.
  var sum: Double { total.value }

  /// How many values were at most each bound, and at the end how many there were at all.
  var cumulativeCounts: [UInt64] {
    var sum: UInt64 = 0
    return counts.map { counter in
      sum += counter.value
      return sum
    }
  }

  /// The bounds of Prometheus' own clients, in seconds; the old psql-streamer had them.
  static let defaultSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  /// Bounds for what should take milliseconds and may take an outage, in seconds.
  static let latencySeconds = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300,
  ]
  /// Bounds for rows in a transaction.
  static let rows = [
    1.0, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 100_000, 1_000_000, 10_000_000,
  ]
}
