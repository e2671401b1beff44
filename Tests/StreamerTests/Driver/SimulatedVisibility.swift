import PGWire
import Support

@testable import Streamer

/// What readers of the simulated primary see: transactions become visible in another order than they are
/// committed in, and no earlier than the log has come to them.
struct SimulatedVisibility {
  private let entries: [SimulatedHistory.Entry]
  private var hidden: Set<UInt32> = []
  private var limit = LSN.zero
  /// How often somebody looked.
  private(set) var looks = 0

  /// Hides some of the transactions.
  init(_ history: SimulatedHistory, using random: inout SeededRandom) {
    entries = history.entries
    let share = [1, 3, 10].randomElement(using: &random) ?? 1
    hidden = Set(
      entries.compactMap(\.xid).filter { _ in Int.random(in: 0..<share, using: &random) == 0 })
  }

  /// Whether readers see a transaction of the history.
  func sees(_ entry: SimulatedHistory.Entry) -> Bool {
    guard let xid = entry.xid else { return true }
    return entry.commitLSN < limit && !hidden.contains(xid)
  }

  /// Some that were hidden are seen from now on, and more are committed.
  mutating func show(using random: inout SeededRandom) {
    if let entry = entries.randomElement(using: &random) { limit = max(limit, entry.endLSN) }
    let first = entries.first { !sees($0) }?.xid
    if Bool.random(using: &random), let first { hidden.remove(first) }
    if let any = hidden.sorted().randomElement(using: &random) { hidden.remove(any) }
  }

  /// Everything is seen.
  mutating func showAll() {
    hidden = []
    limit = LSN(.max)
  }

  /// What the server answers.
  mutating func look() -> VisibleTransactions.Sight {
    looks += 1
    let unseen = entries.filter { !sees($0) }.compactMap(\.xid)
    // Of some transactions nothing is left in the history.
    let last = (entries.compactMap(\.xid).max() ?? 0) + 1_000
    // Numbers of 64 bits, the lower half of which are those of the history.
    let epoch = UInt64(3) << 32
    let xmin = epoch + UInt64(unseen.min() ?? last + 1)
    let list = unseen.map { "\(epoch + UInt64($0))" }.joined(separator: ",")
    guard let snapshot = ServerSnapshot("\(xmin):\(epoch + UInt64(last) + 1):\(list)") else {
      preconditionFailure("a snapshot is written as the server writes it")
    }
    return VisibleTransactions.Sight(snapshot: snapshot, limit: limit)
  }
}
