import Synchronization

/// Ends the waiting of whoever shares it, from any thread and for good, or as long as a condition
/// holds: a stop need not wait until a server answers.
public final class WaitBreaker: Sendable {
  /// How often those who wait look at it, in milliseconds.
  static let interval: Int32 = 100

  private let flag = Atomic<Bool>(false)

  private let condition: @Sendable () -> Bool

  /// Makes one that has not come; it has come also while `condition` holds, which may be asked at
  /// any time from any thread.
  public init(orWhile condition: @escaping @Sendable () -> Bool = { false }) {
    self.condition = condition
  }

  /// From now on every wait is over.
  public func interrupt() { flag.store(true, ordering: .releasing) }

  /// Whether it has come.
  public var hasCome: Bool { flag.load(ordering: .acquiring) || condition() }

  /// One that comes that long after this one was seen to have come.
  public func later(by delay: Duration) -> WaitBreaker {
    let first = FirstSight()
    return WaitBreaker { self.hasCome && first.sight(.now) + delay <= .now }
  }
}

/// When something was seen for the first time.
private final class FirstSight: Sendable {
  private let moment = Mutex<ContinuousClock.Instant?>(nil)

  func sight(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant {
    moment.withLock { moment in
      let first = moment ?? now
      moment = first
      return first
    }
  }
}
