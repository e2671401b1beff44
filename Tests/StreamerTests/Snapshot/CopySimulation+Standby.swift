import PGWire
import Support

@testable import Streamer

/// What is seen of the server, which may be a standby and become a primary.
extension CopySimulation {
  /// Writes a change's record; gives where it begins.
  func writeChange() -> LSN { replay.append(8 * UInt64.random(in: 3...11, using: &random)) }

  /// Writes a commit record, among others where the order of replay matters; gives where it begins.
  func write(_ xid: UInt64) -> LSN {
    guard isStandby else { return replay.append(0x40, xid: xid) }
    for _ in 0..<Int.random(in: 0...2, using: &random) { _ = writeChange() }
    return replay.append(8 * UInt64.random(in: 5...12, using: &random), xid: xid)
  }

  /// Whether everything that was written can be seen.
  var isReplayed: Bool { !isStandby || replay.isDone }

  /// A standby sends what it has replayed.
  func maySend(_ writer: Writer) -> Bool {
    guard isStandby, let commit = writer.commit else { return true }
    return replay.end(ofRecordAt: commit) <= replay.place
  }

  /// What a keepalive says in front of a transaction.
  func sentUpTo(before writer: Writer?) -> LSN {
    guard isStandby else { return writer?.commit ?? replay.end }
    return replay.lastEnd(before: min(writer?.commit ?? replay.place, replay.place))
  }

  /// Some steps of a standby's replay.
  func replayOn(isCalm: Bool) {
    if Int.random(in: 0..<3, using: &random) == 0 { replay.receive(using: &random) }
    let patience = replay.received == nil ? 10 : 200
    if Int.random(in: 0..<patience, using: &random) == 0 { replay.reconnect() }
    if !isCalm, Int.random(in: 0..<20, using: &random) == 0 { _ = writeChange() }
    step(Int.random(in: 0...2, using: &random))
    if !isCalm, Int.random(in: 0..<2_000, using: &random) == 0 { promote() }
  }

  private func step(_ count: Int) {
    for _ in 0..<count { if let xid = replay.step() { visible.insert(xid) } }
  }

  func replayEverything() {
    guard isStandby else { return }
    replay.replayEverything()
    visible.formUnion(log.map(\.xid))
  }

  /// It becomes a primary; what was open there is lost.
  private func promote() {
    promotions += 1
    replayEverything()
    isStandby = false
    open = []
  }

  /// The next connection reaches another standby, which is behind.
  func lagBehind() {
    guard Int.random(in: 0..<3, using: &random) == 0 else { return }
    // What the stream lacks lies before all of them.
    let missed = log.last { $0.isMissed }?.commit ?? .zero
    let least = replay.records.firstIndex { $0.start > missed } ?? replay.records.count
    guard least < replay.replayed else { return }
    replay.lag(at: Int.random(in: least..<replay.replayed, using: &random))
    lags += 1
    visible = Set([before.xid] + replay.records[..<replay.replayed].compactMap(\.xid))
    for index in asked.indices { asked[index].visible.formIntersection(visible) }
  }

  /// The worker takes a snapshot: what is asked of the server before, at, and after it.
  func openSnapshot(filter: String?, keys: String?) -> SnapshotAnswer {
    let wasStandby = isStandby
    let before = replay.place
    if isStandby { step(Int.random(in: 0...3, using: &random)) }
    let text = whatIsSeen()
    var rows: [Int: Row] = [:]
    for writer in [self.before] + log where visible.contains(writer.xid) {
      for change in writer.changes { rows[change.key] = change.row }
    }
    seen = rows.sorted { $0.key < $1.key }.map { (Self.name($0.key), $0.value) }
    guard var snapshot = ServerSnapshot(text) else { preconditionFailure("a snapshot's text") }
    var limit = replay.end
    if isStandby {
      if replay.isUnderWay, replay.records[replay.replayed].xid != nil { doubts += 1 }
      if Bool.random(using: &random) { step(Int.random(in: 0...3, using: &random)) }
      let received = replay.received
      if Int.random(in: 0..<3, using: &random) == 0 { replay.receive(using: &random) }
      step(Int.random(in: 0...1, using: &random))
      snapshot.replayed = before
      limit =
        ReplayWindow(
          before: before, after: replay.place, received: received,
          pageBytes: SimulatedReplay.pageBytes
        ).limit
      if Int.random(in: 0..<50, using: &random) == 0 { promote() }
    }
    guard wasStandby == isStandby else {
      return .failed(StreamerError(what: "server", why: "it was promoted", retryable: true))
    }
    var tables = Self.tables
    for index in tables.indices {
      tables[index].goneKeys = keys
      tables[index].condition = filter
    }
    return .opened(SnapshotPoint(snapshot: snapshot, limit: limit, time: 0, tables: tables))
  }

  /// What a snapshot says of itself: a standby lists none that runs.
  private func whatIsSeen() -> String {
    guard isStandby else {
      let running = (open + hidden).map(\.xid)
      return
        "\(running.min() ?? nextXID):\(nextXID):\(running.map(String.init).joined(separator: ","))"
    }
    let xmax = (visible.max() ?? 0) + 1
    let running = (open + log).map(\.xid).filter { $0 < xmax && !visible.contains($0) }
    return "\(running.min() ?? xmax):\(xmax):"
  }
}
