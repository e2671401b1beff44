import Glibc

/// Asks again and again until the answer is yes.
///
/// The limit is a safety net against hanging for ever, not a claim about speed: choose it generously.
///
/// - Parameters:
///   - limit: how long to try.
///   - interval: the pause between two tries.
///   - what: names the thing that did not come, in the error.
/// - Throws: `SupportError` at the end of the limit, and whatever `condition` throws.
public func eventually(
  within limit: Duration = .seconds(60), every interval: Duration = .milliseconds(50),
  _ what: @autoclosure () -> String = "the condition", _ condition: () throws -> Bool
) throws {
  let deadline = ContinuousClock.now + limit
  while true {
    if try condition() { return }
    guard ContinuousClock.now < deadline else {
      throw SupportError("\(what()) did not come about within \(limit)")
    }
    usleep(UInt32(clamping: interval / .microseconds(1)))
  }
}

extension Duration {
  /// The quotient, rounded down.
  fileprivate static func / (left: Duration, right: Duration) -> Int64 {
    let (seconds, attoseconds) = left.components
    let unit =
      right.components.seconds * 1_000_000_000 + right.components.attoseconds / 1_000_000_000
    return (seconds * 1_000_000_000 + attoseconds / 1_000_000_000) / max(unit, 1)
  }
}

/// Sleeps this thread.
public func pause(_ duration: Duration) {
  usleep(UInt32(clamping: duration / .microseconds(1)))
}
