import PGWire
import Support

/// A walsender by PostgreSQL's rules.
///
/// It sends every transaction whose commit record starts at or after the start position, whole and
/// in commit order, and describes each table before its first use on a connection. What the client
/// has acknowledged it never sends again. With streaming, any open transaction may come in chunks
/// before it commits.
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
  mutating func connect(at position: LSN, streams: Bool) {
    let start = max(position, confirmedFlush)
    var walsender = SimulatedWalsender(
      history, start: start, streams: streams, seed: random.next())
    walsender.run()
    wire = walsender.bytes.bytes
    marks = walsender.marks
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
}
