/// How long to wait before the next attempt: doubling, bounded, and spread so that many instances
/// do not come back at the same moment.
struct Backoff {
  /// The first pause.
  let first: Duration
  /// The longest pause.
  let longest: Duration
  private var failures = 0

  init(first: Duration = Limits.firstRetry, longest: Duration) {
    self.first = min(first, longest)
    self.longest = longest
  }

  /// The pause before the next attempt, between half of it and the whole.
  mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
    var pause = first
    for _ in 0..<min(failures, 30) where pause < longest { pause = min(pause * 2, longest) }
    failures += 1
    return pause * Double.random(in: 0.5...1, using: &random)
  }

  /// An attempt succeeded: the next failure begins anew.
  mutating func reset() { failures = 0 }
}
