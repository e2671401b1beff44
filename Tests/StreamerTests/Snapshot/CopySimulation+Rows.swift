import PGWire

/// What transactions write.
extension CopySimulation {
  /// A transaction.
  struct Writer {
    let xid: UInt64
    /// The rows that it leaves.
    var changes: [Change] = []
    /// Where its commit record begins; nil while it is open.
    var commit: LSN?
    /// Whether the stream does not have it: it fell into a gap.
    var isMissed = false
  }

  /// What a transaction leaves of a key.
  struct Change {
    let key: Int
    /// Its row; nil where it is gone.
    let row: Row?
    var old: Row?
    /// The key that the row had before.
    var movedFrom: Int?
    /// Whether the row has another key now.
    var isMoved = false
  }

  /// A row's values.
  struct Row: Equatable {
    /// Rises with each change of any row.
    var version: Int
    /// A large value that updates leave alone.
    var big: Int
  }
}
