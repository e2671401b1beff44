import PGWire

/// What the I/O worker is to do for a copy of existing rows; one step is under way at a time.
enum SnapshotStep: Sendable {
  /// Locks these tables and asks how many rows the uncounted ones have: what may take a while before a
  /// snapshot is taken of them.
  case lock([TableProgress], uncounted: [UInt32])
  /// Takes a snapshot of the server with these tables in it, and of them the rows that meet a
  /// condition, or of these keys those that have no row; locks them first unless that has been done.
  case open([TableProgress], filter: String?, keys: String? = nil)
  /// Begins to read a table behind a key, and fills the block with the first rows.
  case read(SnapshotTable, after: [String], limit: Int, into: RowBlock)
  /// Fills the block with more of them.
  case readOn(SnapshotTable, into: RowBlock)
  /// Lets go of the snapshot.
  case close
  /// Makes progress durable.
  case save(CopyBook, SourceOrigin)
}

/// What came of a step.
enum SnapshotAnswer: Sendable {
  /// The tables are locked.
  case locked
  /// The snapshot is there, with the tables that are published and can be read at it.
  case opened(SnapshotPoint)
  /// The block holds rows.
  case rows(RowBlock)
  /// The snapshot is let go of.
  case closed
  /// Progress is durable.
  case saved
  /// The copy cannot be made, which the store has: the server does not take its condition, or does not
  /// show its tables.
  case refused(CopyBook)
  /// The step has failed.
  case failed(StreamerError)
}

/// A snapshot of the server.
struct SnapshotPoint: Sendable {
  /// What it sees.
  var snapshot: ServerSnapshot
  /// Everything that it sees has a commit record that begins before it.
  var limit: LSN
  /// When it was taken, in microseconds since 2000-01-01 00:00 UTC.
  var time: Int64
  /// The tables, as it has them; those that are gone are missing.
  var tables: [SnapshotTable]
  /// How many rows the server believes the uncounted tables have, by OID; negative where it has not
  /// counted.
  var estimates: [UInt32: Int64] = [:]
}

/// Existing rows on their way from the worker to the pipeline.
// SAFETY: it is given to and fro between the worker and the driver's thread, and only the one that has
// it uses it.
final class RowBlock: @unchecked Sendable {
  private var bytes: ByteWriter? = ByteWriter(capacity: Limits.firstBlockBytes)
  /// What was read last.
  var read = RowsRead()
  /// The key of the last row in it; empty where there is none.
  var lastKey: [String] = []

  /// Takes the bytes out, to be put back.
  func takeBytes() -> ByteWriter { bytes.take() ?? ByteWriter() }

  /// Puts the bytes back.
  func put(_ bytes: consuming ByteWriter) { self.bytes = consume bytes }
}
