import PGWire
import Support

@testable import Streamer

/// What a simulated server has committed: transactions in commit order, whose changes lie
/// interleaved in the log, and the record that each event must become.
struct SimulatedHistory {
  /// One change of a transaction.
  struct Change {
    let lsn: LSN
    let payload: [UInt8]
    /// The tables as they were at that point: each is described before its first use.
    let relations: [Relation]
    fileprivate let events: [SimulatedTable.Body]
  }

  /// A transaction, or a message outside of any.
  struct Entry {
    /// nil for a message outside a transaction.
    let xid: UInt32?
    /// Where the commit record starts, or the message's: the server's filter.
    let commitLSN: LSN
    let endLSN: LSN
    /// What its events call `CommitLSN`: of a message, whose start is not on the wire, the last byte.
    var eventLSN: LSN { xid == nil ? LSN(endLSN.value - 1) : commitLSN }
    let time: Int64
    let changes: [Change]
    /// Its events' places in ``SimulatedHistory/events``.
    fileprivate(set) var events: Range<Int> = 0..<0
  }

  /// An event, and who gets it.
  struct Event {
    let entry: Int
    let json: String
    /// What its order is kept by: table and key.
    let orderKey: String
    /// Whether only the first sink gets it.
    let isExcluded: Bool
  }

  static let systemIdentifier: UInt64 = 7_123_456_789
  static let host = "db1"
  static let database = "shop"

  private(set) var entries: [Entry] = []
  private(set) var events: [Event] = []
  private(set) var byJSON: [String: Int] = [:]
  /// Where the log ends.
  private(set) var end = LSN(1_000)

  /// Whether a sink gets an event.
  func wants(_ event: Int, lane: Int) -> Bool { lane == 0 || !events[event].isExcluded }

  fileprivate mutating func append(_ entry: Entry) {
    var entry = entry
    let first = events.count
    let uuid = EventUUID(
      systemIdentifier: Self.systemIdentifier, database: Self.database, xid: entry.xid ?? 0,
      commitTime: entry.xid == nil ? 0 : entry.time, commitLSN: entry.eventLSN)
    for change in entry.changes {
      for body in change.events {
        let ordinal = events.count - first
        let json = Self.json(body, change.lsn, entry, ordinal: ordinal, uuid)
        byJSON[json] = events.count
        events.append(
          Event(
            entry: entries.count, json: json, orderKey: "\(body.table) \(body.key ?? "")",
            isExcluded: body.table == "hidden" || body.action == "message"))
      }
    }
    entry.events = first..<events.count
    entries.append(entry)
    end = entry.endLSN
  }

  private static func json(
    _ body: SimulatedTable.Body, _ lsn: LSN, _ entry: Entry, ordinal: Int, _ uuid: EventUUID
  ) -> String {
    let identity = written { uuid.append(ordinal: UInt64(ordinal), to: &$0) }
    let time = written { EventTimestamp.append(microseconds: entry.time, to: &$0) }
    let timestamp = entry.xid == nil ? "null" : "\"\(time)\""
    return "{\"Host\":\"\(host)\",\"Database\":\"\(database)\",\"Table\":\"\(body.table)\""
      + ",\"Action\":\"\(body.action)\",\"WALPosition\":\(entry.eventLSN.value)"
      + ",\"Timestamp\":\(timestamp),\"UUID\":\"\(identity)\",\"Columns\":\(body.columns)"
      + ",\"Schema\":\"\(body.schema)\",\"LSN\":\"\(lsn)\",\"CommitLSN\":\"\(entry.eventLSN)\""
      + ",\"XID\":\(entry.xid.map { "\($0)" } ?? "null"),\"Ordinal\":\(ordinal)"
      + ",\"Key\":\(body.key ?? "null")\(body.rest)}"
  }
}

/// Makes a history: several open transactions write by turns, as locks allow.
struct SimulatedWriters {
  private struct Open {
    let xid: UInt32
    var changes: [SimulatedHistory.Change] = []
    var locks: Set<String> = []
    var tables: Set<Int> = []
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
    switch Int.random(in: 0..<20, using: &random) {
    case 0, 1,
      2 where open.count < 4:
      xid += 1
      open.append(Open(xid: xid))
    case 3, 4, 5:
      if let index = open.indices.randomElement(using: &random) { commit(index) }
    case 6:
      aloneMessage()
      // The usual case: the message was a transaction's last statement.
      if Bool.random(using: &random), let index = open.indices.randomElement(using: &random) {
        commit(index)
      }
    case 7: alter()
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
    // Where nothing was published the server (15 and later) sends nothing at all.
    guard !transaction.changes.isEmpty else { return }
    history.append(
      SimulatedHistory.Entry(
        xid: transaction.xid, commitLSN: start, endLSN: LSN(lsn), time: time,
        changes: transaction.changes))
  }

  /// The position on the wire is the end of a message's record; a commit may start right there.
  private mutating func aloneMessage() {
    number += 1
    let start = advance()
    let outcome = SimulatedTable.message(number, transactional: false, at: LSN(lsn))
    let change = SimulatedHistory.Change(
      lsn: LSN(lsn), payload: outcome.payload, relations: [], events: outcome.events)
    history.append(
      SimulatedHistory.Entry(
        xid: nil, commitLSN: start, endLSN: LSN(lsn), time: 0, changes: [change]))
  }

  /// ALTER TABLE ADD COLUMN, which waits for everybody who uses the table.
  private mutating func alter() {
    let index = Int.random(in: 0..<tables.count, using: &random)
    guard !open.contains(where: { $0.tables.contains(index) }), tables[index].columns.count < 4
    else { return }
    tables[index].columns.append("extra\(tables[index].columns.count)")
    _ = advance()
  }

  private mutating func truncate(_ index: Int) {
    let free = tables.indices.filter { table in
      !open.indices.contains { $0 != index && open[$0].tables.contains(table) }
    }
    let chosen = free.filter { _ in Bool.random(using: &random) }
    guard !chosen.isEmpty else { return }
    for table in chosen {
      rows = rows.filter { !$0.key.hasPrefix("\(table) ") }
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
    guard isFree(name, for: index) else { return }
    open[index].locks.insert(name)
    let model = tables[table]
    let outcome: SimulatedTable.Outcome
    if !model.hasKey {
      outcome = model.insert(id, values(model))
    } else if let before = rows[name] {
      if Int.random(in: 0..<4, using: &random) == 0 {
        rows[name] = nil
        outcome = model.delete(id, before)
      } else {
        outcome = update(table, id, before, index)
      }
    } else {
      let new = values(model)
      rows[name] = new
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
    rows["\(table) \(id)"] = nil
    rows["\(table) \(newID)"] = after
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
    open[index].changes.append(
      SimulatedHistory.Change(
        lsn: lsn, payload: outcome.payload, relations: used.map { tables[$0].relation },
        events: outcome.events))
  }
}
