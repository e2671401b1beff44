import Glibc
import Synchronization

/// What somebody wants of a source's copies of existing rows.
enum CopyCommand: Hashable, Sendable {
  /// The rows of these tables are copied, those that meet a condition where there is one.
  case copy(tables: [String], filter: String?, mark: String? = nil)
  /// Of these keys of a table, a JSON array of objects, those that have no row are told as deleted.
  case tellGone(table: String, keys: String)
  /// A copy waits, or all that have not ended do.
  case pause(Int?)
  /// It goes on.
  case resume(Int?)
  /// It ends.
  case stop(Int?)
  /// The same for all that were asked for, or those of these tables and no others.
  case decide(CopyRequest.State, tables: [String])
}

/// A command on its way to the source, with whoever waits for what comes of it.
///
/// A class, because both share it.
final class CopyOrder: Sendable {
  /// What came of a command: the copies that it has made or changed.
  typealias Outcome = Result<CopyBook, StreamerError>

  private enum State {
    case open
    /// It is carried out, whether somebody waits for it or not.
    case taken
    case answered(Outcome)
    case withdrawn
  }

  /// What is wanted.
  let command: CopyCommand
  private let state = Mutex(State.open)
  private let answered: EventDescriptor

  /// Throws when the system has no descriptor left.
  init(_ command: CopyCommand) throws(StreamerError) {
    self.command = command
    answered = try EventDescriptor()
  }

  /// Takes it to carry it out; false when nobody waits for it any more.
  func take() -> Bool {
    state.withLock { state in
      guard case .open = state else { return false }
      state = .taken
      return true
    }
  }

  /// Says what came of it.
  func answer(_ outcome: Outcome) {
    state.withLock { $0 = .answered(outcome) }
    answered.signal()
  }

  /// Waits for what comes of it; nil when the time is over.
  ///
  /// What nobody has taken by then is not carried out; what is on its way has as long again.
  func wait(within limit: Duration) -> Outcome? {
    for _ in 0..<2 {
      var entry = pollfd(fd: answered.descriptor, events: Int16(POLLIN), revents: 0)
      _ = unsafe poll(&entry, 1, CInt(limit.inSeconds * 1_000))
      let isTaken = state.withLock { state in
        if case .open = state { state = .withdrawn }
        if case .taken = state { return true }
        return false
      }
      guard isTaken else { break }
    }
    return state.withLock { state in
      if case .answered(let outcome) = state { outcome } else { nil }
    }
  }
}

/// The commands that wait for their turn, of which one is carried out at a time.
struct CopyOrders {
  private var waiting: [CopyOrder] = []
  private var isUnderWay = false

  /// One more has come.
  mutating func add(_ order: CopyOrder) { waiting.append(order) }

  /// The one whose turn it is; nil where there is none, or another is under way.
  mutating func next() -> CopyOrder? {
    guard !isUnderWay, !waiting.isEmpty else { return nil }
    isUnderWay = true
    return waiting.removeFirst()
  }

  /// The one that was under way has been answered.
  mutating func ended() { isUnderWay = false }

  /// Answers all that wait with an error.
  mutating func refuse(_ error: @autoclosure () -> StreamerError) {
    for order in waiting { order.answer(.failure(error())) }
    waiting = []
  }
}
