import PGWire
import Support
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

/// The stores that keep the contract; a new kind is a line here.
enum StoreKind: CaseIterable, CustomTestStringConvertible {
  case memory, sqlite, faulty

  var testDescription: String { "\(self)" }

  /// A store of this kind with nothing in it.
  func make(in directory: TemporaryDirectory) throws -> any SourceStore {
    switch self {
    case .memory: MemoryPositionStore()
    case .sqlite: try SQLitePositionStore(path: directory.path + "/positions.db")
    // With no fault planned it must be as good as any other.
    case .faulty: try FaultyStore(MemoryPositionStore())
    }
  }
}

@Suite("What every store keeps")
struct StoreContract {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a new store is empty", arguments: StoreKind.allCases)
  func empty(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    #expect(try store.load(source: "db") == [])
    #expect(try store.appliedOverride(source: "db") == nil)
  }

  @Test("positions come back as they were saved, one for each sink", arguments: StoreKind.allCases)
  func roundTrip(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    let saved = [
      somePosition(sink: "a"), somePosition(sink: "b", lsn: LSN(UInt64.max)),
      somePosition(source: "other"),
    ]
    try store.save(saved.reversed())
    #expect(try store.load(source: "db") == Array(saved[..<2]))
    #expect(try store.load(source: "other") == [saved[2]])
    try store.save([])
    #expect(try store.load(source: "db") == Array(saved[..<2]))
  }

  @Test(
    "a position replaces the one before, also with an earlier LSN", arguments: StoreKind.allCases)
  func replacing(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    try store.save([somePosition(lsn: LSN(200))])
    var rewound = somePosition(lsn: LSN(100))
    rewound.timeline = 4
    try store.save([rewound])
    #expect(try store.load(source: "db") == [rewound])
  }

  @Test("a sink that is forgotten takes no other with it", arguments: StoreKind.allCases)
  func forgetting(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    try store.save([
      somePosition(sink: "a"), somePosition(sink: "b"), somePosition(source: "x", sink: "a"),
    ])
    try store.forget(source: "db", sink: "a")
    #expect(try store.load(source: "db").map(\.sink) == ["b"])
    #expect(try store.load(source: "x").map(\.sink) == ["a"])
    try store.forget(source: "db", sink: "a")
  }

  @Test(
    "an override is remembered with the positions that it leads to", arguments: StoreKind.allCases)
  func override(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    try store.applyOverride(LSN(7), source: "db", positions: [somePosition(lsn: LSN(7))])
    try store.applyOverride(LSN(9), source: "db", positions: [somePosition(lsn: LSN(9))])
    #expect(try store.appliedOverride(source: "db") == LSN(9))
    #expect(try store.appliedOverride(source: "other") == nil)
    #expect(try store.load(source: "db").map(\.lsn) == [LSN(9)])
  }

  @Test(
    "the ledger keeps gaps in their order, the newest of each source", arguments: StoreKind.allCases
  )
  func ledger(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    #expect(try store.gaps(source: "db") == [])
    let first = Gap(
      source: "db", from: LSN(7), to: nil, kind: .slotMissing, cause: "it's \"gone\"\n",
      action: .stop,
      at: UTCTime(microseconds: 5))
    var second = first
    second.action = .accept
    second.to = LSN(UInt64.max)
    for gap in [first, second] { try store.record(gap) }
    // A start that is refused again and again is one entry.
    var again = second
    again.at = UTCTime(microseconds: 9)
    try store.record(again)
    #expect(try store.gaps(source: "db") == [first, second])
    #expect(try store.gaps(source: "other") == [])
    try store.forget(source: "db", sink: "kafka")
    #expect(try store.gaps(source: "db").count == 2)
  }

  @Test("copies and their progress are kept by their database", arguments: StoreKind.allCases)
  func existingRows(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    let origin = SourceOrigin(source: "db", systemIdentifier: "7", database: "shop")
    var other = origin
    other.database = "else"
    #expect(try store.copies(of: origin) == CopyBook())
    var tables = [
      TableProgress(number: 0, relation: 9, name: "public.b"),
      TableProgress(number: 1, relation: 4, name: "public.it's \"a\""),
      TableProgress(request: 3, number: 0, relation: 4, name: "public.it's \"a\""),
    ]
    var wanted = CopyRequest(
      number: 3, tables: ["public.*", "!a\nb"], filter: "a = 'b'", mark: "0/7")
    let gone = CopyRequest(number: 4, tables: ["a.b"], keys: #"[{"id":"it's"}]"#)
    try store.save(CopyBook([gone]), of: origin)
    #expect(try store.copies(of: origin) == CopyBook([gone]))
    try store.forget(CopyBook([gone]), of: origin)
    try store.save(CopyBook([CopyRequest(number: 0), wanted], tables), of: origin)
    try store.save(CopyBook([], [tables[0]]), of: other)
    tables[1].lastKey = ["a\nb", "", "c\\"]
    tables[1].rows = .max
    tables[0].isDone = true
    wanted.state = .paused
    wanted.error = "because"
    try store.save(CopyBook([wanted], [tables[1], tables[0]]), of: origin)
    #expect(try store.copies(of: origin) == CopyBook([CopyRequest(number: 0), wanted], tables))
    try store.forget(CopyBook([CopyRequest(number: 0)]), of: origin)
    #expect(try store.copies(of: origin) == CopyBook([wanted], [tables[2]]))
    try store.forget(CopyBook([], [tables[2]]), of: origin)
    #expect(try store.copies(of: origin) == CopyBook([wanted]))
    #expect(try store.copies(of: other).tables.count == 1)
  }

  @Test("how far signal topics are read is kept by source", arguments: StoreKind.allCases)
  func signalOffsets(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    #expect(try store.signalOffsets(source: "db", topic: "signals") == [:])
    try store.save(signalOffset: 7, of: 0, topic: "signals", source: "db")
    try store.save(signalOffset: 1 << 40, of: 3, topic: "signals", source: "db")
    try store.save(signalOffset: 2, of: 0, topic: "signals", source: "other")
    try store.save(signalOffset: 0, of: 0, topic: "others", source: "db")
    try store.save(signalOffset: 8, of: 0, topic: "signals", source: "db")
    #expect(try store.signalOffsets(source: "db", topic: "signals") == [0: 8, 3: 1 << 40])
    #expect(try store.signalOffsets(source: "other", topic: "signals") == [0: 2])
  }

  @Test("what a source owes is kept until that is settled", arguments: StoreKind.allCases)
  func owedComparisons(_ kind: StoreKind) throws {
    let store = try kind.make(in: directory)
    #expect(try store.owedComparison(source: "db") == nil)
    let origin = SourceOrigin(source: "db", systemIdentifier: "7", database: "shop")
    let first = OwedComparison(origin: origin, since: UTCTime(microseconds: 1))
    let second = OwedComparison(origin: origin, since: UTCTime(microseconds: 2))
    try store.owe(first)
    #expect(try store.owedComparison(source: "db") == first)
    #expect(try store.owedComparison(source: "other") == nil)
    // Another gap was found while that of the first was compared.
    try store.owe(second)
    try store.settle(first)
    #expect(try store.owedComparison(source: "db") == second)
    try store.settle(second)
    #expect(try store.owedComparison(source: "db") == nil)
  }

  // MARK: - Faults

  @Test(
    "after a call that failed all or nothing of it counts, and doing it again is right",
    arguments: StoreKind.allCases)
  func failing(_ kind: StoreKind) throws {
    let faulty = try FaultyStore(try kind.make(in: directory))
    let before = [somePosition(sink: "a", lsn: LSN(1)), somePosition(sink: "b", lsn: LSN(1))]
    let after = [somePosition(sink: "a", lsn: LSN(2)), somePosition(sink: "b", lsn: LSN(2))]
    try faulty.save(before)
    faulty.plan(.reject, .doThenFail, for: .save)
    #expect(throws: FaultyStore.failure) { try faulty.save(after) }
    #expect(try faulty.load(source: "db") == before)
    #expect(throws: FaultyStore.failure) { try faulty.save(after) }
    #expect(try faulty.load(source: "db") == after)
    try faulty.save(after)
    #expect(try faulty.load(source: "db") == after)
    faulty.plan(.doThenFail, for: .forget)
    #expect(throws: FaultyStore.failure) { try faulty.forget(source: "db", sink: "a") }
    try faulty.forget(source: "db", sink: "a")
    #expect(try faulty.load(source: "db") == [after[1]])
  }

  @Test(
    "an override whose answer was lost is known as applied, with its positions",
    arguments: StoreKind.allCases)
  func lostOverride(_ kind: StoreKind) throws {
    let faulty = try FaultyStore(try kind.make(in: directory))
    faulty.plan(.reject, .doThenFail, for: .override)
    let positions = [somePosition(lsn: LSN(7))]
    for applied in [nil, LSN(7)] {
      #expect(throws: FaultyStore.failure) {
        try faulty.applyOverride(LSN(7), source: "db", positions: positions)
      }
      #expect(try faulty.appliedOverride(source: "db") == applied)
      #expect(try faulty.load(source: "db") == (applied == nil ? [] : positions))
    }
  }

  @Test(
    "a save that is held, or comes late, keeps nobody from reading what was before",
    arguments: StoreKind.allCases)
  func holding(_ kind: StoreKind) throws {
    let faulty = try FaultyStore(try kind.make(in: directory))
    try faulty.save([somePosition(lsn: LSN(1))])
    faulty.plan(.hold, .delay(.milliseconds(1)), for: .save)
    let thread = try PosixThread(name: "saver") {
      for lsn in [LSN(2), LSN(3)] { try? faulty.save([somePosition(lsn: lsn)]) }
    }
    while faulty.heldCalls == 0 { pause(.milliseconds(1)) }
    #expect(try faulty.load(source: "db").map(\.lsn) == [LSN(1)])
    faulty.release()
    thread.join()
    #expect(try faulty.load(source: "db").map(\.lsn) == [LSN(3)])
  }
}
