/// New setups of a driver's lanes on their way in, without sockets, clocks or threads.
///
/// They are wanted since a reload, agreed to by the sinks while changes flow, and taken over between
/// two transactions.
/// Whatever goes wrong before they are taken over (a lost connection, a sink that is made anew) only
/// means that the sinks are asked again. The last setups that are wanted win.
struct LaneReload {
  typealias Instant = ContinuousClock.Instant

  /// Setups that the sinks have topics for.
  struct Agreement {
    let setups: [LaneSetup]
    /// Where each lane's logical messages go.
    let messageTopics: [TopicID?]
    let policy: TablePolicy
  }

  /// A question to the sinks.
  struct Question: Sendable {
    let setups: [LaneSetup]
    /// The lanes' sinks that were asked: the topics' numbers are theirs.
    let generations: [Int]
  }

  private enum Wish {
    case none
    /// Setups that the sinks have not agreed to; they are asked then, or at once.
    case wanted([LaneSetup], next: Instant?)
    case agreed(Agreement)
  }

  private var wish = Wish.none
  /// Whether the sinks have not answered the last question, whatever has become of it.
  private var isAsking = false

  /// Setups are wanted in the place of those that there are.
  mutating func request(_ setups: [LaneSetup]) { wish = .wanted(setups, next: nil) }

  /// What is to be taken over as soon as no transaction is open.
  var agreed: Agreement? { if case .agreed(let agreement) = wish { agreement } else { nil } }

  /// Whether setups are wanted that are not taken over.
  var isPending: Bool { if case .none = wish { false } else { true } }

  /// When ``question(of:now:)`` has something to ask by time alone.
  var deadline: Instant? {
    if !isAsking, case .wanted(_, let next) = wish { next } else { nil }
  }

  /// What the sinks are to be asked now, by the worker.
  mutating func question(of generations: [Int], now: Instant) -> Question? {
    guard !isAsking, case .wanted(let setups, let next) = wish, next.map({ now >= $0 }) ?? true
    else { return nil }
    isAsking = true
    return Question(setups: setups, generations: generations)
  }

  /// The sinks have answered; gives why the setups are refused, when they are.
  ///
  /// An answer for other setups than those that are wanted now, or from sinks that were replaced
  /// since, says nothing.
  mutating func answered(
    _ question: Question, _ result: Result<[TopicID?], StreamerError>, policy: TablePolicy,
    generations: [Int], now: Instant
  ) -> StreamerError? {
    isAsking = false
    guard case .wanted(let setups, _) = wish, setups == question.setups,
      generations == question.generations
    else { return nil }
    switch result {
    case .success(let topics):
      wish = .agreed(Agreement(setups: setups, messageTopics: topics, policy: policy))
    case .failure(let error) where error.isRetryable:
      wish = .wanted(setups, next: now + Limits.reloadRetry)
    case .failure(let error):
      wish = .none
      return error
    }
    return nil
  }

  /// The connection is given up: what was agreed on may not be so any more.
  mutating func interrupted() {
    if case .agreed(let agreement) = wish { wish = .wanted(agreement.setups, next: nil) }
  }

  /// The setups have been taken over.
  mutating func adopted() { wish = .none }
}
