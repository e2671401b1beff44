import Glibc

/// The file of a position store: how it is made, recognised, and refused.
struct SQLitePositionFile {
  /// Marks a SQLite file as ours ("psqs"), in SQLite's application_id.
  static let applicationID: Int64 = 0x7073_7173
  /// The version of the tables below, in SQLite's user_version.
  static let schemaVersion: Int64 = 1

  private static let tables = [
    """
    CREATE TABLE position (
      source TEXT NOT NULL, sink TEXT NOT NULL, system_identifier TEXT NOT NULL,
      timeline INTEGER NOT NULL, database TEXT NOT NULL, slot TEXT NOT NULL,
      publications TEXT NOT NULL, lsn TEXT NOT NULL, PRIMARY KEY (source, sink)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE applied_override (source TEXT PRIMARY KEY, lsn TEXT NOT NULL) STRICT",
    """
    CREATE TABLE key_columns (
      source TEXT NOT NULL, relation_oid INTEGER NOT NULL, columns TEXT NOT NULL,
      key TEXT NOT NULL, PRIMARY KEY (source, relation_oid, columns)
    ) STRICT, WITHOUT ROWID
    """,
  ]

  /// Where the file lies.
  let path: String
  /// How errors name it.
  var name: String { "position store \"\(path)\"" }

  /// Makes the file with its empty tables unless it exists; the lock must be held.
  ///
  /// It grows under another name and is renamed when it is whole and on disk: a crash in between
  /// leaves no half-made store.
  func createIfMissing() throws(StreamerError) {
    guard unsafe access(path, F_OK) != 0 else { return }
    let draft = path + ".new"
    unsafe unlink(draft)
    // SQLite would make the file readable for others; it keeps the mode of an existing one.
    let descriptor = try SystemCall.retrying(name) {
      unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    }
    close(descriptor)
    do throws(StreamerError) {
      try fill(draft)
      _ = try SystemCall.retrying(name) { unsafe rename(draft, path) }
      try syncDirectory()
    } catch {
      unsafe unlink(draft)
      throw error
    }
  }

  private func fill(_ draft: String) throws(StreamerError) {
    let database = try SQLiteDatabase(path: draft, name: name)
    try database.run("PRAGMA synchronous = FULL")
    let marks = [
      "PRAGMA application_id = \(Self.applicationID)",
      "PRAGMA user_version = \(Self.schemaVersion)",
    ]
    try database.transaction((marks + Self.tables).map { .init($0) })
  }

  private func syncDirectory() throws(StreamerError) {
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = try SystemCall.retrying(name) {
      unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    defer { close(descriptor) }
    _ = try SystemCall.retrying(name) { fsync(descriptor) }
  }

  /// Opens the file, after it has proved to be ours, whole, and of a version we know.
  func connect(readOnly: Bool) throws(StreamerError) -> SQLiteDatabase {
    do throws(StreamerError) {
      try refuseForeign()
      let database = try SQLiteDatabase(path: path, name: name)
      try identify(database)
      try database.run("PRAGMA busy_timeout = 2000")
      guard case .text("ok")? = try database.run("PRAGMA quick_check(1)").first?.first else {
        throw StreamerError(.corrupt, name, why: "SQLite's quick_check found damage")
      }
      if readOnly {
        try database.run("PRAGMA query_only = ON")
      } else {
        // A commit in WAL mode is one append and one fsync of the log.
        try database.run("PRAGMA journal_mode = WAL")
        try database.run("PRAGMA synchronous = FULL")
        try database.run("PRAGMA wal_autocheckpoint = 64")
      }
      return database
    } catch  where error.kind == .corrupt && error.hint.isEmpty {
      throw StreamerError(.corrupt, name, why: error.why, hint: Self.corruptHint)
    }
  }

  private static let corruptHint = """
    Restore it from a backup, or move it away and give the position to start from with \
    `walPositionOverride` (the slot's confirmed_flush_lsn loses nothing).
    """

  /// Refuses what opens as a database although it is none of ours.
  private func refuseForeign() throws(StreamerError) {
    let descriptor = try SystemCall.retrying(name) { unsafe open(path, O_RDONLY | O_CLOEXEC) }
    var start = [UInt8](repeating: 0, count: 20)
    let count = unsafe read(descriptor, &start, start.count)
    close(descriptor)
    guard count > 0 else {
      // SQLite takes an empty file for a new database, but ours were never empty.
      throw StreamerError(.corrupt, name, why: "the file is empty")
    }
    // A BoltDB page begins with 16 bytes of its own header, then its magic number.
    if count == 20, start[16...] == [0xED, 0xDA, 0x0C, 0xED] {
      throw StreamerError(
        .corrupt, name, why: "this is a BoltDB file of the old psql-streamer",
        hint: """
          Set `store` to a new path and `walPositionOverride` to the old one's `walPosPersist` \
          of /stats.
          """)
    }
  }

  private func identify(_ database: borrowing SQLiteDatabase) throws(StreamerError) {
    guard
      case .integer(Self.applicationID)? =
        try database.run("PRAGMA application_id").first?.first
    else {
      throw StreamerError(
        .corrupt, name, why: "this is another program's database",
        hint: "Set `store` to a path of its own.")
    }
    guard case .integer(let version)? = try database.run("PRAGMA user_version").first?.first,
      version == Self.schemaVersion
    else {
      throw StreamerError(
        .corrupt, name, why: "it was written by a newer psql-streamer",
        hint: "Use that version, or another `store`.")
    }
  }
}
