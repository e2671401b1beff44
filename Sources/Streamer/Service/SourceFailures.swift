/// What becomes of a process whose sources fail: which of them go on, and how it ends.
///
/// Without threads and clocks of its own: ``Service`` tells it what happens and does what it says.
struct SourceFailures {
  typealias Instant = ContinuousClock.Instant

  /// What a source is seen doing.
  struct Sight {
    /// Whether changes have flowed, or it waits for the slot or a failover.
    var isIn: Bool
    /// Why it has not come so far; nil while its first attempt is under way.
    var trouble: String?
  }

  /// Whether the others go on when one has failed.
  private let isolates: Bool
  /// When a start in which no source came through is given up; nil when that is over.
  private(set) var deadline: Instant?
  /// Whether everything is on its way to the end.
  private(set) var isStopping = false
  /// How the process ends.
  private(set) var code = StreamerError.Exit.done.rawValue

  /// `startTimeout` is nil where each source has its own, or none.
  init(isolates: Bool, startTimeout: Duration?, now: Instant) {
    self.isolates = isolates
    deadline = startTimeout.map { now + $0 }
  }

  /// Somebody wants everything to end.
  mutating func stopRequested() { isStopping = true }

  /// A source has ended with an error; whether that is still to be said: what fails later was said
  /// by the pipeline itself.
  mutating func failed(_ error: StreamerError, hadStarted: Bool) -> Bool {
    let isAtStart = !hadStarted && !isStopping
    // A restart would shut the other one out again: whenever it is found, that is for a person.
    add(isAtStart || error.exit == .fenced ? error.exit : .failure)
    if !isolates { isStopping = true }
    return isAtStart
  }

  /// Time has passed: gives what to say of a start in which no source came through; it is over then.
  mutating func expired(_ sources: [(name: String, sight: Sight)], now: Instant) -> [String] {
    guard let due = deadline, now >= due, !isStopping else { return [] }
    if sources.isEmpty || sources.contains(where: \.sight.isIn) {
      deadline = nil
      return []
    }
    let troubles = sources.compactMap(\.sight.trouble)
    guard troubles.count == sources.count else {
      deadline = now + Limits.longestSleep
      return []
    }
    deadline = nil
    isStopping = true
    add(.failure)
    return troubles
  }

  /// What may pass by itself counts before what does not: then a restart may help.
  private mutating func add(_ exit: StreamerError.Exit) {
    let failure = StreamerError.Exit.failure.rawValue
    code = code == failure ? code : exit == .failure ? failure : max(code, exit.rawValue)
  }
}
