import Glibc

/// The file of a position store: how it is made, recognised, and refused.
struct SQLitePositionFile {
  /// Marks a SQLite file as ours ("psqs"), in SQLite's application_id.
  static let applicationID: Int64 = 0x7073_7173

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
      try moveLogsAway()
      _ = try SystemCall.retrying(name) { unsafe rename(draft, path) }
      try SystemCall.syncDirectory(of: path, name)
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
      "PRAGMA user_version = \(SQLiteSchema.version)",
    ]
    try database.transaction((marks + SQLiteSchema.tables).map { .init($0) })
  }

  /// Keeps the log of a store that was moved away without it: SQLite would play it into the new one.
  private func moveLogsAway() throws(StreamerError) {
    for log in ["\(path)-wal", "\(path)-shm"] where unsafe access(log, F_OK) == 0 {
      _ = try SystemCall.retrying(name) { unsafe rename(log, log + ".old") }
    }
  }

  /// Opens the file, after it has proved to be ours, whole, and of a version we know.
  ///
  /// One of an older version is brought to ours, but not by a reader.
  func connect(readOnly: Bool) throws(StreamerError) -> SQLiteDatabase {
    try refuseEmpty()
    let database = try SQLiteDatabase(path: path, name: name)
    let version = try identify(database)
    try database.run("PRAGMA busy_timeout = 2000")
    guard case .text("ok")? = try database.run("PRAGMA quick_check(1)").first?.first else {
      throw SQLiteDatabase.corrupt(name, "SQLite's quick_check found damage")
    }
    if readOnly {
      try database.run("PRAGMA query_only = ON")
      return database
    }
    // A commit in WAL mode is one append and one fsync of the log.
    guard try database.run("PRAGMA journal_mode = WAL") == [[.text("wal")]] else {
      throw StreamerError(
        what: name, why: "its file system cannot keep a write-ahead log",
        hint: "Set store to a path on a local disk.", exit: .preflight)
    }
    try database.run("PRAGMA synchronous = FULL")
    try database.run("PRAGMA wal_autocheckpoint = 64")
    if version < SQLiteSchema.version { try SQLiteSchema.migrate(database, name: name) }
    try database.run(SQLiteSchema.gapTable)
    for table in SQLiteSchema.copyTables + [SQLiteSchema.signalTable, SQLiteSchema.owedTable] {
      try database.run(table)
    }
    return database
  }

  /// Refuses an empty file: SQLite takes it for a new database, but ours were never empty.
  private func refuseEmpty() throws(StreamerError) {
    var status = stat()
    _ = try SystemCall.retrying(name) { unsafe stat(path, &status) }
    if status.st_size == 0 { throw SQLiteDatabase.corrupt(name, "the file is empty") }
  }

  /// The version of its tables, when they are ours and known.
  private func identify(_ database: borrowing SQLiteDatabase) throws(StreamerError) -> Int64 {
    guard
      case .integer(Self.applicationID)? =
        try database.run("PRAGMA application_id").first?.first
    else {
      throw StreamerError(
        what: name, why: "this is another program's database",
        hint: "Set store to a path of its own.", exit: .preflight)
    }
    guard
      case .integer(let version)? = try database.run("PRAGMA user_version").first?.first,
      (1...SQLiteSchema.version).contains(version)
    else {
      throw StreamerError(
        what: name, why: "it was written by a newer psql-streamer",
        hint: "Use that version, or another store.", exit: .preflight)
    }
    return version
  }
}
