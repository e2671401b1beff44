import Glibc
import PGWire
import Testing

@testable import Streamer

@Suite("Where a position store lies")
struct StorePlaceTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/positions.db" }

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "a store that is deleted or replaced while in use says so at the next save (A14)",
    arguments: ["deleted", "replaced", "log deleted"], [true, false])
  func gone(_ what: String, wasSaved: Bool) throws {
    let store = try SQLitePositionStore(path: path)
    if wasSaved { try store.save([somePosition(lsn: LSN(1))]) }
    switch what {
    case "log deleted":
      guard wasSaved else { return }
      #expect(unsafe unlink(path + "-wal") == 0)
    case "replaced":
      directory.write("other", directory.read("positions.db"))
      #expect(unsafe rename(directory.path + "/other", path) == 0)
    default: #expect(unsafe unlink(path) == 0)
    }
    for _ in 0..<2 {
      let error = #expect(throws: StreamerError.self) { try store.save([somePosition()]) }
      #expect(error?.isRetryable == true)
      #expect(error?.description.contains(path) == true)
      #expect(error?.description.contains("deleted or replaced while in use") == true)
    }
    #expect(throws: StreamerError.self) { try store.forget(source: "db", sink: "kafka") }
    #expect(throws: StreamerError.self) {
      try store.applyOverride(LSN(7), source: "db", positions: [])
    }
  }

  @Test("a store that is put back goes on")
  func putBack() throws {
    let store = try SQLitePositionStore(path: path)
    #expect(unsafe rename(path, path + ".away") == 0)
    #expect(throws: StreamerError.self) { try store.save([somePosition(lsn: LSN(1))]) }
    #expect(unsafe rename(path + ".away", path) == 0)
    try store.save([somePosition(lsn: LSN(2))])
    let reader = try SQLitePositionStore(path: path, readOnly: true)
    #expect(try reader.load(source: "db").map(\.lsn) == [LSN(2)])
  }

  @Test("the log of a store that was moved away is not played into the new one")
  func orphanedLog() throws {
    var log: [UInt8] = []
    do {
      let store = try SQLitePositionStore(path: path)
      try store.save([somePosition()])
      log = directory.read("positions.db-wal")
      #expect(!log.isEmpty)
    }
    #expect(unsafe unlink(path) == 0)
    directory.write("positions.db-wal", log)
    let store = try SQLitePositionStore(path: path)
    #expect(try store.load(source: "db") == [])
    #expect(directory.read("positions.db-wal.old") == log)
  }

  @Test("a lock does not follow a symbolic link (A9)", arguments: [true, false])
  func lockLink(isThere: Bool) throws {
    if isThere { directory.write("precious", Array("4711\n".utf8)) }
    #expect(unsafe symlink(directory.path + "/precious", path + ".lock") == 0)
    let error = #expect(throws: StreamerError.self) { try SQLitePositionStore(path: path) }
    #expect(error?.exit == .preflight)
    #expect(error?.description.contains("symbolic link") == true)
    if isThere { #expect(directory.read("precious") == Array("4711\n".utf8)) }
    #expect(directory.names.contains("precious") == isThere)
  }

  @Test(
    "a lock file with anything but a process id in it is left alone (A9)",
    arguments: ["some notes\n", "12345678901234567890\n"])
  func foreignLock(_ text: String) throws {
    directory.write("positions.db.lock", Array(text.utf8))
    let error = #expect(throws: StreamerError.self) { try SQLitePositionStore(path: path) }
    #expect(error?.description.contains("another program's file") == true)
    #expect(directory.read("positions.db.lock") == Array(text.utf8))
  }

  @Test("a pipe in the place of the lock is refused and not waited for", .timeLimit(.minutes(15)))
  func pipeLock() throws {
    #expect(unsafe mkfifo(path + ".lock", 0o600) == 0)
    #expect(throws: StreamerError.self) { try SQLitePositionStore(path: path) }
  }
}
