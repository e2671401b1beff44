import Glibc
import PGWire
import Synchronization

/// Positions in one SQLite file, on disk when a call returns.
///
/// The file is in WAL mode with full synchronisation; a second process is kept out by a lock. A
/// damaged file is never replaced: starting without a position can lose changes, so that is for
/// a person to decide.
final class SQLitePositionStore: PositionStore {
  // The lock is the last to go: it must outlive the connection.
  private let lock: StoreLock?
  private let database: Mutex<SQLiteDatabase>

  /// Opens the store at `path`, and makes it when there is no such file.
  ///
  /// With `readOnly` it takes no lock and changes nothing, so that a running instance can be
  /// looked at; the file must then exist.
  ///
  /// Throws `StreamerError` when another process uses it, when the file is damaged or somebody
  /// else's, or when it cannot be made.
  init(path: String, readOnly: Bool = false) throws(StreamerError) {
    let file = SQLitePositionFile(path: path)
    if readOnly {
      lock = nil
    } else {
      lock = try StoreLock(of: path, name: file.name)
      try file.createIfMissing()
    }
    database = Mutex(try file.connect(readOnly: readOnly))
  }

  func load(source: String) throws(StreamerError) -> [Position] {
    let rows = try database.withLock { database throws(StreamerError) in
      try database.run(
        """
        SELECT sink, system_identifier, timeline, database, slot, publications, lsn
        FROM position WHERE source = ? ORDER BY sink
        """, .text(source))
    }
    var positions: [Position] = []
    for row in rows { positions.append(try position(source: source, row)) }
    return positions
  }

  func save(_ positions: [Position]) throws(StreamerError) {
    if !positions.isEmpty { try transaction(positions.map(Self.upsert)) }
  }

  func forget(source: String, sink: String) throws(StreamerError) {
    try transaction([
      .init(
        "DELETE FROM position WHERE source = ? AND sink = ?", [.text(source), .text(sink)])
    ])
  }

  func appliedOverride(source: String) throws(StreamerError) -> LSN? {
    let rows = try database.withLock { database throws(StreamerError) in
      try database.run("SELECT lsn FROM applied_override WHERE source = ?", .text(source))
    }
    guard case .text(let text)? = rows.first?.first else { return nil }
    return LSN(text)
  }

  func applyOverride(
    _ value: LSN, source: String, positions: [Position]
  ) throws(StreamerError) {
    let override = SQLiteDatabase.Statement(
      """
      INSERT INTO applied_override (source, lsn) VALUES (?, ?)
      ON CONFLICT (source) DO UPDATE SET lsn = excluded.lsn
      """, [.text(source), .text(value.description)])
    try transaction(positions.map(Self.upsert) + [override])
  }

  func keyColumns(
    source: String, relationOID: UInt32, columns: [String]
  ) throws(StreamerError) -> [String]? {
    let rows = try database.withLock { database throws(StreamerError) in
      try database.run(
        "SELECT key FROM key_columns WHERE source = ? AND relation_oid = ? AND columns = ?",
        .text(source), .integer(Int64(relationOID)), .text(NameList.text(columns)))
    }
    guard case .text(let text)? = rows.first?.first else { return nil }
    return NameList.names(text)
  }

  func rememberKeyColumns(
    _ key: [String], source: String, relationOID: UInt32, columns: [String]
  ) throws(StreamerError) {
    try transaction([
      .init(
        """
        INSERT INTO key_columns (source, relation_oid, columns, key) VALUES (?, ?, ?, ?)
        ON CONFLICT (source, relation_oid, columns) DO UPDATE SET key = excluded.key
        """,
        [
          .text(source), .integer(Int64(relationOID)), .text(NameList.text(columns)),
          .text(NameList.text(key)),
        ])
    ])
  }

  private func transaction(_ statements: [SQLiteDatabase.Statement]) throws(StreamerError) {
    try database.withLock { database throws(StreamerError) in
      try database.transaction(statements)
    }
  }

  private static func upsert(_ position: Position) -> SQLiteDatabase.Statement {
    .init(
      """
      INSERT INTO position
        (source, sink, system_identifier, timeline, database, slot, publications, lsn)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (source, sink) DO UPDATE SET
        system_identifier = excluded.system_identifier, timeline = excluded.timeline,
        database = excluded.database, slot = excluded.slot,
        publications = excluded.publications, lsn = excluded.lsn
      """,
      [
        .text(position.source), .text(position.sink), .text(position.systemIdentifier),
        .integer(Int64(position.timeline)), .text(position.database), .text(position.slot),
        .text(NameList.text(position.publications)), .text(position.lsn.description),
      ])
  }

  private func position(
    source: String, _ row: [SQLiteDatabase.Value]
  ) throws(StreamerError) -> Position {
    guard row.count == 7, case .text(let sink) = row[0], case .text(let system) = row[1],
      case .integer(let number) = row[2], let timeline = UInt32(exactly: number),
      case .text(let database) = row[3], case .text(let slot) = row[4],
      case .text(let publications) = row[5], case .text(let text) = row[6], let lsn = LSN(text)
    else {
      throw StreamerError(
        what: "position store", why: "the position of source \"\(source)\" is unreadable",
        hint: "Set it anew with psql-streamer position set.", exit: .preflight)
    }
    return Position(
      source: source, sink: sink, systemIdentifier: system, timeline: timeline,
      database: database, slot: slot, publications: NameList.names(publications), lsn: lsn)
  }
}
