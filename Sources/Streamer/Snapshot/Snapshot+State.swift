import PGWire

extension Snapshot {
  /// What it is doing.
  enum State {
    /// There is nothing to copy.
    case off
    /// The next round is due then.
    case resting(until: Instant)
    /// The worker locks the tables.
    case locking
    /// The worker takes a snapshot, and no transaction of the stream begins: what is read after it is
    /// taken and before it is known what it sees would make it older than the stream.
    case opening
    /// The stream runs to the place where the rows belong.
    case fencing(SnapshotPoint, since: Instant)
    /// Rows are read, and the stream waits.
    case reading(Round)
    /// The worker lets go of the snapshot, which was of no use perhaps.
    case closing(isStale: Bool)
    /// The sinks deliver the rows.
    case delivering
    /// The worker saves how far the copy is.
    case saving
  }

  /// When the next step is due by time alone.
  var deadline: Instant? {
    switch state {
    case .resting(let until) where !notices.isEmpty: until
    case .resting(let until) where !isUnderWay && !isHeld && current != nil: until
    case .delivering: nextSave
    default: nil
    }
  }

  var isOpening: Bool {
    switch state {
    case .locking, .opening: true
    default: false
    }
  }

  /// Whether the rows that are being read are still wanted.
  var isWanted: Bool {
    guard case .reading(let round) = state else { return true }
    return round.parts.allSatisfy { part in
      book.index(of: part.table.relation.oid, in: round.request)
        .map { !book.tables[$0].isDone } ?? false
    }
  }
}
