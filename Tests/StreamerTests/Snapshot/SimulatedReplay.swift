import PGWire
import Support

/// A server's log, record by record, and how far a standby has received and replayed it.
struct SimulatedReplay {
  /// A record; the transaction that it commits, if it does.
  struct Record {
    let start: LSN
    let end: LSN
    let xid: UInt64?
  }

  static let start = LSN(0x1000)
  static let pageBytes: UInt64 = 0x200

  private(set) var records: [Record] = []
  /// How many are replayed, and how many are there for it.
  private(set) var replayed = 0
  private(set) var arrived = 0
  /// Whether the next one has taken effect and is not counted yet.
  private(set) var isUnderWay = false
  /// How far the walreceiver has got, perhaps into a record; nil where none runs.
  private(set) var received: LSN? = start

  /// Where the log ends.
  var end: LSN { records.last?.end ?? Self.start }
  /// What the standby says that it has replayed.
  var place: LSN { replayed > 0 ? records[replayed - 1].end : Self.start }
  /// Whether everything is.
  var isDone: Bool { replayed == records.count }

  /// Writes a record, behind the header of a page where one begins; gives its start.
  mutating func append(_ bytes: UInt64, xid: UInt64? = nil) -> LSN {
    var start = end.value
    if start % Self.pageBytes == 0 { start += start % (4 * Self.pageBytes) == 0 ? 40 : 24 }
    var end = start + bytes
    if (end - 1) / Self.pageBytes != start / Self.pageBytes { end += 24 }
    records.append(Record(start: LSN(start), end: LSN(end), xid: xid))
    return LSN(start)
  }

  func end(ofRecordAt start: LSN) -> LSN {
    records.last { $0.start == start }?.end ?? start
  }

  /// The end of the last record that is replayed and lies before a place.
  func lastEnd(before place: LSN) -> LSN {
    records[..<replayed].last { $0.end <= place }?.end ?? Self.start
  }

  /// A step of the one process that replays; gives the transaction that is visible now.
  mutating func step() -> UInt64? {
    guard !isUnderWay else {
      isUnderWay = false
      replayed += 1
      return nil
    }
    guard replayed < arrived else { return nil }
    isUnderWay = true
    return records[replayed].xid
  }

  /// More of the log comes: from the primary, or where no walreceiver runs from an archive.
  mutating func receive(using random: inout SeededRandom) {
    arrived = Int.random(in: arrived...records.count, using: &random)
    guard received != nil else { return }
    let whole = arrived > 0 ? records[arrived - 1].end : Self.start
    received = whole
    if arrived < records.count, Bool.random(using: &random) { received = LSN(whole.value + 16) }
  }

  /// The walreceiver ends, or one begins: that is done by the process that replays, once nothing is
  /// left in the archive.
  mutating func reconnect() {
    if received != nil {
      received = nil
    } else if !isUnderWay, replayed == arrived {
      received = place
    }
  }

  /// Another standby, which is not that far.
  mutating func lag(at count: Int) {
    replayed = count
    arrived = count
    isUnderWay = false
    received = place
  }

  mutating func replayEverything() {
    replayed = records.count
    arrived = replayed
    isUnderWay = false
    if received != nil { received = end }
  }
}
