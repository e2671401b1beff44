import Glibc
import PGWire
import Synchronization

/// Positions in one SQLite file, on disk when a call returns.
///
/// The file is in WAL mode with full synchronisation; a second process is kept out by a lock. A
/// damaged file is never replaced: that is for a person to decide.
final class SQLitePositionStore {
  private typealias Statement = SQLiteDatabase.Statement

  // The lock is the last to go: it must outlive the connection.
  private let lock: StoreLock?
  private let database: Mutex<SQLiteDatabase>
  private let file: SQLitePositionFile
  private let version: Int64
  private let identity: FileIdentity?
  // The log's, from the first save on: SQLite makes it when it needs it.
  private let logIdentity = Mutex<FileIdentity?>(nil)

  /// Opens the store at `path`, and makes it when there is no such file.
  ///
  /// With `readOnly` it takes no lock and changes nothing, so that a running instance can be
  /// looked at; the file must then exist.
  ///
  /// Throws `StreamerError` when another process uses it, when the file is damaged or somebody
  /// else's, or when it cannot be made.
  init(path: String, readOnly: Bool = false) throws(StreamerError) {
    file = SQLitePositionFile(path: path)
    if readOnly {
      lock = nil
    } else {
      lock = try StoreLock(of: path, name: file.name)
      try file.createIfMissing()
    }
    let database = try file.connect(readOnly: readOnly)
    identity = FileIdentity(of: path)
    guard case .integer(let version)? = try database.run("PRAGMA user_version").first?.first else {
      throw SQLiteDatabase.corrupt(file.name, "it has no version")
    }
    self.version = version
    self.database = Mutex(database)
  }

  private func rows(_ sql: String, _ values: [SQLiteDatabase.Value]) throws(StreamerError)
    -> [[SQLiteDatabase.Value]]
  {
    try database.withLock { database throws(StreamerError) in
      try database.run(Statement(sql, values))
    }
  }

  private func transaction(_ statements: [Statement]) throws(StreamerError) {
    try database.withLock { database throws(StreamerError) in
      try database.transaction(statements)
    }
    try checkPlace()
  }

  /// Makes sure that what was just stored can be found by the next start.
  ///
  /// A file that is deleted while it is open takes everything and keeps nothing.
  private func checkPlace() throws(StreamerError) {
    let log = FileIdentity(of: "\(file.path)-wal")
    let isSameLog = logIdentity.withLock { known in
      if known == nil { known = log }
      return log != nil && known == log
    }
    guard identity != nil, FileIdentity(of: file.path) == identity, isSameLog else {
      throw StreamerError(
        what: file.name, why: "the file was deleted or replaced while in use: nothing is stored",
        hint: "Restart psql-streamer: it makes a new one, or reads what lies there now.",
        retryable: true)
    }
  }
}

extension SQLitePositionStore: PositionStore {
  func load(source: String) throws(StreamerError) -> [Position] {
    let query = SQLiteSchema.positions(version: version) + " WHERE source = ? ORDER BY sink"
    var positions: [Position] = []
    for row in try rows(query, [.text(source)]) {
      positions.append(try StoredRow.position(row, store: file.name))
    }
    return positions
  }

  func save(_ positions: [Position]) throws(StreamerError) {
    if !positions.isEmpty { try transaction(positions.map(StoredRow.upsert)) }
  }

  func forget(source: String, sink: String) throws(StreamerError) {
    try transaction([
      .init(
        "DELETE FROM position WHERE source = ? AND sink = ?", [.text(source), .text(sink)])
    ])
  }
}

extension SQLitePositionStore: SourceMemory {
  func appliedOverride(source: String) throws(StreamerError) -> LSN? {
    let query = SQLiteSchema.overrides(version: version) + " WHERE source = ?"
    guard let row = try rows(query, [.text(source)]).first else { return nil }
    return try StoredRow.override(row, store: file.name).lsn
  }

  func applyOverride(
    _ value: LSN, source: String, positions: [Position]
  ) throws(StreamerError) {
    let override = StoredRow.upsert(override: value, source: source)
    try transaction(positions.map(StoredRow.upsert) + [override])
  }

  func keyColumns(of table: DescribedTable, at lsn: LSN) throws(StreamerError) -> [String]? {
    try history(of: table).key(of: table.columns, at: lsn)
  }

  func rememberKeyColumns(
    _ key: [String], of table: DescribedTable, at lsn: LSN
  ) throws(StreamerError) {
    let entry = KeyHistory.Entry(lsn: lsn, columns: table.columns, key: key)
    guard try history(of: table).isNews(entry) else { return }
    try transaction([StoredRow.upsert(entry, of: table)])
  }

  func prune(_ origin: SourceOrigin, before lsn: LSN) throws(StreamerError) {
    let here: [SQLiteDatabase.Value] = [
      .text(origin.source), .text(origin.systemIdentifier), .text(origin.database),
    ]
    try transaction([
      .init(
        """
        DELETE FROM key_columns
        WHERE source = ? AND (system_identifier <> ? OR database <> ?)
        """, here),
      .init(
        """
        DELETE FROM key_columns AS old
        WHERE source = ? AND system_identifier = ? AND database = ? AND EXISTS (
          SELECT 1 FROM key_columns AS new
          WHERE new.source = old.source AND new.system_identifier = old.system_identifier
            AND new.database = old.database AND new.relation_oid = old.relation_oid
            AND new.lsn > old.lsn AND new.lsn <= ?)
        """, here + [.text(StoredRow.sortable(lsn))]),
    ])
  }

  func record(_ gap: Gap) throws(StreamerError) {
    let last = try ledger(of: gap.source).last
    guard last?.gap.repeats(gap) != true else { return }
    let number = (last?.number ?? 0) + 1
    try transaction([
      StoredRow.insert(gap, number: number),
      .init(
        "DELETE FROM gap WHERE source = ? AND number <= ?",
        [.text(gap.source), .integer(number - Int64(Limits.gaps))]),
    ])
  }

  func gaps(source: String) throws(StreamerError) -> [Gap] {
    try ledger(of: source).map(\.gap)
  }

  func copies(of origin: SourceOrigin) throws(StreamerError) -> CopyBook {
    guard try holds("copied_table") else { return CopyBook() }
    var requests: [CopyRequest] = []
    for row in try rows(SQLiteSchema.requests, StoredRow.place(of: origin)) {
      requests.append(try StoredRow.request(row, store: file.name))
    }
    var tables: [TableProgress] = []
    for row in try rows(SQLiteSchema.progress, StoredRow.place(of: origin)) {
      tables.append(try StoredRow.progress(row, store: file.name))
    }
    return CopyBook(requests, tables)
  }

  func save(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError) {
    let statements =
      copies.requests.map { StoredRow.upsert($0, of: origin) }
      + copies.tables.map { StoredRow.upsert($0, of: origin) }
    if !statements.isEmpty { try transaction(statements) }
  }

  func forget(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError) {
    let place = "source = ? AND system_identifier = ? AND database = ? AND request = ?"
    var statements: [Statement] = []
    for request in copies.requests {
      let values = StoredRow.place(of: origin) + [.integer(Int64(request.number))]
      for table in ["copy_request", "copied_table"] {
        statements.append(Statement("DELETE FROM \(table) WHERE \(place)", values))
      }
    }
    for table in copies.tables {
      let numbers = [Int64(table.request), Int64(table.relation)].map(SQLiteDatabase.Value.integer)
      statements.append(
        Statement(
          "DELETE FROM copied_table WHERE \(place) AND relation_oid = ?",
          StoredRow.place(of: origin) + numbers))
    }
    if !statements.isEmpty { try transaction(statements) }
  }

  func signalOffsets(
    source: String, topic: String
  ) throws(StreamerError) -> [Int32: Int64] {
    guard try holds("signal_offset") else { return [:] }
    let query = """
      SELECT source, topic, partition, offset, checksum FROM signal_offset
      WHERE source = ? AND topic = ?
      """
    var offsets: [Int32: Int64] = [:]
    for row in try rows(query, [.text(source), .text(topic)]) {
      let (partition, offset) = try StoredRow.signalOffset(row, store: file.name)
      offsets[partition] = offset
    }
    return offsets
  }

  func save(
    signalOffset: Int64, of partition: Int32, topic: String, source: String
  ) throws(StreamerError) {
    try transaction([
      StoredRow.upsert(signalOffset: signalOffset, of: partition, topic: topic, source: source)
    ])
  }

  func owe(_ comparison: OwedComparison) throws(StreamerError) {
    try transaction([StoredRow.upsert(comparison)])
  }

  func owedComparison(source: String) throws(StreamerError) -> OwedComparison? {
    guard try holds("owed_comparison") else { return nil }
    let query = """
      SELECT source, system_identifier, database, since, checksum FROM owed_comparison
      WHERE source = ?
      """
    guard let row = try rows(query, [.text(source)]).first else { return nil }
    return try StoredRow.owed(row, store: file.name)
  }

  func settle(_ comparison: OwedComparison) throws(StreamerError) {
    try transaction([
      .init(
        "DELETE FROM owed_comparison WHERE source = ? AND since = ?",
        [.text(comparison.origin.source), .integer(comparison.since.microseconds)])
    ])
  }

  /// Whether there is a table that came later: a reader makes none.
  private func holds(_ table: String) throws(StreamerError) -> Bool {
    let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return try !rows(query, [.text(table)]).isEmpty
  }

  private func ledger(of source: String) throws(StreamerError) -> [(number: Int64, gap: Gap)] {
    guard try holds("gap") else { return [] }
    var entries: [(number: Int64, gap: Gap)] = []
    for row in try rows(SQLiteSchema.gaps, [.text(source)]) {
      entries.append(try StoredRow.gap(row, store: file.name))
    }
    return entries
  }

  private func history(of table: DescribedTable) throws(StreamerError) -> KeyHistory {
    // The first version's keys are not trusted, and a reader does not migrate.
    guard version == SQLiteSchema.version else { return KeyHistory() }
    let found = try rows(
      """
      SELECT source, system_identifier, database, relation_oid, lsn, columns, key, checksum
      FROM key_columns
      WHERE source = ? AND system_identifier = ? AND database = ? AND relation_oid = ?
      ORDER BY lsn
      """, StoredRow.place(of: table))
    var entries: [KeyHistory.Entry] = []
    for row in found { entries.append(try StoredRow.keyEntry(row, store: file.name)) }
    return KeyHistory(entries)
  }
}
