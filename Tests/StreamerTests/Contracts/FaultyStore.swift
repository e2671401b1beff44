import PGWire
import Support
import Synchronization

@testable import Streamer

/// A store whose calls go wrong as they were told to: the way a disk or a network does it.
///
/// Faults are taken in their order, one by each call of their operation; without one a call goes
/// through. The caller cannot know whether a call that failed has counted: ``Fault/doThenFail``.
final class FaultyStore: SourceStore {
  /// What happens to one call.
  enum Fault: Sendable {
    /// It fails and nothing is done.
    case reject
    /// It is done and its answer is lost.
    case doThenFail
    /// It is done that much later.
    case delay(Duration)
    /// It waits until it is released, then it is done.
    case hold
  }

  /// The calls that faults are planned for.
  enum Operation: Hashable, Sendable {
    case load, save, forget, override, keys, prune, gaps
  }

  /// What a call says that was made to fail.
  static let failure = StreamerError(what: "store", why: "it was told to fail", retryable: true)

  private struct State {
    var faults: [Operation: [Fault]] = [:]
    var held = 0
  }

  private let store: any SourceStore
  private let state = Mutex(State())
  private let released: EventDescriptor

  init(_ store: any SourceStore) throws {
    self.store = store
    released = try EventDescriptor()
  }

  /// Plans what happens to the next calls of an operation.
  func plan(_ faults: Fault..., for operation: Operation) {
    state.withLock { $0.faults[operation, default: []] += faults }
  }

  /// How many calls wait to be released.
  var heldCalls: Int { state.withLock { $0.held } }

  /// Lets one call go on that is held, or the next one that will be.
  func release() { released.signal() }

  private func perform<T>(
    _ operation: Operation, _ body: () throws(StreamerError) -> T
  ) throws(StreamerError) -> T {
    let fault = state.withLock { state -> Fault? in
      guard state.faults[operation]?.isEmpty == false else { return nil }
      return state.faults[operation]?.removeFirst()
    }
    switch fault {
    case nil: break
    case .reject: throw Self.failure
    case .doThenFail:
      _ = try body()
      throw Self.failure
    case .delay(let duration): pause(duration)
    case .hold:
      state.withLock { $0.held += 1 }
      released.wait()
      state.withLock { $0.held -= 1 }
    }
    return try body()
  }

  func load(source: String) throws(StreamerError) -> [Position] {
    try perform(.load) { () throws(StreamerError) in try store.load(source: source) }
  }

  func save(_ positions: [Position]) throws(StreamerError) {
    try perform(.save) { () throws(StreamerError) in try store.save(positions) }
  }

  func forget(source: String, sink: String) throws(StreamerError) {
    try perform(.forget) { () throws(StreamerError) in
      try store.forget(source: source, sink: sink)
    }
  }

  func appliedOverride(source: String) throws(StreamerError) -> LSN? {
    try perform(.load) { () throws(StreamerError) in try store.appliedOverride(source: source) }
  }

  func applyOverride(
    _ value: LSN, source: String, positions: [Position]
  ) throws(StreamerError) {
    try perform(.override) { () throws(StreamerError) in
      try store.applyOverride(value, source: source, positions: positions)
    }
  }

  func keyColumns(of table: DescribedTable, at lsn: LSN) throws(StreamerError) -> [String]? {
    try perform(.load) { () throws(StreamerError) in try store.keyColumns(of: table, at: lsn) }
  }

  func rememberKeyColumns(
    _ key: [String], of table: DescribedTable, at lsn: LSN
  ) throws(StreamerError) {
    try perform(.keys) { () throws(StreamerError) in
      try store.rememberKeyColumns(key, of: table, at: lsn)
    }
  }

  func copies(of origin: SourceOrigin) throws(StreamerError) -> CopyBook {
    try perform(.load) { () throws(StreamerError) in try store.copies(of: origin) }
  }

  func save(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError) {
    try perform(.save) { () throws(StreamerError) in try store.save(copies, of: origin) }
  }

  func forget(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError) {
    try perform(.forget) { () throws(StreamerError) in try store.forget(copies, of: origin) }
  }

  func signalOffsets(
    source: String, topic: String
  ) throws(StreamerError) -> [Int32: Int64] {
    try perform(.load) { () throws(StreamerError) in
      try store.signalOffsets(source: source, topic: topic)
    }
  }

  func save(
    signalOffset: Int64, of partition: Int32, topic: String, source: String
  ) throws(StreamerError) {
    try perform(.save) { () throws(StreamerError) in
      try store.save(signalOffset: signalOffset, of: partition, topic: topic, source: source)
    }
  }

  func owe(_ comparison: OwedComparison) throws(StreamerError) {
    try perform(.save) { () throws(StreamerError) in try store.owe(comparison) }
  }

  func owedComparison(source: String) throws(StreamerError) -> OwedComparison? {
    try perform(.load) { () throws(StreamerError) in try store.owedComparison(source: source) }
  }

  func settle(_ comparison: OwedComparison) throws(StreamerError) {
    try perform(.forget) { () throws(StreamerError) in try store.settle(comparison) }
  }

  func record(_ gap: Gap) throws(StreamerError) {
    try perform(.gaps) { () throws(StreamerError) in try store.record(gap) }
  }

  func gaps(source: String) throws(StreamerError) -> [Gap] {
    try perform(.load) { () throws(StreamerError) in try store.gaps(source: source) }
  }

  func prune(_ origin: SourceOrigin, before lsn: LSN) throws(StreamerError) {
    try perform(.prune) { () throws(StreamerError) in try store.prune(origin, before: lsn) }
  }
}
