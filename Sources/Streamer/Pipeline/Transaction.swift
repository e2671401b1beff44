import PGWire

/// The transaction that is being read.
struct Transaction {
  /// The server's 32-bit number; nil for a non-transactional message, which stands alone.
  let xid: UInt32?
  /// Where its commit record starts, or the last byte of such a message's record: rising in
  /// delivery order, and with the ordinal an event's identity.
  let commitLSN: LSN
  /// When it was committed: microseconds since 2000-01-01 00:00 UTC; nil for such a message,
  /// which has no time.
  let commitTime: Int64?
  /// Where the message stands that it begins with; nil where it has none.
  var beginLSN: LSN?
  /// The next event's number.
  ///
  /// Every event counts, whatever a sink filters, so that it is the same for every sink.
  private(set) var nextOrdinal: UInt64 = 0

  /// Whether it is no transaction, but a round of existing rows.
  var isRound = false

  init(xid: UInt32?, commitLSN: LSN, commitTime: Int64?) {
    self.xid = xid
    self.commitLSN = commitLSN
    self.commitTime = commitTime
  }

  /// Existing rows as they were at `time`, in microseconds since 2000-01-01 00:00 UTC, before whatever
  /// was committed at `point` or later; their numbers begin with `firstOrdinal`.
  ///
  /// No commit record starts at the byte before: records are aligned.
  init(existingRowsAt point: LSN, time: Int64, firstOrdinal: UInt64) {
    self.init(xid: nil, commitLSN: LSN(point.value &- 1), commitTime: time)
    isRound = true
    nextOrdinal = firstOrdinal
  }

  /// Numbers the next event.
  mutating func takeOrdinal() -> UInt64 {
    defer { nextOrdinal += 1 }
    return nextOrdinal
  }
}
