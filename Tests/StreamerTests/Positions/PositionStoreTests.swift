import PGWire
import Testing

@testable import Streamer

/// A position with everything filled in.
func somePosition(
  source: String = "db", sink: String = "kafka", lsn: LSN = LSN(0x16_B374_D848)
) -> Position {
  Position(
    source: source, sink: sink, systemIdentifier: "7291234567890123456", timeline: 3,
    database: "shop", slot: "streamer", publications: ["a", "b\nc", "d\\n"], lsn: lsn)
}

@Suite("What every position store keeps")
struct PositionStoreTests {
  private let directory: TemporaryDirectory
  private let stores: [any PositionStore]

  init() throws {
    directory = try TemporaryDirectory()
    stores = [
      MemoryPositionStore(), try SQLitePositionStore(path: directory.path + "/positions.db"),
    ]
  }

  @Test("a new store is empty")
  func empty() throws {
    for store in stores {
      #expect(try store.load(source: "db") == [])
      #expect(try store.appliedOverride(source: "db") == nil)
      #expect(try store.keyColumns(source: "db", relationOID: 1, columns: ["id"]) == nil)
    }
  }

  @Test("positions come back as they were saved, one for each sink")
  func roundTrip() throws {
    let saved = [
      somePosition(sink: "a"), somePosition(sink: "b", lsn: LSN(UInt64.max)),
      somePosition(source: "other"),
    ]
    for store in stores {
      try store.save(saved.reversed())
      #expect(try store.load(source: "db") == Array(saved[..<2]))
      #expect(try store.load(source: "other") == [saved[2]])
    }
  }

  @Test("a position replaces the one before, also with an earlier LSN")
  func replacing() throws {
    for store in stores {
      try store.save([somePosition(lsn: LSN(200))])
      var rewound = somePosition(lsn: LSN(100))
      rewound.timeline = 4
      try store.save([rewound])
      #expect(try store.load(source: "db") == [rewound])
    }
  }

  @Test("a sink that is forgotten takes no other with it")
  func forgetting() throws {
    for store in stores {
      try store.save([
        somePosition(sink: "a"), somePosition(sink: "b"), somePosition(source: "x", sink: "a"),
      ])
      try store.forget(source: "db", sink: "a")
      #expect(try store.load(source: "db").map(\.sink) == ["b"])
      #expect(try store.load(source: "x").map(\.sink) == ["a"])
    }
  }

  @Test("an override is remembered with the positions that it leads to")
  func override() throws {
    for store in stores {
      try store.applyOverride(LSN(7), source: "db", positions: [somePosition(lsn: LSN(7))])
      try store.applyOverride(LSN(9), source: "db", positions: [somePosition(lsn: LSN(9))])
      #expect(try store.appliedOverride(source: "db") == LSN(9))
      #expect(try store.appliedOverride(source: "other") == nil)
      #expect(try store.load(source: "db").map(\.lsn) == [LSN(9)])
    }
  }

  @Test("the key's columns belong to a table with just these columns")
  func keyColumns() throws {
    for store in stores {
      try store.rememberKeyColumns(["id"], source: "db", relationOID: 7, columns: ["id", "note"])
      try store.rememberKeyColumns([], source: "db", relationOID: 7, columns: ["id"])
      #expect(
        try store.keyColumns(source: "db", relationOID: 7, columns: ["id", "note"]) == ["id"])
      #expect(try store.keyColumns(source: "db", relationOID: 7, columns: ["id"]) == [])
      #expect(try store.keyColumns(source: "db", relationOID: 7, columns: ["note", "id"]) == nil)
      #expect(try store.keyColumns(source: "db", relationOID: 8, columns: ["id"]) == nil)
      #expect(try store.keyColumns(source: "x", relationOID: 7, columns: ["id"]) == nil)
    }
  }

  @Test(
    "lists of names have one text each",
    arguments: [[], [""], ["a"], ["a", ""], ["a\nb"], ["a", "b"], ["\\"], ["\\n"], ["a\\", "n"]])
  func names(_ names: [String]) {
    #expect(NameList.names(NameList.text(names)) == names)
  }
}
