import PGWire
import Support

/// A walsender by PostgreSQL's rules.
///
/// It sends every transaction whose commit record starts at or after the start position, whole and
/// in commit order, and describes each table before its first use on a connection. What the client
/// has acknowledged it never sends again.
struct SimulatedServer {
  let history: SimulatedHistory
  /// What the client has acknowledged: the server may have forgotten everything before it.
  private(set) var confirmedFlush = LSN.zero
  /// The largest position sent on any connection.
  private(set) var everSent = LSN.zero
  private var wire: [UInt8] = []
  private var offset = 0
  /// Up to which position the server has sent once its bytes up to an offset are read.
  private var marks: [(offset: Int, sent: LSN)] = []
  private var nextMark = 0
  /// The largest position whose bytes have been read on this connection.
  private(set) var sent = LSN.zero
  private var random: SeededRandom

  init(_ history: SimulatedHistory, seed: UInt64) {
    self.history = history
    random = SeededRandom(seed: seed)
  }

  /// Whether everything was read.
  var isExhausted: Bool { offset == wire.count }

  /// Takes a status update; a server never goes back.
  mutating func acknowledge(_ flushed: LSN) { confirmedFlush = max(confirmedFlush, flushed) }

  /// Starts a connection at a position, or at what was acknowledged when that is later.
  mutating func connect(at position: LSN) {
    let start = max(position, confirmedFlush)
    var bytes = ServerBytes()
    var known: [UInt32: Relation] = [:]
    var read = LSN.zero
    marks = []
    for entry in history.entries {
      if chance(4) { keepalive(from: read, to: entry.commitLSN, into: &bytes) }
      if entry.commitLSN >= start { send(entry, since: read, &known, into: &bytes) }
      read = entry.endLSN
    }
    bytes.keepalive(walEnd: history.end, reply: chance(2))
    marks.append((bytes.bytes.count, history.end))
    wire = bytes.bytes
    offset = 0
    nextMark = 0
    sent = .zero
  }

  /// Lets the client read the next bytes, `count` at most.
  mutating func read(_ count: Int) -> ArraySlice<UInt8> {
    let end = min(offset + count, wire.count)
    defer { offset = end }
    while nextMark < marks.count, marks[nextMark].offset <= end {
      sent = max(sent, marks[nextMark].sent)
      nextMark += 1
    }
    everSent = max(everSent, sent)
    return wire[offset..<end]
  }

  private mutating func send(
    _ entry: SimulatedHistory.Entry, since read: LSN, _ known: inout [UInt32: Relation],
    into bytes: inout ServerBytes
  ) {
    if let xid = entry.xid { bytes.begin(entry.commitLSN, time: entry.time, xid: xid) }
    for change in entry.changes {
      // In the middle of a large transaction a keepalive says how far decoding had come before.
      if entry.xid != nil, chance(8) { keepalive(from: read, to: entry.commitLSN, into: &bytes) }
      for relation in change.relations where known[relation.oid] != relation || chance(8) {
        known[relation.oid] = relation
        bytes.relation(relation)
      }
      bytes.xLogData(change.lsn, change.payload)
    }
    if entry.xid != nil { bytes.commit(entry.commitLSN, end: entry.endLSN, time: entry.time) }
    marks.append((bytes.bytes.count, entry.endLSN))
  }

  private mutating func keepalive(from low: LSN, to high: LSN, into bytes: inout ServerBytes) {
    let walEnd = LSN(UInt64.random(in: low.value...high.value, using: &random))
    bytes.keepalive(walEnd: walEnd, reply: chance(3))
    marks.append((bytes.bytes.count, walEnd))
  }

  private mutating func chance(_ one: Int) -> Bool {
    Int.random(in: 0..<one, using: &random) == 0
  }
}
