import Synchronization

/// Ends the waiting of whoever shares it, from any thread and for good: a stop need not wait until
/// a server answers.
public final class WaitBreaker: Sendable {
  /// How often those who wait look at it, in milliseconds.
  static let interval: Int32 = 100

  private let flag = Atomic<Bool>(false)

  /// Makes one that has not come.
  public init() {}

  /// From now on every wait is over.
  public func interrupt() { flag.store(true, ordering: .releasing) }

  /// Whether it has come.
  public var hasCome: Bool { flag.load(ordering: .acquiring) }
}
