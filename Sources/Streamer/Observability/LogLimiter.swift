/// Lets a few lines a second of each kind into the log, and counts the others.
///
/// What a server says may come as fast as it likes, and a log must not.
struct LogLimiter {
  /// Lines of one kind that are written in a second.
  static let linesPerSecond = 5
  /// Kinds that are told apart; what comes beyond shares one.
  static let kinds = 1000

  private struct Window {
    var start: ContinuousClock.Instant
    var written = 0
    var left = 0
  }

  private var windows: [String: Window] = [:]

  /// Whether a line of this kind may be written, and how many of it were left out since the last
  /// one was; nil when it may not.
  mutating func admit(_ kind: String, now: ContinuousClock.Instant) -> Int? {
    let kind = windows[kind] != nil || windows.count < Self.kinds ? kind : ""
    var window = windows[kind] ?? Window(start: now)
    defer { windows[kind] = window }
    if now - window.start >= Limits.logWindow {
      window.start = now
      window.written = 0
    }
    guard window.written < Self.linesPerSecond else {
      window.left += 1
      return nil
    }
    window.written += 1
    defer { window.left = 0 }
    return window.left
  }
}
