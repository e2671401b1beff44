/// The moment at which waiting ends, or none.
struct Deadline: Sendable {
  private let instant: ContinuousClock.Instant?

  /// Waiting that never ends by itself.
  static let never = Deadline(instant: nil)

  private init(instant: ContinuousClock.Instant?) { self.instant = instant }

  /// That long after now; nil means never.
  init(after duration: Duration?) { instant = duration.map { ContinuousClock.now + $0 } }

  /// Whichever comes first, this one or that long after now.
  func earlier(after duration: Duration?) -> Deadline {
    guard let duration else { return self }
    let other = ContinuousClock.now + duration
    guard let instant else { return Deadline(instant: other) }
    return Deadline(instant: min(instant, other))
  }

  /// The end of an equal share of the time left, when it is for that many tries.
  func share(among tries: Int) -> Deadline {
    guard let instant, tries > 1 else { return self }
    let now = ContinuousClock.now
    return Deadline(instant: now + max(instant - now, .zero) / tries)
  }

  /// Whether the moment has come.
  var hasPassed: Bool { instant.map { $0 <= .now } ?? false }

  /// The time left as poll(2) takes it: milliseconds rounded up, -1 for ever.
  var pollTimeout: Int32 {
    guard let instant else { return -1 }
    let left = instant - .now
    guard left > .zero else { return 0 }
    let milliseconds = (left + .microseconds(999)) / .milliseconds(1)
    return Int32(min(milliseconds, 1_000_000_000))
  }
}
