import PGWire
import Support

/// The table whose rows the ``AllocationCheck`` counts, with its values as text or in binary.
enum CheckedTable {
  case text
  case binary

  /// The table, whichever way its values come.
  static let relation = Relation(
    oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 20), Relation.Column(name: "a", type: 23),
      Relation.Column(name: "b", type: 25), Relation.Column(name: "c", type: 1700),
      Relation.Column(name: "d", type: 1184), Relation.Column(name: "e", type: 16),
      Relation.Column(name: "f", type: 3802), Relation.Column(name: "g", type: 1007),
      Relation.Column(name: "h", type: 17), Relation.Column(name: "i", type: 2950),
      Relation.Column(name: "j", type: 1186), Relation.Column(name: "k", type: 3904),
      Relation.Column(name: "l", type: 1009),
    ])

  private func row(_ id: Int) -> [ServerBytes.Cell] {
    self == .text ? Self.textRow(id) : Self.binaryRow(id)
  }

  private static func textRow(_ id: Int) -> [ServerBytes.Cell] {
    [
      .text("\(id)"), .text("42017"), .text("The quick \"brown\" fox\njumps"), .text("12345.67"),
      .text("2026-11-23 08:15:50.123456+00"), .text("t"), .text(#"{"k": [1, null]}"#),
      .text("{1,NULL,3}"), .text(#"\xdeadbeef00"#),
      .text("6f0c1c9e-0000-4000-8000-000000000000"), .text("1 year 2 mons 04:05:06.7"),
      .text("[1,6)"), .text(#"{"a,b",NULL,""}"#),
    ]
  }

  /// The same values as a server sends them in binary.
  private static func binaryRow(_ id: Int) -> [ServerBytes.Cell] {
    func short(_ values: Int16...) -> [UInt8] { values.flatMap(bytes) }
    func int(_ values: Int32...) -> [UInt8] { values.flatMap(bytes) }
    func text(_ text: String) -> [UInt8] { Array(text.utf8) }
    return [
      .binary(bytes(Int64(id))), .binary(int(42_017)),
      .binary(text("The quick \"brown\" fox\njumps")),
      // Three digits of base 10 000, the first times 10 000; positive; two decimals.
      .binary(short(3, 1, 0, 2, 1, 2345, 6700)),
      .binary(bytes(848_736_950_123_456 as Int64)), .binary([1]),
      .binary([1] + text(#"{"k": [1, null]}"#)),
      // One dimension, with NULLs, of int4: three elements from 1.
      .binary(int(1, 1, 23, 3, 1) + int(4, 1) + int(-1) + int(4, 3)),
      .binary([0xDE, 0xAD, 0xBE, 0xEF, 0]),
      .binary([0x6F, 0x0C, 0x1C, 0x9E, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
      .binary(bytes(14_706_700_000 as Int64) + int(0, 14)),
      // The lower bound belongs to the range.
      .binary([2] + int(4, 1) + int(4, 6)),
      .binary(int(1, 1, 25, 3, 1) + int(3) + text("a,b") + int(-1) + int(0)),
    ]
  }

  private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    stride(from: T.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> T($0))
    }
  }

  /// One transaction of inserts, updates, changed keys (or updates that say the key) and deletes:
  /// four changes, five events a round, where a key changes.
  func transaction(
    rounds: Int, at lsn: UInt64, changesKeys: Bool = true, into server: inout ServerBytes
  ) {
    server.begin(LSN(lsn), time: 800_000_000_000_000, xid: 745)
    changes(rounds: rounds, changesKeys: changesKeys) { server.xLogData(LSN(lsn - 1), $0) }
    server.commit(LSN(lsn), end: LSN(lsn + 8), time: 800_000_000_000_000)
  }

  /// The changes alone.
  func changes(rounds: Int, changesKeys: Bool = true, _ write: ([UInt8]) -> Void) {
    for id in 0..<rounds {
      var unchanged = row(id)
      unchanged[2] = .unchanged
      unchanged[7] = .null
      let key = row(id).prefix(1) + Array(repeating: ServerBytes.Cell.null, count: 12)
      write(ServerBytes.insert(16_384, row(id)))
      write(ServerBytes.update(16_384, unchanged))
      write(ServerBytes.update(16_384, old: (.key, Array(key)), row(changesKeys ? id + 1 : id)))
      write(ServerBytes.delete(16_384, .key, Array(key)))
    }
  }
}
