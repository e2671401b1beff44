import CSQLite
import Glibc

/// One SQLite connection: runs statements and gives rows, nothing more.
///
/// It belongs to one thread at a time and closes itself.
@safe struct SQLiteDatabase: ~Copyable {
  /// A value bound to a statement or read from a row.
  enum Value: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])
  }

  /// A statement's text and the values of its question marks, in their order.
  struct Statement: Sendable {
    let sql: String
    let values: [Value]

    /// Makes a statement.
    init(_ sql: String, _ values: [Value] = []) {
      self.sql = sql
      self.values = values
    }
  }

  private let handle: OpaquePointer
  // How errors name the database.
  private let name: String
  // What to do about one that is damaged.
  private let remedy: String

  /// Opens an existing file, or with `create` makes a new one when there is none.
  ///
  /// Throws `StreamerError` when the file cannot be opened; a file that is no database is found
  /// by the first statement only.
  ///
  /// `remedy` is what to do about one that is damaged.
  init(
    path: String, name: String, create: Bool = false, remedy: String = SQLiteDatabase.storeRemedy
  ) throws(StreamerError) {
    var opened: OpaquePointer?
    var flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    if create { flags |= SQLITE_OPEN_CREATE }
    let code = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard code == SQLITE_OK, let handle = unsafe opened else {
      let error = unsafe Self.error(code, opened, name: name, remedy)
      // SQLite gives a handle even when it fails, and NULL is fine.
      _ = unsafe sqlite3_close_v2(opened)
      throw error
    }
    unsafe self.handle = handle
    self.name = name
    self.remedy = remedy
  }

  deinit { _ = unsafe sqlite3_close_v2(handle) }

  /// Runs one statement and gives its rows, maybe none.
  ///
  /// Throws `StreamerError`: retryable when the disk is full or another connection has the lock.
  @discardableResult
  func run(_ sql: String, _ values: Value...) throws(StreamerError) -> [[Value]] {
    try run(Statement(sql, values))
  }

  /// Runs one statement with its values, as ``run(_:_:)`` does.
  @discardableResult
  func run(_ query: Statement) throws(StreamerError) -> [[Value]] {
    var prepared: OpaquePointer?
    try check(unsafe sqlite3_prepare_v2(handle, query.sql, -1, &prepared, nil))
    guard let statement = unsafe prepared else { return [] }
    defer { _ = unsafe sqlite3_finalize(statement) }
    for (index, value) in query.values.enumerated() {
      try check(unsafe Self.bind(value, to: statement, at: CInt(index + 1)))
    }
    var rows: [[Value]] = []
    while true {
      errno = 0
      let code = unsafe sqlite3_step(statement)
      if code == SQLITE_DONE { return rows }
      guard code == SQLITE_ROW else { throw unsafe Self.error(code, handle, name: name, remedy) }
      var row: [Value] = []
      for index in unsafe 0..<sqlite3_column_count(statement) {
        row.append(unsafe Self.column(index, of: statement))
      }
      rows.append(row)
    }
  }

  /// Runs statements in one transaction: all of them count or none.
  ///
  /// With `synchronous = FULL` the commit is on disk when this returns. Throws as ``run(_:_:)``.
  func transaction(_ statements: [Statement]) throws(StreamerError) {
    try run("BEGIN IMMEDIATE")
    do throws(StreamerError) {
      for statement in statements { _ = try run(statement) }
      try run("COMMIT")
    } catch {
      // After some errors SQLite has rolled back already, and then this one fails harmlessly.
      _ = try? run("ROLLBACK")
      throw error
    }
  }

  private static func bind(_ value: Value, to statement: OpaquePointer, at index: CInt) -> CInt {
    switch value {
    case .null: unsafe sqlite3_bind_null(statement, index)
    case .integer(let number): unsafe sqlite3_bind_int64(statement, index, number)
    case .text(let text):
      unsafe csqlite_bind_text(statement, index, text, CInt(text.utf8.count))
    case .blob(let bytes):
      unsafe csqlite_bind_blob(statement, index, bytes, UInt64(bytes.count))
    }
  }

  private static func column(_ index: CInt, of statement: OpaquePointer) -> Value {
    switch unsafe sqlite3_column_type(statement, index) {
    case SQLITE_INTEGER: return unsafe .integer(sqlite3_column_int64(statement, index))
    case SQLITE_NULL: return .null
    case SQLITE_BLOB:
      // SAFETY: the bytes live until the next step; they are copied here.
      guard let bytes = unsafe sqlite3_column_blob(statement, index) else { return .blob([]) }
      let count = unsafe Int(sqlite3_column_bytes(statement, index))
      return unsafe .blob(Array(UnsafeRawBufferPointer(start: bytes, count: count)))
    default:
      // SAFETY: the text lives until the next step; it is copied here.
      guard let text = unsafe sqlite3_column_text(statement, index) else { return .null }
      return unsafe .text(String(cString: text))
    }
  }

  private func check(_ code: CInt) throws(StreamerError) {
    if code != SQLITE_OK { throw unsafe Self.error(code, handle, name: name, remedy) }
  }

  private static func error(
    _ code: CInt, _ handle: OpaquePointer?, name: String, _ remedy: String
  ) -> StreamerError {
    let last = errno
    // SAFETY: SQLite's texts live at least until the next call on the connection.
    let why = unsafe String(cString: sqlite3_errmsg(handle))
    switch code & 0xFF {
    case SQLITE_FULL:
      return full(name, why)
    case SQLITE_BUSY, SQLITE_LOCKED:
      return StreamerError(
        what: name, why: why, hint: "Close the program that has it open.", retryable: true)
    case SQLITE_CORRUPT, SQLITE_NOTADB:
      return corrupt(name, why, remedy)
    case SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM:
      // A failed commit leaves no system_errno behind, but errno itself.
      let known = unsafe handle.map { unsafe sqlite3_system_errno($0) } ?? 0
      let cause = known == 0 ? last : known
      let detail = cause == 0 ? why : "\(why) (\(SystemCall.text(of: cause)))"
      return SystemCall.isFull(cause)
        ? full(name, detail) : StreamerError(what: name, why: detail)
    default:
      return StreamerError(what: name, why: why)
    }
  }

  private static func full(_ name: String, _ why: String) -> StreamerError {
    StreamerError(what: name, why: why, hint: "Free some space on its disk.", retryable: true)
  }

  /// The error for a file that cannot be trusted; it is never replaced by ours.
  ///
  /// A backup of it would be wrong: positions older than what the slot has let go are a gap.
  static func corrupt(
    _ name: String, _ why: String, _ remedy: String = storeRemedy
  ) -> StreamerError {
    StreamerError(what: name, why: why, hint: remedy, exit: .preflight)
  }

  /// What to do about a damaged position store.
  static let storeRemedy = """
    Move it away together with its -wal and -shm files: every source then goes on where its \
    slot was acknowledged, and what was delivered since comes again.
    """
}
