import PGWire
import Support

@testable import Streamer

/// Makes a history: several open transactions write by turns, as locks allow.
struct SimulatedWriters {
  /// What a rollback restores.
  private enum Undo {
    case row(String, [String?]?)
    case columns(Int, [String])
  }

  private struct Savepoint {
    /// Given at the first write.
    var xid: UInt32?
    /// Those inside it that were released.
    var released: [UInt32] = []
    let changes: Int
    let undo: Int
  }

  private struct Open {
    let xid: UInt32
    var changes: [SimulatedHistory.Change] = []
    var savepoints: [Savepoint] = []
    var released: [UInt32] = []
    var undo: [Undo] = []
    var locks: Set<String> = []
    var tables: Set<Int> = []
    /// Tables that nobody else can use before its end.
    var altered: Set<Int> = []
  }

  private var random: SeededRandom
  private var tables = SimulatedTable.all
  private var rows: [String: [String?]] = [:]
  private var open: [Open] = []
  private var history = SimulatedHistory()
  private var lsn: UInt64 = 1_000
  private var xid: UInt32 = 700
  private var time: Int64 = 800_000_000_000_000
  private var number = 0

  /// A history of about `steps` changes.
  static func history(seed: UInt64, steps: Int) -> SimulatedHistory {
    var writers = SimulatedWriters(random: SeededRandom(seed: seed))
    for _ in 0..<steps { writers.step() }
    while !writers.open.isEmpty { writers.commit(0) }
    return writers.history
  }

  private init(random: SeededRandom) { self.random = random }

  private mutating func step() {
    switch Int.random(in: 0..<24, using: &random) {
    case 0, 1, 2:
      guard open.count < 4 else { break }
      xid += 1
      open.append(Open(xid: xid))
    case 3, 4, 5:
      guard let index = open.indices.randomElement(using: &random) else { break }
      if Int.random(in: 0..<4, using: &random) == 0 { abort(index) } else { commit(index) }
    case 6:
      aloneMessage()
      // The usual case: the message was a transaction's last statement.
      if Bool.random(using: &random), let index = open.indices.randomElement(using: &random) {
        commit(index)
      }
    case 7: alter()
    case 20, 21:
      guard let index = open.indices.randomElement(using: &random) else { break }
      open[index].savepoints.append(
        Savepoint(changes: open[index].changes.count, undo: open[index].undo.count))
    case 22:
      if let index = open.indices.randomElement(using: &random) { release(index) }
    case 23:
      if let index = open.indices.randomElement(using: &random) { rollBack(index) }
    case let choice:
      guard let index = open.indices.randomElement(using: &random) else { return }
      switch choice {
      case 8: truncate(index)
      case 9:
        number += 1
        let at = advance()
        add(SimulatedTable.message(number, transactional: true, at: at), [], to: index, at: at)
      default: change(index)
      }
    }
  }

  /// Log records take some room; the position before is returned.
  private mutating func advance() -> LSN {
    defer { lsn += UInt64.random(in: 1...64, using: &random) }
    return LSN(lsn)
  }

  private mutating func commit(_ index: Int) {
    let transaction = open.remove(at: index)
    time += Int64.random(in: 0...2_000_000, using: &random)
    let start = advance()
    var entry: Int?
    // Where nothing was published the server (15 and later) sends nothing at all.
    if !transaction.changes.isEmpty {
      entry = history.entries.count
      history.append(
        SimulatedHistory.Entry(
          xid: transaction.xid, commitLSN: start, endLSN: LSN(lsn), time: time,
          changes: transaction.changes))
    }
    record(transaction.xid, start, .commit(entry: entry))
  }

  private mutating func record(
    _ xid: UInt32, _ start: LSN, _ kind: SimulatedHistory.Record.Kind
  ) {
    history.append(
      SimulatedHistory.Record(lsn: start, end: LSN(lsn), time: time, xid: xid, kind: kind))
  }

  // MARK: - Rollbacks

  private mutating func abort(_ index: Int) {
    undo(index, to: 0)
    let transaction = open.remove(at: index)
    let inside = transaction.released + transaction.savepoints.flatMap { $0.released + own($0) }
    record(transaction.xid, advance(), .abort(inside))
  }

  private mutating func release(_ index: Int) {
    guard let savepoint = open[index].savepoints.popLast() else { return }
    let inside = savepoint.released + own(savepoint)
    if open[index].savepoints.isEmpty {
      open[index].released += inside
    } else {
      open[index].savepoints[open[index].savepoints.count - 1].released += inside
    }
  }

  /// ROLLBACK TO a savepoint: those inside it end with it.
  private mutating func rollBack(_ index: Int) {
    guard let level = open[index].savepoints.indices.randomElement(using: &random) else { return }
    let gone = open[index].savepoints[level...]
    let first = open[index].savepoints[level]
    undo(index, to: first.undo)
    open[index].changes.removeSubrange(first.changes...)
    open[index].savepoints.removeSubrange(level...)
    // The innermost is rolled back first, each with what was released inside it.
    let subtransactions = gone.reversed().flatMap { $0.released + own($0) }
    guard !subtransactions.isEmpty else { return }
    record(open[index].xid, advance(), .rollBack(subtransactions))
  }

  private func own(_ savepoint: Savepoint) -> [UInt32] { savepoint.xid.map { [$0] } ?? [] }

  private mutating func undo(_ index: Int, to count: Int) {
    while open[index].undo.count > count {
      switch open[index].undo.removeLast() {
      case .row(let name, let before): rows[name] = before
      case .columns(let table, let before): tables[table].columns = before
      }
    }
  }

  /// Writes a row, and what it was before for a rollback.
  private mutating func set(_ name: String, _ row: [String?]?, in index: Int) {
    open[index].undo.append(.row(name, rows[name]))
    rows[name] = row
  }

  /// The number under which the open transaction writes now.
  private mutating func writer(_ index: Int) -> UInt32 {
    for level in open[index].savepoints.indices where open[index].savepoints[level].xid == nil {
      xid += 1
      open[index].savepoints[level].xid = xid
    }
    return open[index].savepoints.last?.xid ?? open[index].xid
  }

  /// The position on the wire is the end of a message's record; a commit may start right there.
  private mutating func aloneMessage() {
    number += 1
    let start = advance()
    let outcome = SimulatedTable.message(number, transactional: false, at: LSN(lsn))
    let change = SimulatedHistory.Change(
      lsn: LSN(lsn), xid: 0, payload: outcome.payload, relations: [], events: outcome.events)
    history.append(
      SimulatedHistory.Entry(
        xid: nil, commitLSN: start, endLSN: LSN(lsn), time: 0, changes: [change]))
    record(0, start, .alone(entry: history.entries.count - 1))
  }

  /// ALTER TABLE ADD COLUMN, alone or in a transaction; it waits for everybody else who uses the
  /// table.
  private mutating func alter() {
    let table = Int.random(in: 0..<tables.count, using: &random)
    let writer = Bool.random(using: &random) ? open.indices.randomElement(using: &random) : nil
    let isUsed = open.indices.contains { $0 != writer && open[$0].tables.contains(table) }
    guard !isUsed, tables[table].columns.count < 4 else { return }
    if let writer {
      open[writer].tables.insert(table)
      open[writer].altered.insert(table)
      open[writer].undo.append(.columns(table, tables[table].columns))
    }
    number += 1
    tables[table].columns.append("extra\(number)")
    _ = advance()
  }

  private mutating func truncate(_ index: Int) {
    let free = tables.indices.filter { table in
      !open.indices.contains { $0 != index && open[$0].tables.contains(table) }
    }
    let chosen = free.filter { _ in Bool.random(using: &random) }
    guard !chosen.isEmpty else { return }
    for table in chosen {
      for name in rows.keys.sorted() where name.hasPrefix("\(table) ") {
        set(name, nil, in: index)
      }
      // The lock on the whole table: nobody else gets a row of it before the commit.
      for id in 0..<8 { open[index].locks.insert("\(table) \(id)") }
    }
    let at = advance()
    add(SimulatedTable.truncate(chosen.map { tables[$0] }), chosen, to: index, at: at)
  }

  private mutating func change(_ index: Int) {
    let table = Int.random(in: 0..<tables.count, using: &random)
    let id = Int.random(in: 0..<8, using: &random)
    let name = "\(table) \(id)"
    let isAltered = open.indices.contains { $0 != index && open[$0].altered.contains(table) }
    guard !isAltered, isFree(name, for: index) else { return }
    open[index].locks.insert(name)
    let model = tables[table]
    let outcome: SimulatedTable.Outcome
    if !model.hasKey {
      outcome = model.insert(id, values(model))
    } else if let before = rows[name] {
      if Int.random(in: 0..<4, using: &random) == 0 {
        set(name, nil, in: index)
        outcome = model.delete(id, before)
      } else {
        outcome = update(table, id, before, index)
      }
    } else {
      let new = values(model)
      set(name, new, in: index)
      outcome = model.insert(id, new)
    }
    add(outcome, [table], to: index, at: advance())
  }

  private mutating func update(
    _ table: Int, _ id: Int, _ before: [String?], _ index: Int
  ) -> SimulatedTable.Outcome {
    let model = tables[table]
    var after = values(model)
    var unchanged: Set<Int> = []
    for column in before.indices
    where before[column] != nil && Int.random(in: 0..<3, using: &random) == 0 {
      after[column] = before[column]
      unchanged.insert(column)
    }
    var newID = id
    let other = Int.random(in: 0..<8, using: &random)
    let otherName = "\(table) \(other)"
    if Int.random(in: 0..<3, using: &random) == 0, rows[otherName] == nil,
      isFree(otherName, for: index)
    {
      newID = other
      open[index].locks.insert(otherName)
    }
    set("\(table) \(id)", nil, in: index)
    set("\(table) \(newID)", after, in: index)
    return model.update(id, from: before, to: newID, after, unchanged: unchanged)
  }

  private func isFree(_ name: String, for index: Int) -> Bool {
    !open.indices.contains { $0 != index && open[$0].locks.contains(name) }
  }

  private mutating func values(_ model: SimulatedTable) -> [String?] {
    model.columns.map { _ in
      number += 1
      guard Int.random(in: 0..<6, using: &random) > 0 else { return nil }
      return "v\(number)" + String(repeating: "x", count: .random(in: 0...40, using: &random))
    }
  }

  private mutating func add(
    _ outcome: SimulatedTable.Outcome, _ used: [Int], to index: Int, at lsn: LSN
  ) {
    open[index].tables.formUnion(used)
    let change = SimulatedHistory.Change(
      lsn: lsn, xid: writer(index), payload: outcome.payload,
      relations: used.map { tables[$0].relation }, events: outcome.events)
    open[index].changes.append(change)
    record(open[index].xid, lsn, .change(change))
  }
}
