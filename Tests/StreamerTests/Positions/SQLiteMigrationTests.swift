import PGWire
import Testing

@testable import Streamer

@Suite("A position store of the first version")
struct SQLiteMigrationTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/positions.db" }

  /// Writes a file as the first version did.
  init() throws {
    directory = try TemporaryDirectory()
    let database = try SQLiteDatabase(path: path, name: "old", create: true)
    for sql in [
      "PRAGMA application_id = \(0x7073_7173)", "PRAGMA user_version = 1",
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
      """
      INSERT INTO position VALUES ('db', 'kafka', '7291234567890123456', 3, 'shop', 'streamer',
        'a' || char(10) || 'b\\nc' || char(10) || 'd\\\\n' || char(10), '16/B374D848')
      """,
      "INSERT INTO applied_override VALUES ('db', '0/7')",
      "INSERT INTO key_columns VALUES ('db', 7, 'id' || char(10), '')",
    ] {
      try database.run(sql)
    }
  }

  private func version() throws -> SQLiteDatabase.Value? {
    try SQLiteDatabase(path: path, name: "store").run("PRAGMA user_version").first?.first
  }

  @Test("is brought to ours with its positions and overrides")
  func migrated() throws {
    do {
      let store = try SQLitePositionStore(path: path)
      #expect(try store.load(source: "db") == [somePosition()])
      #expect(try store.appliedOverride(source: "db") == LSN(7))
      try store.save([somePosition(lsn: LSN(8))])
    }
    #expect(try version() == .integer(2))
    let store = try SQLitePositionStore(path: path)
    #expect(try store.load(source: "db") == [somePosition(lsn: LSN(8))])
    #expect(try store.appliedOverride(source: "db") == LSN(7))
  }

  @Test("loses the keys it remembered, which were bound to no place in the WAL (S8)")
  func keys() throws {
    let store = try SQLitePositionStore(path: path)
    let origin = SourceOrigin(source: "db", systemIdentifier: "1", database: "shop")
    let table = DescribedTable(origin: origin, relationOID: 7, columns: ["id"])
    #expect(try store.keyColumns(of: table, at: .zero) == nil)
    try store.rememberKeyColumns(["id"], of: table, at: LSN(1))
    #expect(try store.keyColumns(of: table, at: .zero) == nil)
  }

  @Test("is read by a reader and left as it is")
  func reader() throws {
    let before = directory.read("positions.db")
    let reader = try SQLitePositionStore(path: path, readOnly: true)
    #expect(try reader.load(source: "db") == [somePosition()])
    #expect(try reader.appliedOverride(source: "db") == LSN(7))
    #expect(directory.read("positions.db") == before)
    #expect(try version() == .integer(1))
  }

  @Test("stays as it is when a row cannot be read")
  func damaged() throws {
    do {
      try SQLiteDatabase(path: path, name: "store").run("UPDATE position SET lsn = '16:B374D848'")
    }
    let error = #expect(throws: StreamerError.self) { try SQLitePositionStore(path: path) }
    #expect(error?.description.contains("Move it away") == true)
    #expect(try version() == .integer(1))
    let database = try SQLiteDatabase(path: path, name: "store")
    let left = try database.run("SELECT lsn FROM position")
    #expect(left == [[.text("16:B374D848")]])
  }
}
