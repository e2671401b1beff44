import Synchronization

@testable import Streamer

/// The I/O worker of a simulated driver: its work is done when the simulation says so, in the order
/// in which it was submitted, and its answers come when the simulation says so, one by one, several
/// together, or never.
final class SimulatedWorkQueue<Answer: Sendable>: WorkQueue {
  typealias Instant = ContinuousClock.Instant

  private struct Work: Sendable {
    let run: @Sendable () -> Answer
    let since: Instant
  }

  private struct State: Sendable {
    var work: [Work] = []
    var done: [(answer: Answer, since: Instant)] = []
    var answers: [Answer] = []
    var isClosed = false
    /// An answer that waits to be taken tells of a failure.
    var hasFailure = false
    var fates = AnswerFates()
  }

  private let state = Mutex(State())
  private let answered: EventDescriptor
  private let describe: @Sendable (Answer) -> String
  private let now: @Sendable () -> Instant

  /// Makes a queue that keeps account of what becomes of each kind of answer.
  init(
    now: @escaping @Sendable () -> Instant, describe: @escaping @Sendable (Answer) -> String
  ) throws {
    answered = try EventDescriptor()
    self.describe = describe
    self.now = now
  }

  /// What has become of its answers; those that were not given are lost.
  var fates: AnswerFates {
    state.withLock { state in
      var fates = state.fates
      for (answer, _) in state.done { fates.count(describe(answer), "lost") }
      return fates
    }
  }

  var eventDescriptor: CInt { answered.descriptor }

  /// How many pieces of work wait.
  var waiting: Int { state.withLock { $0.work.count } }
  /// How many pieces are done whose answers have not been given.
  var done: Int { state.withLock { $0.done.count } }

  func submit(_ work: @escaping @Sendable () -> Answer) {
    state.withLock { state in
      precondition(!state.isClosed, "work was submitted after the end")
      state.work.append(Work(run: work, since: now()))
    }
  }

  func takeAnswers() -> [Answer] {
    answered.drain()
    return state.withLock { state in
      defer {
        state.answers = []
        state.hasFailure = false
      }
      return state.answers
    }
  }

  func end(isIdle: Bool) { state.withLock { $0.isClosed = true } }

  /// Does the first pieces of work, without answering.
  func run(_ count: Int) {
    for _ in 0..<count {
      guard let piece = state.withLock({ $0.work.isEmpty ? nil : $0.work.removeFirst() }) else {
        return
      }
      let answer = piece.run()
      state.withLock { $0.done.append((answer, piece.since)) }
    }
  }

  /// Gives the first answers.
  func answer(_ count: Int) {
    let given = state.withLock { state in
      let given = min(count, state.done.count)
      for (answer, since) in state.done.prefix(given) {
        let kind = describe(answer)
        state.fates.count(kind, "given")
        if !state.answers.isEmpty { state.fates.count(kind, "together with others") }
        if now() > since + .seconds(1) { state.fates.count(kind, "late") }
        // What is thrown away with the failure of another answer would be missed.
        if state.hasFailure { state.fates.count(kind, "after a failure") }
        state.hasFailure = state.hasFailure || kind.hasSuffix(" failed")
        state.answers.append(answer)
      }
      state.done.removeFirst(given)
      return given
    }
    if given > 0 { answered.signal() }
  }
}

/// How often what became of each kind of answer: a simulation that never loses one proves nothing of
/// that.
struct AnswerFates: Sendable, CustomStringConvertible {
  private var counts: [String: Int] = [:]

  mutating func count(_ kind: String, _ fate: String) {
    counts["\(kind), \(fate)", default: 0] += 1
  }

  /// How often an answer of a kind had a fate.
  subscript(kind: String, fate: String) -> Int { counts["\(kind), \(fate)"] ?? 0 }

  static func += (sum: inout AnswerFates, other: AnswerFates) {
    sum.counts.merge(other.counts, uniquingKeysWith: +)
  }

  var description: String {
    counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "; ")
  }
}
