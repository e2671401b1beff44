import PGWire

@testable import Streamer

/// What somebody wants of the copies.
extension CopySimulation {
  /// Rows are deleted and the stream does not have it; later, or at once, it is asked which keys have
  /// no row any more.
  func miss() {
    gaps += 1
    var writer = Writer(xid: nextXID)
    nextXID += 1
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let key = Int.random(in: Self.keys, using: &random)
      let isLocked = (open + hidden).contains { $0.changes.contains { $0.key == key } }
      guard !isLocked, let old = row(key) else { continue }
      writer.changes.append(Change(key: key, row: nil, old: old, lsn: writeChange()))
    }
    writer.commit = write(writer.xid)
    writer.isMissed = true
    log.append(writer)
    visible.insert(writer.xid)
    replayEverything()
    let keys = Self.keys.map { "\"\(Self.name($0))\"" }.joined(separator: ",")
    let added = kept.settled.next(
      [Self.table.name], filter: nil, keys: "[\(keys)]", mark: nil, of: [Self.table])
    kept.put(added)
    kept.forget(kept.settled.surplus)
    changed.append(added)
  }

  /// Somebody wants something of the copies.
  func order() {
    switch Int.random(in: 0..<8, using: &random) {
    case 0..<4:
      ask([[Self.table], [Self.still], Self.tables][Int.random(in: 0..<3, using: &random)])
    case 4: decide(.paused, about: asked.randomElement(using: &random)?.number)
    case 5: decide(.active, about: asked.randomElement(using: &random)?.number)
    case 6 where !isQuiet:
      if let number = asked.randomElement(using: &random)?.number {
        stops += 1
        stopped.insert(number)
        decide(.stopped, about: number)
      }
    default: decide(Bool.random(using: &random) ? .paused : .active, about: nil)
    }
  }

  /// The worker writes down a copy that is wanted: from here on nothing may lose it.
  func ask(_ tables: [SnapshotTable]) {
    let book = kept.settled
    let added = book.next(tables.map(\.name), filter: nil, mark: nil, of: tables)
    kept.put(added)
    kept.forget(kept.settled.surplus)
    changed.append(added)
    requests += 1
    asked.append((added.requests[0].number, tables, sink.handed, visible))
  }

  func decide(_ state: CopyRequest.State, about number: Int?) {
    let decided = kept.settled.decided(state, about: number)
    kept.put(decided)
    if !decided.requests.isEmpty { changed.append(CopyBook(decided.requests)) }
  }
}
