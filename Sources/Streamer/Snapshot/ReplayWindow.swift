import PGWire

/// How far a standby had replayed the log before and after it took a snapshot.
///
/// Replay is one process that takes record by record. A commit record makes its transaction visible
/// first and is counted as replayed then, so a snapshot sees all that was replayed before it, and what
/// was replayed after it and one record more, at most.
struct ReplayWindow: Hashable, Sendable {
  /// What had been replayed before the snapshot was taken: all of it is seen.
  var before: LSN
  /// What had been replayed after that.
  var after: LSN
  /// The log that a walreceiver had received, asked for in between; nil where none runs.
  var received: LSN?
  /// The size of a page of the log (`wal_block_size`).
  var pageBytes: UInt64

  /// Every transaction whose commit record begins there or behind is not seen; and who has been sent
  /// everything up to there has been sent all that is seen.
  var limit: LSN {
    // Nothing was there that could have been under way: replay reads no other log while a walreceiver
    // runs.
    if let received, received <= after { return after }
    // The next record begins where the last one ends, or behind the header of a page. It is longer
    // than what is added here.
    return LSN(after.value + (after.value % pageBytes == 0 ? Self.pageHeader : 0) + Self.alignment)
  }

  /// Where records may begin: multiples of it.
  private static let alignment: UInt64 = 8
  /// The longest header of a page, that of the first of a segment.
  private static let pageHeader: UInt64 = 40
}
