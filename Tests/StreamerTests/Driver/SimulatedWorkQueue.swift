import Synchronization

@testable import Streamer

/// The I/O worker of a simulated driver: its work is done when the simulation says so, in the order
/// in which it was submitted, and its answers come when the simulation says so, one by one, several
/// together, or never.
final class SimulatedWorkQueue<Answer: Sendable>: WorkQueue {
  private struct State: Sendable {
    var work: [@Sendable () -> Answer] = []
    var done: [Answer] = []
    var answers: [Answer] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let answered: EventDescriptor

  init() throws { answered = try EventDescriptor() }

  var eventDescriptor: CInt { answered.descriptor }

  /// How many pieces of work wait.
  var waiting: Int { state.withLock { $0.work.count } }
  /// How many pieces are done whose answers have not been given.
  var done: Int { state.withLock { $0.done.count } }

  func submit(_ work: @escaping @Sendable () -> Answer) {
    state.withLock { state in
      precondition(!state.isClosed, "work was submitted after the end")
      state.work.append(work)
    }
  }

  func takeAnswers() -> [Answer] {
    answered.drain()
    return state.withLock { state in
      defer { state.answers = [] }
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
      let answer = piece()
      state.withLock { $0.done.append(answer) }
    }
  }

  /// Gives the first answers.
  func answer(_ count: Int) {
    let given = state.withLock { state in
      let given = min(count, state.done.count)
      state.answers += state.done.prefix(given)
      state.done.removeFirst(given)
      return given
    }
    if given > 0 { answered.signal() }
  }
}
