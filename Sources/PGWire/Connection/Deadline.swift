/// The moment at which waiting ends, or none.
struct Deadline: Sendable {
  private let instant: ContinuousClock.Instant?
  /// Ends the waiting before that moment.
  let interruption: WaitBreaker?

  /// Waiting that never ends by itself.
  static let never = Deadline(instant: nil, nil)

  private init(instant: ContinuousClock.Instant?, _ interruption: WaitBreaker?) {
    self.instant = instant
    self.interruption = interruption
  }

  /// That long after now; nil means never.
  init(after duration: Duration?, _ interruption: WaitBreaker? = nil) {
    self.init(instant: duration.map { ContinuousClock.now + $0 }, interruption)
  }

  /// Whichever comes first, this one or that long after now.
  func earlier(after duration: Duration?) -> Deadline {
    guard let duration else { return self }
    let other = ContinuousClock.now + duration
    return Deadline(instant: instant.map { min($0, other) } ?? other, interruption)
  }

  /// The end of an equal share of the time left, when it is for that many tries.
  func share(among tries: Int) -> Deadline {
    guard let instant, tries > 1 else { return self }
    let now = ContinuousClock.now
    return Deadline(instant: now + max(instant - now, .zero) / tries, interruption)
  }

  /// Whether the moment has come.
  var hasPassed: Bool {
    interruption?.hasCome == true || instant.map { $0 <= .now } ?? false
  }

  /// The time left as poll(2) takes it: milliseconds rounded up, -1 for ever; no longer than an
  /// interruption may wait.
  var pollTimeout: Int32 {
    let most = interruption.map { $0.hasCome ? 0 : WaitBreaker.interval }
    guard let instant else { return most ?? -1 }
    let left = instant - .now
    guard left > .zero else { return 0 }
    let milliseconds = (left + .microseconds(999)) / .milliseconds(1)
    return min(Int32(min(milliseconds, 1_000_000_000)), most ?? .max)
  }
}
