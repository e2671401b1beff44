import Glibc
import PGWire
import Testing

@testable import Streamer

@Suite("The position store's file")
struct SQLitePositionStoreTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/positions.db" }

  init() throws { directory = try TemporaryDirectory() }

  /// The error of opening the store, which must fail.
  private func refusal(_ path: String? = nil, readOnly: Bool = false) throws -> StreamerError {
    try #require(throws: StreamerError.self) {
      try SQLitePositionStore(path: path ?? self.path, readOnly: readOnly)
    }
  }

  @Test("positions survive closing and opening")
  func reopening() throws {
    do { try SQLitePositionStore(path: path).save([somePosition()]) }
    #expect(try SQLitePositionStore(path: path).load(source: "db") == [somePosition()])
  }

  @Test("only its owner may read it, its log included")
  func mode() throws {
    let store = try SQLitePositionStore(path: path)
    try store.save([somePosition()])
    #expect(directory.names.contains("positions.db-wal"))
    for name in directory.names {
      var status = stat()
      #expect(unsafe stat("\(directory.path)/\(name)", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600, "\(name)")
    }
  }

  @Test("every commit is synchronised, in a write-ahead log")
  func durabilitySettings() throws {
    let store = SQLitePositionFile(path: path)
    try store.createIfMissing()
    let database = try store.connect(readOnly: false)
    let synchronous = try database.run("PRAGMA synchronous")
    let mode = try database.run("PRAGMA journal_mode")
    #expect(synchronous == [[.integer(2)]])
    #expect(mode == [[.text("wal")]])
  }

  @Test("a position that was saved survives a kill -9 of the process")
  func killed() async throws {
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let store = try SQLitePositionStore(path: path)
      try store.save([somePosition(lsn: LSN(4711))])
      kill(getpid(), SIGKILL)
    }
    #expect(try SQLitePositionStore(path: path).load(source: "db").map(\.lsn) == [LSN(4711)])
  }

  @Test("a second one is told which process has the store")
  func locked() throws {
    let first = try SQLitePositionStore(path: path)
    let error = try refusal()
    #expect(error.exit == .failure)
    #expect(error.description.contains(path))
    #expect(error.description.contains("process \(getpid())"))
    // A look at it is possible all the same.
    try first.save([somePosition()])
    let reader = try SQLitePositionStore(path: path, readOnly: true)
    #expect(try reader.load(source: "db") == [somePosition()])
    #expect(throws: StreamerError.self) { try reader.save([somePosition(lsn: LSN(1))]) }
    #expect(try first.load(source: "db") == [somePosition()])
  }

  @Test("the lock goes with its owner")
  func unlocked() throws {
    do { _ = try SQLitePositionStore(path: path) }
    #expect(throws: Never.self) { try SQLitePositionStore(path: path) }
  }

  @Test("looking at a store that is not there makes none")
  func missing() throws {
    #expect(try refusal(readOnly: true).why == "no such file or directory")
    #expect(directory.names == [])
  }

  @Test("a missing directory is an error that names the file")
  func missingDirectory() throws {
    let path = directory.path + "/nowhere/positions.db"
    let error = try refusal(path)
    #expect(error.exit == .preflight)
    #expect(error.description.contains(path))
    #expect(error.description.contains("no such file or directory"))
  }

  @Test(
    "a damaged file is refused and left as it is",
    arguments: ["empty", "text", "cut", "overwritten page"])
  func damaged(_ damage: String) throws {
    do { try SQLitePositionStore(path: path).save([somePosition()]) }
    var bytes = directory.read("positions.db")
    #expect(bytes.count > 8192)
    switch damage {
    case "empty": bytes = []
    case "text": bytes = Array(String(repeating: "no database at all\n", count: 500).utf8)
    case "cut": bytes = Array(bytes.prefix(5000))
    default: for index in 4096..<8192 { bytes[index] = 0xAA }
    }
    directory.write("positions.db", bytes)
    let error = try refusal()
    #expect(error.exit == .preflight)
    #expect(!error.isRetryable)
    #expect(error.description.contains(path))
    #expect(error.description.contains("Move it away"))
    #expect(directory.read("positions.db") == bytes)
  }

  @Test("another program's database is refused")
  func foreign() throws {
    do {
      let other = try SQLiteDatabase(path: path, name: "other", create: true)
      try other.run("CREATE TABLE t (a INTEGER)")
    }
    #expect(try refusal().description.contains("another program"))
  }

  @Test("a store of a newer version is refused")
  func newer() throws {
    do { _ = try SQLitePositionStore(path: path) }
    do {
      let database = try SQLiteDatabase(path: path, name: "store")
      try database.run("PRAGMA user_version = 3")
    }
    #expect(try refusal().description.contains("newer"))
  }

  @Test("what a crash has left of making the file is made anew")
  func halfMade() throws {
    directory.write("positions.db.new", Array("rubbish".utf8))
    let store = try SQLitePositionStore(path: path)
    try store.save([somePosition()])
    #expect(try store.load(source: "db") == [somePosition()])
    #expect(!directory.names.contains("positions.db.new"))
  }

  @Test("a transaction that fails leaves nothing, and the next one works")
  func rollback() throws {
    let database = try SQLiteDatabase(path: path, name: "store", create: true)
    try database.run("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
    let insert = "INSERT INTO t VALUES (?)"
    var failed = false
    do {
      try database.transaction([
        .init(insert, [.integer(1)]), .init(insert, [.text("no number")]),
      ])
    } catch { failed = true }
    let left = try database.run("SELECT a FROM t")
    try database.transaction([.init(insert, [.integer(2)])])
    let rows = try database.run("SELECT a, NULL, 'größe' FROM t")
    #expect(failed)
    #expect(left == [])
    #expect(rows == [[.integer(2), .null, .text("größe")]])
  }

  @Test("a full disk is an error that passes, and nothing is half saved")
  func fullDisk() async throws {
    // In a process of its own, since the limit holds for every file of a process.
    await #expect(processExitsWith: .success) { [path = path as String] in
      signal(SIGXFSZ, SIG_IGN)
      let store = try SQLitePositionStore(path: path)
      try store.save([somePosition(lsn: LSN(1))])
      var limit = rlimit(rlim_cur: 64 * 1024, rlim_max: rlim_t.max)
      #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      let many = (0..<2000).map { somePosition(sink: "sink \($0)", lsn: LSN(2)) }
      let error = #expect(throws: StreamerError.self) { try store.save(many) }
      #expect(error?.isRetryable == true)
      #expect(try store.load(source: "db") == [somePosition(lsn: LSN(1))])
      limit.rlim_cur = rlim_t.max
      #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      try store.save(many)
    }
    #expect(try SQLitePositionStore(path: path).load(source: "db").count == 2001)
  }
}
