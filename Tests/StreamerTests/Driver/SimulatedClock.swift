import Synchronization

/// The time of a simulation, which its worker shares.
final class SimulatedClock: Sendable {
  private let time = Mutex(ContinuousClock.now)

  var now: ContinuousClock.Instant {
    get { time.withLock { $0 } }
    set { time.withLock { $0 = newValue } }
  }
}
