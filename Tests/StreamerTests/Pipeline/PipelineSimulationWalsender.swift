import PGWire
import Support

/// Decodes a simulated log and writes what a walsender would send on one connection.
struct SimulatedWalsender {
  /// What it keeps of an open transaction.
  private struct Open {
    /// Changes that have not been sent.
    var pending: [SimulatedHistory.Change] = []
    /// Whether a chunk was sent.
    var isStreamed = false
    /// The subtransactions of which something was sent.
    var sent: Set<UInt32> = []
    /// What the stream has said of tables, and when.
    var known: [UInt32: (relation: Relation, number: Int)] = [:]
  }

  private let history: SimulatedHistory
  private let start: LSN
  private let streams: Bool
  private var random: SeededRandom
  private var open: [UInt32: Open] = [:]
  /// What the connection has said of tables outside of streams, and when.
  private var known: [UInt32: (relation: Relation, number: Int)] = [:]
  private var relations = 0
  private var read = LSN.zero
  private(set) var bytes = ServerBytes()
  /// Up to which position the server has sent once its bytes up to an offset are read.
  private(set) var marks: [(offset: Int, sent: LSN)] = []

  init(_ history: SimulatedHistory, start: LSN, streams: Bool, seed: UInt64) {
    self.history = history
    self.start = start
    self.streams = streams
    random = SeededRandom(seed: seed)
  }

  /// Writes everything.
  mutating func run() {
    for record in history.log {
      if chance(8) { keepalive(to: record.lsn) }
      switch record.kind {
      case .change(let change): decode(change, record)
      case .rollBack(let subtransactions):
        for subtransaction in subtransactions { rollBack(subtransaction, record.xid) }
      case .abort(let subtransactions):
        for subtransaction in subtransactions { rollBack(subtransaction, record.xid) }
        if open[record.xid]?.isStreamed == true { abort(record.xid, record.xid) }
        open[record.xid] = nil
      case .commit(let entry): commit(record, entry)
      case .alone(let entry):
        let entry = history.entries[entry]
        if entry.commitLSN >= start { send(entry) }
      }
      read = record.end
    }
    bytes.keepalive(walEnd: history.end, reply: chance(2))
    marks.append((bytes.bytes.count, history.end))
  }

  // MARK: - Streams

  private mutating func decode(
    _ change: SimulatedHistory.Change, _ record: SimulatedHistory.Record
  ) {
    open[record.xid, default: Open()].pending.append(change)
    guard streams, record.lsn >= start, chance(4) else { return }
    let candidates = open.keys.filter { open[$0]?.pending.isEmpty == false }.sorted()
    if let xid = candidates.randomElement(using: &random) { chunk(xid, at: record.lsn) }
  }

  private mutating func chunk(_ xid: UInt32, at lsn: LSN) {
    guard var transaction = open[xid] else { return }
    bytes.streamStart(xid, isFirst: !transaction.isStreamed)
    transaction.isStreamed = true
    for change in transaction.pending {
      if chance(8) { keepalive(to: lsn) }
      for relation in change.relations
      where transaction.known[relation.oid]?.relation != relation || chance(8) {
        relations += 1
        transaction.known[relation.oid] = (relation, relations)
        bytes.xLogData(
          .zero, ServerBytes.streamed(ServerBytes.relation(relation), change.xid))
      }
      transaction.sent.insert(change.xid)
      bytes.xLogData(
        change.lsn, ServerBytes.streamed(change.payload, change.isMessage ? xid : change.xid))
    }
    transaction.pending = []
    bytes.streamStop()
    open[xid] = transaction
  }

  private mutating func rollBack(_ subtransaction: UInt32, _ xid: UInt32) {
    open[xid]?.pending.removeAll { $0.xid == subtransaction }
    if open[xid]?.sent.contains(subtransaction) == true { abort(xid, subtransaction) }
  }

  /// After any rollback the server describes the stream's tables anew.
  private mutating func abort(_ xid: UInt32, _ subtransaction: UInt32) {
    bytes.streamAbort(xid, subtransaction, at: chance(2) ? (read, 0) : nil)
    open[xid]?.known = [:]
  }

  // MARK: - Ends

  private mutating func commit(_ record: SimulatedHistory.Record, _ entry: Int?) {
    defer { open[record.xid] = nil }
    guard record.lsn >= start else { return }
    if let transaction = open[record.xid], transaction.isStreamed {
      if !transaction.pending.isEmpty { chunk(record.xid, at: record.lsn) }
      bytes.streamCommit(record.xid, record.lsn, end: record.end, time: record.time)
      marks.append((bytes.bytes.count, record.end))
      for (oid, said) in open[record.xid]?.known ?? [:]
      where said.number > known[oid]?.number ?? 0 {
        known[oid] = said
      }
    } else if let entry {
      send(history.entries[entry])
    }
  }

  private mutating func send(_ entry: SimulatedHistory.Entry) {
    if let xid = entry.xid { bytes.begin(entry.commitLSN, time: entry.time, xid: xid) }
    for change in entry.changes {
      // In the middle of a large transaction a keepalive says how far decoding had come before.
      if entry.xid != nil, chance(8) { keepalive(to: entry.commitLSN) }
      for relation in change.relations
      where known[relation.oid]?.relation != relation || chance(8) {
        relations += 1
        known[relation.oid] = (relation, relations)
        bytes.relation(relation)
      }
      bytes.xLogData(change.lsn, change.payload)
    }
    if entry.xid != nil { bytes.commit(entry.commitLSN, end: entry.endLSN, time: entry.time) }
    marks.append((bytes.bytes.count, entry.endLSN))
  }

  private mutating func keepalive(to high: LSN) {
    guard read <= high else { return }
    let walEnd = LSN(UInt64.random(in: read.value...high.value, using: &random))
    bytes.keepalive(walEnd: walEnd, reply: chance(3))
    marks.append((bytes.bytes.count, walEnd))
  }

  private mutating func chance(_ one: Int) -> Bool {
    Int.random(in: 0..<one, using: &random) == 0
  }
}
