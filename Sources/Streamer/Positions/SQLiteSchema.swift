import PGWire

/// The tables of a position store, version by version.
enum SQLiteSchema {
  /// The version that is written, in SQLite's user_version.
  static let version: Int64 = 2

  /// The tables of ``version``; every row ends with its ``RowChecksum``.
  static let tables = [
    """
    CREATE TABLE position (
      source TEXT NOT NULL, sink TEXT NOT NULL, system_identifier TEXT NOT NULL,
      timeline INTEGER NOT NULL, database TEXT NOT NULL, slot TEXT NOT NULL,
      publications TEXT NOT NULL, lsn TEXT NOT NULL, checksum INTEGER NOT NULL,
      PRIMARY KEY (source, sink)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE applied_override (
      source TEXT PRIMARY KEY, lsn TEXT NOT NULL, checksum INTEGER NOT NULL
    ) STRICT
    """,
    // An LSN is written with all its 16 digits here, so that its text has its order.
    """
    CREATE TABLE key_columns (
      source TEXT NOT NULL, system_identifier TEXT NOT NULL, database TEXT NOT NULL,
      relation_oid INTEGER NOT NULL, lsn TEXT NOT NULL, columns TEXT NOT NULL,
      key TEXT NOT NULL, checksum INTEGER NOT NULL,
      PRIMARY KEY (source, system_identifier, database, relation_oid, lsn)
    ) STRICT, WITHOUT ROWID
    """,
  ]

  /// A table that came later; a program without it passes over it, so it is no version of its own.
  static let gapTable = """
    CREATE TABLE IF NOT EXISTS gap (
      source TEXT NOT NULL, number INTEGER NOT NULL, since TEXT, until TEXT, kind TEXT NOT NULL,
      cause TEXT NOT NULL, action TEXT NOT NULL, at INTEGER NOT NULL, checksum INTEGER NOT NULL,
      PRIMARY KEY (source, number)
    ) STRICT, WITHOUT ROWID
    """

  /// Others: the copies of existing rows, and how far each of their tables is.
  static let copyTables = [
    """
    CREATE TABLE IF NOT EXISTS copy_request (
      source TEXT NOT NULL, system_identifier TEXT NOT NULL, database TEXT NOT NULL,
      request INTEGER NOT NULL, tables TEXT NOT NULL, filter TEXT, mark TEXT,
      state TEXT NOT NULL, error TEXT, checksum INTEGER NOT NULL,
      PRIMARY KEY (source, system_identifier, database, request)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS copied_table (
      source TEXT NOT NULL, system_identifier TEXT NOT NULL, database TEXT NOT NULL,
      request INTEGER NOT NULL, relation_oid INTEGER NOT NULL, number INTEGER NOT NULL,
      name TEXT NOT NULL, last_key TEXT NOT NULL, rows INTEGER NOT NULL, is_done INTEGER NOT NULL,
      checksum INTEGER NOT NULL,
      PRIMARY KEY (source, system_identifier, database, request, relation_oid)
    ) STRICT, WITHOUT ROWID
    """,
  ]

  /// Another: how far signal topics are read.
  static let signalTable = """
    CREATE TABLE IF NOT EXISTS signal_offset (
      source TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
      checksum INTEGER NOT NULL, PRIMARY KEY (source, topic, partition)
    ) STRICT, WITHOUT ROWID
    """

  /// Another: which sources owe a comparison of keys.
  static let owedTable = """
    CREATE TABLE IF NOT EXISTS owed_comparison (
      source TEXT PRIMARY KEY, system_identifier TEXT NOT NULL, database TEXT NOT NULL,
      since INTEGER NOT NULL, checksum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """

  /// What the copies of a database are read with, in the order of ``StoredRow/request``.
  static let requests = """
    SELECT source, system_identifier, database, request, tables, filter, mark, state, error, checksum
    FROM copy_request WHERE source = ? AND system_identifier = ? AND database = ?
    """

  /// What their progress is read with, in the order of ``StoredRow/progress``.
  static let progress = """
    SELECT source, system_identifier, database, request, relation_oid, number, name, last_key, rows,
      is_done, checksum FROM copied_table
    WHERE source = ? AND system_identifier = ? AND database = ?
    """

  /// What the ledger of a source is read with, in the order of ``StoredRow/gap``.
  static let gaps = """
    SELECT source, number, since, until, kind, cause, action, at, checksum FROM gap
    WHERE source = ? ORDER BY number
    """

  /// What the stored positions are read with, in the order of ``StoredRow/position``.
  static func positions(version: Int64) -> String {
    """
    SELECT source, sink, system_identifier, timeline, database, slot, publications, lsn\
    \(version == 1 ? "" : ", checksum") FROM position
    """
  }

  /// What the applied overrides are read with.
  static func overrides(version: Int64) -> String {
    "SELECT source, lsn\(version == 1 ? "" : ", checksum") FROM applied_override"
  }

  /// Brings a file of the first version to ours, all of it or nothing.
  ///
  /// Its rows get their checksums. The keys that it remembered go: they were bound neither to a
  /// cluster nor to a place in its WAL, and stayed when a key was added.
  static func migrate(
    _ database: borrowing SQLiteDatabase, name: String
  ) throws(StreamerError) {
    var statements: [SQLiteDatabase.Statement] = []
    let positions = try database.run(positions(version: 1))
    let overrides = try database.run(overrides(version: 1))
    for table in ["position", "applied_override", "key_columns"] {
      statements.append(.init("DROP TABLE \(table)"))
    }
    statements += tables.map { .init($0) }
    for row in positions {
      statements.append(StoredRow.upsert(try StoredRow.position(row, store: name)))
    }
    for row in overrides {
      let (source, lsn) = try StoredRow.override(row, store: name)
      statements.append(StoredRow.upsert(override: lsn, source: source))
    }
    statements.append(.init("PRAGMA user_version = \(version)"))
    try database.transaction(statements)
  }
}
