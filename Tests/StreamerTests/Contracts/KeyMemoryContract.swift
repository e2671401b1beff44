import PGWire
import Testing

@testable import Streamer

@Suite("What every store remembers of keys")
struct KeyMemoryContract {
  private let directory: TemporaryDirectory
  private let origin = SourceOrigin(source: "db", systemIdentifier: "7291", database: "shop")

  init() throws { directory = try TemporaryDirectory() }

  private func table(
    _ columns: String..., oid: UInt32 = 7, of origin: SourceOrigin? = nil
  ) -> DescribedTable {
    DescribedTable(origin: origin ?? self.origin, relationOID: oid, columns: columns)
  }

  /// Does as a look-up does: asks the memory, then the catalog, and tells the memory.
  private func lookUp(
    _ table: DescribedTable, at lsn: UInt64, catalog: [String], _ store: any SourceStore
  ) throws -> [String] {
    if let known = try store.keyColumns(of: table, at: LSN(lsn)) { return known }
    try store.rememberKeyColumns(catalog, of: table, at: LSN(lsn))
    return catalog
  }

  @Test("a key that was added is seen at the next description, also after a restart (S8)")
  func added() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      let described = table("id")
      #expect(try lookUp(described, at: 10, catalog: [], store) == [])
      #expect(try lookUp(described, at: 20, catalog: ["id"], store) == ["id"], "\(kind)")
      // The restart: the same table is described again, further on.
      #expect(try lookUp(described, at: 30, catalog: ["id"], store) == ["id"])
      // What comes again has the keys that it had, whatever the catalog says by now.
      for lsn in [UInt64(10), 12, 19] {
        #expect(try lookUp(described, at: lsn, catalog: ["other"], store) == [], "\(kind) \(lsn)")
      }
    }
  }

  @Test("a key that was replaced or dropped is the catalog's from then on (B2)")
  func replaced() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      let described = table("a", "b")
      for (lsn, key) in [(UInt64(10), ["a"]), (20, ["b"]), (30, []), (40, ["a", "b"])] {
        #expect(try lookUp(described, at: lsn, catalog: key, store) == key)
      }
      for (lsn, key) in [(UInt64(10), ["a"]), (25, ["b"]), (30, []), (39, [])] {
        #expect(try store.keyColumns(of: described, at: LSN(lsn)) == key, "\(kind) \(lsn)")
      }
      for lsn in [UInt64(9), 40, 41] {
        #expect(try store.keyColumns(of: described, at: LSN(lsn)) == nil, "\(kind) \(lsn)")
      }
    }
  }

  @Test("a replay before an altered column finds the key of the columns that were")
  func altered() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      try store.rememberKeyColumns(["id"], of: table("id"), at: LSN(10))
      try store.rememberKeyColumns(["no"], of: table("no", "note"), at: LSN(20))
      #expect(try store.keyColumns(of: table("id"), at: LSN(10)) == ["id"])
      // Columns that nobody saw so early are not guessed.
      #expect(try store.keyColumns(of: table("no", "note"), at: LSN(15)) == nil)
    }
  }

  @Test("an answer at the same place replaces the one before, the same answer is kept once")
  func again() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      let described = table("id")
      try store.rememberKeyColumns([], of: described, at: LSN(10))
      try store.rememberKeyColumns(["id"], of: described, at: LSN(10))
      try store.rememberKeyColumns(["id"], of: described, at: LSN(20))
      // Were the second one stored as well, 10 would be a replay.
      #expect(try store.keyColumns(of: described, at: LSN(10)) == nil)
      #expect(try store.keyColumns(of: described, at: LSN(9)) == nil)
      try store.rememberKeyColumns([], of: described, at: LSN(UInt64.max - 1))
      #expect(try store.keyColumns(of: described, at: LSN(10)) == ["id"], "\(kind)")
    }
  }

  @Test("another source, cluster, database or table is another")
  func bound() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      for lsn in [UInt64(10), 20] {
        try store.rememberKeyColumns(["\(lsn)"], of: table("id"), at: LSN(lsn))
      }
      var others = [origin, origin, origin]
      others[0].source = "x"
      others[1].systemIdentifier = "1"
      others[2].database = "x"
      for other in others {
        #expect(try store.keyColumns(of: table("id", of: other), at: LSN(10)) == nil, "\(other)")
      }
      #expect(try store.keyColumns(of: table("id", oid: 8), at: LSN(10)) == nil)
      #expect(try store.keyColumns(of: table("id"), at: LSN(10)) == ["10"])
    }
  }

  @Test("pruning keeps what a replay needs, and nothing of another cluster")
  func pruning() throws {
    for kind in StoreKind.allCases {
      let store = try kind.make(in: directory)
      var other = origin
      other.systemIdentifier = "1"
      var neighbour = origin
      neighbour.source = "x"
      for origin in [origin, other, neighbour] {
        for lsn in [UInt64(10), 20, 30] {
          try store.rememberKeyColumns(["\(lsn)"], of: table("id", of: origin), at: LSN(lsn))
        }
      }
      try store.rememberKeyColumns(["a"], of: table("a", oid: 8), at: LSN(5))
      try store.rememberKeyColumns(["b"], of: table("a", oid: 8), at: LSN(40))
      try store.prune(origin, before: LSN(20))
      #expect(try store.keyColumns(of: table("id"), at: LSN(19)) == nil, "\(kind)")
      #expect(try store.keyColumns(of: table("id"), at: LSN(20)) == ["20"], "\(kind)")
      #expect(try store.keyColumns(of: table("id"), at: LSN(29)) == ["20"])
      #expect(try store.keyColumns(of: table("a", oid: 8), at: LSN(20)) == ["a"])
      #expect(try store.keyColumns(of: table("id", of: other), at: LSN(20)) == nil)
      #expect(try store.keyColumns(of: table("id", of: neighbour), at: LSN(10)) == ["10"])
    }
  }
}
