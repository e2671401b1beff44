import Glibc
import KafkaBridge
import Synchronization

/// The records that one sink holds back of one source, in a SQLite file: on disk when a call returns.
///
/// Its calls block and run on the source's I/O worker. A file is made with the first record; who looks at
/// it, or deletes rows of `held` while nothing runs, needs no more than `sqlite3`.
final class QuarantineFile: Sendable {
  /// What is to be done at once: all of it counts, or none.
  struct Work: Sendable {
    /// Topics that are held from now on.
    var topics: [HeldTopic] = []
    /// Records that follow what is there.
    var records: [HeldRecord] = []
    /// A topic whose records up to that number were delivered.
    var delivered: (topic: String, through: Int64)?
    /// A topic whose next records are wanted, behind that number.
    var next: (topic: String, after: Int64)?
    /// Topics of which nothing is left.
    var ended: [String] = []

    /// Whether there is nothing to do.
    var isEmpty: Bool {
      topics.isEmpty && records.isEmpty && delivered == nil && next == nil && ended.isEmpty
    }
  }

  /// What came of it.
  struct Outcome: Sendable {
    /// The records that were asked for, in order.
    var chunk: [(number: Int64, record: HeldRecord)] = []
    /// What was taken away of those that were delivered.
    var removed: (records: Int, bytes: Int) = (0, 0)
    /// Why the records that were asked for cannot be sent.
    var trouble: StreamerError?
  }

  /// Where it lies.
  let path: String
  private let database = Mutex<SQLiteDatabase?>(nil)
  private var name: String { "quarantine \"\(path)\"" }
  fileprivate static let remedy = """
    Mend a copy of it with sqlite3's .recover. Moved away together with its -wal and -shm files, what it \
    holds is lost.
    """

  private static let schema = [
    """
    CREATE TABLE IF NOT EXISTS topic (
      name TEXT PRIMARY KEY, table_name TEXT NOT NULL, place TEXT NOT NULL, key TEXT,
      size INTEGER NOT NULL, reason TEXT NOT NULL, since TEXT NOT NULL)
    """,
    """
    CREATE TABLE IF NOT EXISTS held (
      number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, partition_hash INTEGER NOT NULL,
      key BLOB, value BLOB, headers BLOB NOT NULL, time INTEGER, bytes INTEGER NOT NULL)
    """,
    "CREATE INDEX IF NOT EXISTS held_topic ON held (topic, number)",
    """
    CREATE TABLE IF NOT EXISTS schema (
      number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, kind TEXT NOT NULL,
      subject TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (topic, kind, subject, text))
    """,
  ]

  /// Names a file that need not exist.
  init(path: String) { self.path = path }

  /// What is held, if there is a file; a topic whose rows somebody has deleted is none.
  func open() throws(StreamerError) -> [HeldTopic] {
    let exists = FileAccess.exists(path)
    if let reason = FileAccess.whyNotWritable(exists ? path : FileAccess.directory(of: path)) {
      throw StreamerError(
        what: name, why: "\(exists ? "it" : "its directory") cannot be written: \(reason)",
        hint: "Let quarantine.dir name a directory that this user can write to.", exit: .preflight)
    }
    guard exists else { return [] }
    return try database.withLock { database throws(StreamerError) in
      try connect(&database)
      let rows = try database?.run(
        """
        SELECT name, table_name, place, topic.key, size, reason, since,
          count(number), coalesce(sum(bytes), 0)
        FROM topic LEFT JOIN held ON topic = name GROUP BY name ORDER BY min(number)
        """)
      var topics: [HeldTopic] = []
      for row in rows ?? [] {
        guard case .text(let name) = row[0], case .text(let table) = row[1],
          case .text(let place) = row[2], case .integer(let size) = row[4],
          case .text(let reason) = row[5], case .text(let since) = row[6],
          case .integer(let records) = row[7], case .integer(let bytes) = row[8]
        else {
          throw SQLiteDatabase.corrupt(
            self.name, "a row of its table topic says nothing", Self.remedy)
        }
        var key: String?
        if case .text(let text) = row[3] { key = text }
        topics.append(
          HeldTopic(
            topic: name,
            reason: HeldTopic.Reason(
              table: table, place: place, key: key, size: Int(size), text: reason),
            since: since, records: Int(records), bytes: Int(bytes)))
      }
      return topics
    }
  }

  /// Does what is to be done.
  ///
  /// Throws `StreamerError`, retryable when the disk is full: then nothing of it has happened.
  func perform(_ work: Work) throws(StreamerError) -> Outcome {
    try database.withLock { database throws(StreamerError) in
      try connect(&database)
      guard let outcome = try database?.perform(work, name) else {
        preconditionFailure("it is connected")
      }
      return outcome
    }
  }

  /// Forgets schemas that no record names, before anything is read that would.
  func forgetSchemas() throws(StreamerError) {
    guard FileAccess.exists(path) else { return }
    try database.withLock { database throws(StreamerError) in
      try connect(&database)
      _ = try database?.run("DELETE FROM schema WHERE topic NOT IN (SELECT name FROM topic)")
    }
  }

  /// The number under which records to a topic name a schema that the registry has refused.
  ///
  /// Throws `StreamerError`, retryable when the disk is full.
  func number(of schema: HeldSchema, topic: String) throws(StreamerError) -> UInt32 {
    try database.withLock { database throws(StreamerError) in
      try connect(&database)
      let (kind, subject, text) = (schema.kind.rawValue, schema.subject, schema.text)
      _ = try database?.run(
        "INSERT OR IGNORE INTO schema (topic, kind, subject, text) VALUES (?, ?, ?, ?)",
        .text(topic), .text(kind), .text(subject), .text(text))
      let rows = try database?.run(
        """
        SELECT number FROM schema WHERE topic = ? AND kind = ? AND subject = ? AND text = ?
        """, .text(topic), .text(kind), .text(subject), .text(text))
      guard let number = rows?.first?[0].integer, let number = UInt32(exactly: number),
        number < HeldSchema.first
      else {
        throw SQLiteDatabase.corrupt(name, "a row of its table schema has no number", Self.remedy)
      }
      return HeldSchema.first + number
    }
  }

  /// The schema with a number that records to a topic name.
  ///
  /// Throws `StreamerError` when there is none.
  func schema(_ number: UInt32, topic: String) throws(StreamerError) -> HeldSchema {
    try database.withLock { database throws(StreamerError) in
      try connect(&database)
      let rows = try database?.run(
        "SELECT kind, subject, text FROM schema WHERE number = ? AND topic = ?",
        .integer(Int64(number - HeldSchema.first)), .text(topic))
      guard let row = rows?.first, case .text(let name) = row[0],
        let kind = RegisteredSchema.Kind(rawValue: name),
        case .text(let subject) = row[1], case .text(let text) = row[2]
      else {
        throw SQLiteDatabase.corrupt(
          self.name, "its table schema does not have number \(number - HeldSchema.first)",
          Self.remedy)
      }
      return HeldSchema(kind: kind, subject: subject, text: text)
    }
  }

  /// Lets go of the file.
  func close() { database.withLock { $0 = nil } }

  private func connect(_ database: inout SQLiteDatabase?) throws(StreamerError) {
    guard database == nil else { return }
    if !FileAccess.exists(path) {
      // SQLite would make the file readable for others; it keeps the mode of an existing one.
      let descriptor = try SystemCall.retrying(name) {
        unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      }
      _ = Glibc.close(descriptor)
      try SystemCall.syncDirectory(of: path, name)
    }
    let new = try SQLiteDatabase(path: path, name: name, remedy: Self.remedy)
    try new.run("PRAGMA busy_timeout = 2000")
    _ = try new.run("PRAGMA journal_mode = WAL")
    try new.run("PRAGMA synchronous = FULL")
    for statement in Self.schema { try new.run(statement) }
    database = consume new
  }
}

extension SQLiteDatabase {
  fileprivate func perform(
    _ work: QuarantineFile.Work, _ name: String
  ) throws(StreamerError) -> QuarantineFile.Outcome {
    var outcome = QuarantineFile.Outcome()
    var statements = work.ended.map {
      Statement("DELETE FROM topic WHERE name = ?", [.text($0)])
    }
    statements += work.topics.map(Self.insert) + work.records.map(Self.insert)
    if let (topic, number) = work.delivered {
      let rows = try run(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM held WHERE topic = ? AND number <= ?",
        .text(topic), .integer(number))
      if case .integer(let records) = rows[0][0], case .integer(let bytes) = rows[0][1] {
        outcome.removed = (Int(records), Int(bytes))
      }
      statements.append(
        Statement(
          "DELETE FROM held WHERE topic = ? AND number <= ?", [.text(topic), .integer(number)]))
    }
    if !statements.isEmpty { try transaction(statements) }
    if let (topic, number) = work.next { outcome.chunk = try chunk(topic, number, name) }
    return outcome
  }

  private func chunk(
    _ topic: String, _ number: Int64, _ name: String
  ) throws(StreamerError) -> [(number: Int64, record: HeldRecord)] {
    var chunk: [(number: Int64, record: HeldRecord)] = []
    var bytes = 0
    // One row after the other: what comes in one piece has no bound.
    while bytes < Limits.batchBytes, chunk.count < Limits.heldRecords {
      let rows = try run(
        """
        SELECT number, partition_hash, key, value, headers, time FROM held
        WHERE topic = ? AND number > ? ORDER BY number LIMIT 1
        """, .text(topic), .integer(chunk.last?.number ?? number))
      guard let row = rows.first else { break }
      guard case .integer(let next) = row[0], case .integer(let hash) = row[1],
        case .blob(let kept) = row[4], let headers = [RecordHeader](kept: kept)
      else {
        throw Self.corrupt(name, "a row of its table held is no record", QuarantineFile.remedy)
      }
      let record = HeldRecord(
        topic: topic, partitionHash: Int32(truncatingIfNeeded: hash), key: row[2].bytes,
        value: row[3].bytes, headers: headers, time: row[5].integer)
      bytes += record.wholeBytes
      chunk.append((next, record))
    }
    return chunk
  }

  private static func insert(_ topic: HeldTopic) -> Statement {
    let reason = topic.reason
    return Statement(
      "INSERT OR IGNORE INTO topic VALUES (?, ?, ?, ?, ?, ?, ?)",
      [
        .text(topic.topic), .text(reason.table), .text(reason.place),
        reason.key.map { .text($0) } ?? .null, .integer(Int64(reason.size)), .text(reason.text),
        .text(topic.since),
      ])
  }

  private static func insert(_ record: HeldRecord) -> Statement {
    Statement(
      """
      INSERT INTO held (topic, partition_hash, key, value, headers, time, bytes)
      VALUES (?, ?, ?, ?, ?, ?, ?)
      """,
      [
        .text(record.topic), .integer(Int64(record.partitionHash)),
        record.key.map { .blob($0) } ?? .null, record.value.map { .blob($0) } ?? .null,
        .blob(record.headers.kept), record.time.map { .integer($0) } ?? .null,
        .integer(Int64(record.wholeBytes)),
      ])
  }
}

extension SQLiteDatabase.Value {
  /// A number; nil for NULL.
  fileprivate var integer: Int64? { if case .integer(let number) = self { number } else { nil } }

  /// The bytes of a blob; nil for NULL.
  fileprivate var bytes: [UInt8]? { if case .blob(let bytes) = self { bytes } else { nil } }
}
