import PGWire
import Support
import Testing

@testable import Streamer

@Suite("The checksum of a stored row")
struct RowChecksumTests {
  @Test("is CRC-32: the check value of its catalogue")
  func checkValue() {
    // Of "123456789" alone; here its kind and length go before it, worked out by zlib.
    #expect(RowChecksum.of([.text("123456789")]) == 0x2E84_0D9B)
    #expect(RowChecksum.of([]) == 0)
  }

  @Test("tells values apart that lie otherwise in their columns")
  func boundaries() {
    let rows: [[SQLiteDatabase.Value]] = [
      [.text("ab"), .text("c")], [.text("a"), .text("bc")], [.text("abc")], [.text("abc"), .null],
      [.null, .text("abc")], [.integer(1)], [.text("1")], [.integer(256)],
    ]
    #expect(Set(rows.map(RowChecksum.of)).count == rows.count)
  }

  @Test("one flipped bit of any stored value is noticed (A8)")
  func flippedBits() throws {
    var random = SeededRandom("flipped bits")
    let directory = try TemporaryDirectory()
    let path = directory.path + "/positions.db"
    let origin = SourceOrigin(source: "db", systemIdentifier: "1", database: "shop")
    let table = DescribedTable(origin: origin, relationOID: 7, columns: ["id"])
    do {
      let store = try SQLitePositionStore(path: path)
      try store.applyOverride(LSN(7), source: "db", positions: [somePosition()])
      try store.rememberKeyColumns(["id"], of: table, at: LSN(10))
    }
    let cells = [
      "position": ["system_identifier", "database", "slot", "publications", "lsn"],
      "applied_override": ["lsn"], "key_columns": ["columns", "key", "lsn"],
    ]
    for (relation, columns) in cells {
      for column in columns {
        for _ in 0..<10 {
          let database = try SQLiteDatabase(path: path, name: "store")
          let rows = try database.run("SELECT \(column) FROM \(relation)")
          guard case .text(let text)? = rows.first?.first else { preconditionFailure("no text") }
          var bytes = Array(text.utf8)
          let index = Int.random(in: bytes.indices, using: &random)
          // The highest bit would make it no UTF-8, which is noticed anyhow.
          bytes[index] ^= 1 << UInt8.random(in: 0..<7, using: &random)
          if bytes[index] == 0 { continue }
          let flipped = String(decoding: bytes, as: UTF8.self)
          try database.run("UPDATE \(relation) SET \(column) = ?", .text(flipped))
          let store = try SQLitePositionStore(path: path, readOnly: true)
          let error = #expect(throws: StreamerError.self, "\(column) \(flipped)") {
            _ = try store.load(source: "db")
            _ = try store.appliedOverride(source: "db")
            _ = try store.keyColumns(of: table, at: .zero)
          }
          #expect(error?.exit == .preflight)
          #expect(error?.description.contains("Move it away") == true)
          try database.run("UPDATE \(relation) SET \(column) = ?", .text(text))
        }
      }
    }
  }
}
