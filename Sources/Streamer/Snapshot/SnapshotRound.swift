extension Snapshot {
  /// The rows that are read at one snapshot.
  struct Round {
    /// The copy's number.
    var request: Int
    /// The tables, as the snapshot has them, in the order in which they are read.
    var tables: [SnapshotTable]
    /// When it began.
    var began: Instant
    /// The part of a table that is being read; nil before the first.
    var part: Part?
    /// The block whose rows are being taken, and how far.
    var block: RowBlock?
    var offset = 0
    /// The block behind it.
    var next: RowBlock?
    /// The rows that it has brought.
    var rows: Int64 = 0
    /// How far its tables are with them.
    var progress: [TableProgress] = []
    /// How many tables of the start's copy are not complete.
    var leftAtStart = 0

    /// Notes how far a table is.
    mutating func note(_ table: TableProgress) {
      if let index = progress.firstIndex(where: { $0.relation == table.relation }) {
        progress[index] = table
      } else {
        progress.append(table)
      }
    }
  }

  /// A part of a table: its rows behind a key, a bounded number of them.
  struct Part {
    var limit: Int
    var began: Instant
    /// How many rows have been fetched.
    var fetched = 0
    /// Whether it has been asked for, and whether all of it has come.
    var isAsked = false
    var isFetched = false
  }
}
