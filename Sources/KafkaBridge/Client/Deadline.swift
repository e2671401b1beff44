import Glibc

/// A moment up to which a blocking call may wait.
struct Deadline {
  private let end: ContinuousClock.Instant

  /// Makes the moment `timeout` from now.
  init(_ timeout: Duration) { end = ContinuousClock.now + timeout }

  /// Whether the moment has come.
  var isPast: Bool { ContinuousClock.now >= end }

  /// The whole milliseconds that are left, at least 0 and at most `limit`, as C wants them.
  func milliseconds(atMost limit: CInt = .max) -> CInt {
    let left = end - ContinuousClock.now
    guard left > .zero else { return 0 }
    let (seconds, attoseconds) = left.components
    // A timeout of years would overflow; nobody waits longer than the limit anyway.
    guard seconds < 1_000_000 else { return limit }
    let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1
    return CInt(clamping: min(milliseconds, Int64(limit)))
  }
}

/// Sleeps between two tries of something that answers "not yet" at once.
func pause(milliseconds: Int) {
  var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
  _ = unsafe nanosleep(&time, nil)
}
