import PGWire

/// A place in a stream, in the order in which it is read.
protocol TrackedPosition: Comparable, Sendable {
  /// Where nothing has been read.
  static var zero: Self { get }
  /// The place in PostgreSQL's log that it is; nil for one in something else.
  var lsn: LSN? { get }
  /// The same, the other way round.
  init?(lsn: LSN)
}

extension TrackedPosition {
  var lsn: LSN? { nil }
  init?(lsn: LSN) { nil }
}

extension LSN: TrackedPosition {
  var lsn: LSN? { self }
  init?(lsn: LSN) { self = lsn }
}

/// Knows up to where everything has been delivered: the only place that computes a position which
/// may be saved and acknowledged.
///
/// It is a ring of transactions in the order in which they were read. Records of any of them are
/// delivered in any order; ``confirmed`` moves only over the longest prefix of transactions that
/// are committed and have nothing outstanding. There is one tracker for each strand of a lane.
///
/// The ring grows on need and gives its memory back when nothing is unsettled.
struct DeliveryTracker<Position: TrackedPosition> {
  /// The number of a transaction in reading order; what a delivery report brings back.
  ///
  /// Numbers are never used twice, also over ``restart(at:)``.
  typealias Ticket = UInt64

  private struct Entry {
    var outstanding = 0
    /// When it was committed, in microseconds since 2000; the least number for what has no time.
    var commitTime = Int64.min
    /// Everything below it is confirmed once this entry is settled and committed.
    var end: Position
    var isCommitted = false
  }

  /// How many transactions there is room for at first.
  private static var leastRoom: Int { 16 }
  /// How much room is kept when nothing is unsettled.
  private static var keptRoom: Int { 128 }

  /// Its size is a power of two, or zero.
  private var ring: [Entry] = []
  /// The first ticket of this reading: smaller ones are of readings that are over.
  private var base: Ticket = 0
  private var first: Ticket = 0
  private var next: Ticket = 0

  private var settled = SettledTransactions()

  /// Everything that ends at or below it was delivered whole.
  private(set) var confirmed: Position

  /// How many unsettled transactions it holds at most.
  let capacity: Int

  /// Makes a tracker that has confirmed everything below `position`.
  init(startingAt position: Position, capacity: Int = Limits.unsettledTransactions) {
    confirmed = position
    self.capacity = capacity
  }

  /// Bytes that the ring takes.
  var ownedBytes: Int { ring.capacity * MemoryLayout<Entry>.stride }

  /// Whether no further transaction can begin until one is settled.
  var isFull: Bool { next &- first == UInt64(capacity) }

  /// Whether nothing is unsettled.
  var isIdle: Bool { next == first }

  /// Whether a transaction of this reading is committed and delivered.
  func isSettled(_ ticket: Ticket) -> Bool { ticket >= base && ticket < first }

  /// The transaction that holds back everything after it; nil when nothing is unsettled.
  var oldestTicket: Ticket? { isIdle ? nil : first }

  /// When that transaction was committed, in microseconds since 2000-01-01 00:00 UTC.
  var oldestCommitTime: Int64? {
    guard !isIdle, self[first].commitTime != .min else { return nil }
    return self[first].commitTime
  }

  /// The transaction begun last, when it has not been committed.
  var openTicket: Ticket? { !isIdle && !self[next - 1].isCommitted ? next - 1 : nil }

  /// Whether the transaction begun last has not been committed.
  var isOpen: Bool { openTicket != nil }

  /// Where the transaction ends that was committed last.
  var end: Position {
    guard !isIdle else { return confirmed }
    if self[next - 1].isCommitted { return max(self[next - 1].end, confirmed) }
    return next - first > 1 ? max(self[next - 2].end, confirmed) : confirmed
  }

  /// Begins a transaction and gives its ticket.
  mutating func begin(commitTime: Int64? = nil) -> Ticket {
    precondition(!isFull, "a transaction began although the tracker is full")
    precondition(!isOpen, "a transaction began inside another")
    if next &- first == UInt64(ring.count) { grow() }
    let ticket = next
    next += 1
    self[ticket] = Entry(commitTime: commitTime ?? .min, end: confirmed)
    return ticket
  }

  /// Counts one record of the open transaction as handed to the sink.
  mutating func produced() {
    precondition(isOpen, "a record was produced outside a transaction")
    self[next - 1].outstanding += 1
  }

  /// Ends the open transaction: once it is settled, everything below `end` is confirmed.
  mutating func commit(end: Position) {
    precondition(isOpen, "a commit without a begin")
    self[next - 1].end = end
    self[next - 1].isCommitted = true
    settle()
  }

  /// Counts `count` records of a transaction as durably acknowledged; those of a reading that is
  /// over change nothing.
  mutating func delivered(_ ticket: Ticket, count: Int = 1) {
    precondition(ticket < next, "a delivery of an unknown transaction")
    guard ticket >= base else { return }
    precondition(ticket >= first, "a delivery of a transaction that is settled")
    self[ticket].outstanding -= count
    precondition(self[ticket].outstanding >= 0, "more was delivered than produced")
    settle()
  }

  /// The server has nothing to send below `position`: confirmed at once when nothing is unsettled,
  /// else together with the last transaction, if that one is committed.
  mutating func keepalive(_ position: Position) {
    if isIdle {
      confirmed = max(confirmed, position)
    } else if self[next - 1].isCommitted {
      self[next - 1].end = max(self[next - 1].end, position)
    }
  }

  /// Begins a new reading at a position: what was begun and not settled is forgotten, and its
  /// deliveries change nothing.
  mutating func restart(at position: Position) {
    base = next
    first = next
    ring = []
    confirmed = position
  }

  private mutating func settle() {
    let before = first
    while first < next, self[first].outstanding == 0, self[first].isCommitted {
      confirmed = max(confirmed, self[first].end)
      if self[first].commitTime != .min { settled.add(self[first].commitTime) }
      first += 1
    }
    if first == next, first != before, ring.count > Self.keptRoom { ring = [] }
  }

  /// The transactions settled since the last call; nil when there were none.
  mutating func takeSettled() -> SettledTransactions? {
    guard settled.count > 0 else { return nil }
    defer { settled = SettledTransactions() }
    return settled
  }

  private mutating func grow() {
    let room = max(ring.count * 2, Self.leastRoom)
    var larger = Array(repeating: Entry(end: confirmed), count: room)
    for ticket in first..<next { larger[Int(ticket % UInt64(room))] = self[ticket] }
    ring = larger
  }

  private subscript(ticket: Ticket) -> Entry {
    get { ring[Int(truncatingIfNeeded: ticket) & (ring.count &- 1)] }
    _modify { yield &ring[Int(truncatingIfNeeded: ticket) & (ring.count &- 1)] }
  }
}

/// Transactions that were settled, with the commit time of each in their sum.
struct SettledTransactions: Sendable {
  /// How many.
  private(set) var count = 0
  /// The commit time of the first, in microseconds since 2000-01-01 00:00 UTC.
  private var first: Int64 = 0
  /// How much later than the first the others were committed, in microseconds, all together.
  private var later = 0.0

  /// Adds a transaction by its commit time, in microseconds since 2000-01-01 00:00 UTC.
  mutating func add(_ commitTime: Int64) {
    if count == 0 { first = commitTime } else { later += Double(commitTime) - Double(first) }
    count += 1
  }

  /// Takes those of another lane or strand in.
  mutating func add(_ others: SettledTransactions) {
    guard others.count > 0 else { return }
    if count == 0 { first = others.first }
    later += others.later + (Double(others.first) - Double(first)) * Double(others.count)
    count += others.count
  }

  /// How long they took from their commits until `now`, in seconds, all together; `now` is in
  /// microseconds since 2000-01-01 00:00 UTC.
  func latencySum(at now: Int64) -> Double {
    ((Double(now) - Double(first)) * Double(count) - later) / 1_000_000
  }
}
