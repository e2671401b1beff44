import PGWire

/// Where a lane stands in the transactions that are read.
struct Reading {
  /// The open transaction's ticket; nil for one that is passed over.
  fileprivate(set) var ticket: DeliveryTracker<LSN>.Ticket?
  /// Events of the current transaction below this ordinal are passed over.
  var skipBelow = UInt64.max
  /// The commit LSN of the transaction that is read.
  var commitLSN: LSN { reached.commitLSN }
  /// The last event given to the sink: an in-process reconnect repeats nothing up to it.
  fileprivate var reached: (commitLSN: LSN, nextOrdinal: UInt64) = (.zero, 0)
  /// What is read next begins inside the transaction of ``reached``, which has not come again yet.
  fileprivate var isCut = false
  /// Existing rows are read, which are no transaction of the stream: ``reached`` is that before them.
  fileprivate(set) var isRound = false
  /// Rows were produced behind the last ``CopyPlace``.
  fileprivate(set) var hasNewRows = false

  /// Where inside a transaction it stands; nil between two.
  ///
  /// `isOpen` says that one has begun.
  func cut(isOpen: Bool) -> ReadPlace.Cut? {
    guard isOpen && !isRound || isCut else { return nil }
    return ReadPlace.Cut(commitLSN: reached.commitLSN, nextOrdinal: reached.nextOrdinal)
  }

  /// The event produced last was refused.
  mutating func stepBack() { if !isRound { reached.nextOrdinal &-= 1 } }

  /// Goes on inside a transaction, or, with nil, between two.
  mutating func resume(at cut: ReadPlace.Cut?) {
    guard let cut else { return }
    reached = (cut.commitLSN, cut.nextOrdinal)
    isCut = true
  }
}

/// How far a lane has read: what a sink keeps that keeps its position itself.
struct ReadPlace: Hashable, Sendable {
  /// Where it stands inside a transaction.
  struct Cut: Hashable, Sendable {
    /// The transaction.
    var commitLSN: LSN
    /// The first of its events that is not written.
    var nextOrdinal: UInt64
  }

  /// Everything that ends at or below it is written.
  var lsn: LSN
  /// What is written of the transaction behind it; nil when nothing is.
  var cut: Cut?
  /// How far existing rows are written; nil where none are copied.
  var copied: CopyPlace?
}

/// Transactions, one after the other, as PostgreSQL sends them.
extension Lane where Position == LSN {
  /// A transaction begins, or begins again after a lost connection.
  mutating func begin(_ transaction: Transaction) {
    let commitLSN = transaction.commitLSN
    reading.ticket = nil
    reading.skipBelow = .max
    if let open = openTicket {
      guard commitLSN >= reading.reached.commitLSN else { return }
      // The connection broke inside a transaction. Sent again, it goes on behind what was produced.
      // Not sent any more (the publication has changed), it is settled together with the next one:
      // its entry is taken over, since the ring may have no room for another.
      reading.ticket = open
      reading.skipBelow =
        commitLSN == reading.reached.commitLSN ? reading.reached.nextOrdinal : 0
    } else {
      let goesOn = reading.isCut && commitLSN == reading.reached.commitLSN
      guard commitLSN >= confirmed, goesOn || commitLSN > reading.reached.commitLSN else { return }
      reading.ticket = begin(strand: 0, commitTime: transaction.commitTime)
      reading.skipBelow = goesOn ? reading.reached.nextOrdinal : 0
    }
    reading.isCut = false
    if commitLSN > reading.reached.commitLSN { reading.reached = (commitLSN, 0) }
    // Nothing is produced behind a record that was refused.
    if hasFailed { reading.skipBelow = .max }
  }

  /// Whether the event of this ordinal is wanted; counts it when it was produced before.
  @inline(__always)
  mutating func wants(_ ordinal: UInt64) -> Bool {
    if ordinal >= reading.skipBelow { return true }
    if !hasFailed { counts.repeated &+= 1 }
    return false
  }

  /// Whether the event of this ordinal is to be produced.
  func isWanted(_ ordinal: UInt64) -> Bool { ordinal >= reading.skipBelow }

  /// Whether events are taken still: none was refused.
  @inline(__always)
  var goesOn: Bool { reading.skipBelow != .max }

  /// Counts small records that go with the event that is produced next.
  mutating func gathered(from first: Int) {
    for index in first..<batch.count { count(batch.size(index).payload) }
  }

  /// The ticket of the open transaction's records.
  @inline(__always)
  var ticket: DeliveryTracker<LSN>.Ticket {
    guard let ticket = reading.ticket else {
      preconditionFailure("an event was produced outside a transaction")
    }
    return ticket
  }

  /// An event is behind the lane.
  @inline(__always)
  mutating func passed(_ place: EventPlace) {
    if reading.isRound {
      reading.hasNewRows = true
    } else {
      reading.reached.nextOrdinal = place.ordinal &+ 1
    }
  }

  /// Counts the records that an event became, which were added to ``batch`` from `first` on.
  @inline(__always)
  mutating func produced(from first: Int, _ place: EventPlace, table: @autoclosure () -> String) {
    passed(place)
    let commitLSN = reading.reached.commitLSN
    if let deadLetters, quarantine == nil {
      buryOversized(
        from: first, place, commitLSN: commitLSN, table: table(), source: sourceName,
        into: deadLetters)
    }
    produced(
      from: first, strand: 0, table: table(),
      place: "LSN \(place.lsn), transaction \(commitLSN),")
  }

  /// An event was refused before it became a record.
  mutating func refused(_ place: EventPlace, _ error: StreamerError) {
    passed(place)
    refused(strand: 0, error)
  }

  /// Between transactions, the server has nothing to send below `walEnd`: one that a lost connection
  /// has cut and that lies there does not come again, and ends with what was produced of it.
  ///
  /// Else nothing behind it would be confirmed before the next transaction.
  mutating func endCut(before walEnd: LSN) {
    guard walEnd > reading.reached.commitLSN else { return }
    reading.isCut = false
    guard openTicket != nil else { return }
    commit(strand: 0, end: walEnd)
    reading.ticket = nil
    reading.skipBelow = .max
  }

  /// Existing rows follow, which stand between two transactions: nothing after them is confirmed
  /// before they are delivered.
  mutating func beginRound() {
    let ticket = begin(strand: 0)
    roundTicket = ticket
    reading.ticket = ticket
    reading.skipBelow = hasFailed ? .max : 0
    reading.isRound = true
  }

  /// All existing rows that were taken up to here lie before this place: a sink that keeps its position
  /// may end its transaction here.
  mutating func copyReached(_ place: CopyPlace) {
    guard keeper != nil else { return }
    copied = place
    reading.hasNewRows = false
    flush()
  }

  /// The rows are complete, or are given up: the lane stands where it stood before them.
  mutating func endRound() {
    guard reading.isRound else { return }
    commit(strand: 0, end: end(of: 0) ?? .zero)
    reading.isRound = false
    reading.hasNewRows = false
    reading.ticket = nil
    reading.skipBelow = .max
    ended()
  }

  /// The transaction ends.
  mutating func commit(endLSN: LSN) {
    guard reading.ticket != nil else { return }
    commit(strand: 0, end: endLSN)
    reading.ticket = nil
    reading.skipBelow = .max
    ended()
  }
}
