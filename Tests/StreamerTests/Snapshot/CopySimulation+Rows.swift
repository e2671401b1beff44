import PGWire
import Support

@testable import Streamer

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
    /// Where its record begins: each has its own.
    let lsn: LSN
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

  /// The rows of the table behind a key that the snapshot sees.
  func rowsSeen(
    of table: SnapshotTable, after last: [String]
  ) -> [(key: String, row: Row)] {
    seen.filter { row in
      (last.isEmpty || row.key > last[0])
        && table.condition.map { $0 == "(\"id\") = ('\(row.key)')" } ?? true
    }
  }

  /// What a reader has of its rows by then.
  func fill(_ block: RowBlock, of table: SnapshotTable) -> RowBlock {
    var bytes = block.takeBytes()
    bytes.removeAll()
    block.read = RowsRead()
    block.lastKey = []
    let left = unread[block.reader] ?? []
    let rows = left.prefix(Int.random(in: 0...6, using: &random))
    unread[block.reader] = left.dropFirst(rows.count)
    for (key, row) in rows {
      let payload =
        table.goneKeys != nil
        ? ServerBytes.delete(table.relation.oid, .key, [.text(key), .null, .null])
        : ServerBytes.insert(
          table.relation.oid, [.text(key), .text("\(row.version)"), .text("\(row.big)")])
      bytes.append(bigEndian: Int32(payload.count))
      for byte in payload { bytes.append(byte) }
      if !table.isReadWhole { block.lastKey = [key] }
    }
    block.read.count = rows.count
    block.read.isEnd = rows.count == left.count
    block.put(bytes)
    return block
  }
}
