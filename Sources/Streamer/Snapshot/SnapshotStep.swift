import PGWire

/// What the I/O worker is to do for a copy of existing rows; one step is under way at a time.
enum SnapshotStep: Sendable {
  /// Locks these tables and asks how many rows the uncounted ones have: what may take a while before a
  /// snapshot is taken of them.
  case lock([TableProgress], uncounted: [UInt32])
  /// Takes a snapshot of the server with these tables in it, and of them the rows that meet a
  /// condition, or of these keys those that have no row; locks them first unless that has been done.
  case open([TableProgress], filter: String?, keys: String? = nil)
  /// Finds the key of the last of so many rows behind a key.
  case seek(SnapshotTable, after: [String], rows: Int, reader: Int)
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
  /// The key that a reader was to find; empty where there are not so many rows, and nil while the
  /// server looks for it.
  case found([String]?, reader: Int)
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
  /// Who fills it: the first reader has taken the snapshot, the others share it.
  var reader = 0
  /// What was read last.
  var read = RowsRead()
  /// The key of the last row in it; empty where there is none.
  var lastKey: [String] = []

  /// Takes the bytes out, to be put back.
  func takeBytes() -> ByteWriter { bytes.take() ?? ByteWriter() }

  /// Puts the bytes back.
  func put(_ bytes: consuming ByteWriter) { self.bytes = consume bytes }

  /// The rows that lie before a place in it: how many, and the key of the last.
  func part(before end: Int, key columns: [Int]) -> (rows: Int, key: [String]) {
    let bytes = takeBytes()
    let part = Self.part(of: bytes, before: end, key: columns)
    put(bytes)
    return part
  }

  private static func part(
    of block: borrowing ByteWriter, before end: Int, key columns: [Int]
  ) -> (rows: Int, key: [String]) {
    let bytes = block.bytes
    var (rows, last, offset) = (0, 0, 0)
    while offset < end {
      var reader = ByteReader(bytes.extracting(offset..<bytes.byteCount))
      guard (try? reader.skipSized()) != nil else { break }
      rows += 1
      last = offset
      offset += reader.offset
    }
    return (rows, rows > 0 ? key(columns, ofRowAt: last, in: bytes) : [])
  }

  /// The key of the row that begins there, as text; empty where it cannot be had.
  static func key(_ columns: [Int], ofRowAt start: Int, in bytes: RawSpan) -> [String] {
    var decoder = PgOutputDecoder()
    var reader = ByteReader(bytes.extracting(start..<bytes.byteCount))
    guard let payload = try? reader.sizedSpan(),
      case .change(let change)? = try? decoder.decode(payload)
    else { return [] }
    var key: [String] = []
    for column in columns {
      guard case .text(let text) = change.new.value(at: column) else { return [] }
      key.append(text.text)
    }
    return key
  }
}
