import PGWire

/// Knows up to where everything has been delivered: the only place that computes a position which
/// may be saved and acknowledged.
///
/// It is a ring of transactions in the order in which they were read. Records of any of them are
/// delivered in any order; ``confirmed`` moves only over the longest prefix of transactions that
/// are committed and have nothing outstanding. There is one tracker for each sink.
struct DeliveryTracker {
  /// The number of a transaction in reading order; what a delivery report brings back.
  typealias Ticket = UInt64

  private struct Entry {
    var outstanding = 0
    /// Everything below it is confirmed once this entry is settled; nil while it is open.
    var endLSN: LSN?
    /// When it was committed, in microseconds since 2000; nil for what has no time.
    var commitTime: Int64?
  }

  /// Transactions that were settled, for the latency metric.
  struct Settled {
    /// How many.
    var count = 0
    /// When the last of them was committed, in microseconds since 2000-01-01 00:00 UTC.
    var commitTime: Int64 = 0
  }

  private var ring: [Entry]
  private var first: Ticket = 0
  private var next: Ticket = 0

  private var settled = Settled()

  /// Every commit with an LSN below it was delivered whole.
  private(set) var confirmed: LSN

  /// Makes a tracker that has confirmed everything below `position`; `capacity` is the number of
  /// unsettled transactions that it holds at most.
  init(startingAt position: LSN, capacity: Int = Limits.unsettledTransactions) {
    confirmed = position
    ring = Array(repeating: Entry(), count: capacity)
  }

  /// How many unsettled transactions it holds at most.
  var capacity: Int { ring.count }

  /// Whether no further transaction can begin until one is settled.
  var isFull: Bool { next - first == ring.count }

  /// Whether nothing is unsettled.
  var isIdle: Bool { next == first }

  /// The transaction that holds back everything after it; nil when nothing is unsettled.
  var oldestTicket: Ticket? { isIdle ? nil : first }

  /// When that transaction was committed, in microseconds since 2000-01-01 00:00 UTC.
  var oldestCommitTime: Int64? { isIdle ? nil : self[first].commitTime }

  /// The transaction begun last, when it has not been committed.
  var openTicket: Ticket? { !isIdle && self[next - 1].endLSN == nil ? next - 1 : nil }

  /// Whether the transaction begun last has not been committed.
  var isOpen: Bool { openTicket != nil }

  /// Begins a transaction and gives its ticket.
  mutating func begin(commitTime: Int64? = nil) -> Ticket {
    precondition(!isFull, "a transaction began although the tracker is full")
    precondition(!isOpen, "a transaction began inside another")
    let ticket = next
    next += 1
    self[ticket] = Entry(commitTime: commitTime)
    return ticket
  }

  /// Counts one record of the open transaction as handed to the sink.
  mutating func produced() {
    precondition(isOpen, "a record was produced outside a transaction")
    self[next - 1].outstanding += 1
  }

  /// Ends the open transaction: once it is settled, everything below `endLSN` is confirmed.
  mutating func commit(endLSN: LSN) {
    precondition(isOpen, "a commit without a begin")
    self[next - 1].endLSN = endLSN
    settle()
  }

  /// Counts `count` records of a transaction as durably acknowledged.
  mutating func delivered(_ ticket: Ticket, count: Int = 1) {
    precondition(ticket >= first && ticket < next, "a delivery of an unknown transaction")
    self[ticket].outstanding -= count
    precondition(self[ticket].outstanding >= 0, "more was delivered than produced")
    settle()
  }

  /// The server has nothing to send below `walEnd`: confirmed at once when nothing is unsettled,
  /// else together with the last transaction, if that one is committed.
  mutating func keepalive(walEnd: LSN) {
    if isIdle {
      confirmed = max(confirmed, walEnd)
    } else if let end = self[next - 1].endLSN {
      self[next - 1].endLSN = max(end, walEnd)
    }
  }

  private mutating func settle() {
    while first < next, self[first].outstanding == 0, let end = self[first].endLSN {
      confirmed = max(confirmed, end)
      if let time = self[first].commitTime {
        settled.count += 1
        settled.commitTime = time
      }
      first += 1
    }
  }

  /// The transactions settled since the last call; nil when there were none.
  mutating func takeSettled() -> Settled? {
    guard settled.count > 0 else { return nil }
    defer { settled.count = 0 }
    return settled
  }

  private subscript(ticket: Ticket) -> Entry {
    get { ring[Int(ticket % UInt64(ring.count))] }
    _modify { yield &ring[Int(ticket % UInt64(ring.count))] }
  }
}
