import PGWire
import Support

@testable import Streamer

/// One transaction through a pipeline whose lane writes in some format.
struct FormatRun {
  static let oid: UInt32 = 16_384

  /// shop.orders(id int primary key, note text, price numeric).
  static func orders(_ identity: Relation.ReplicaIdentity = .primaryKey) -> Relation {
    Relation(
      oid: oid, schema: "shop", name: "orders", replicaIdentity: identity,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "note", isKey: identity == .full, type: 25),
        Relation.Column(name: "price", isKey: identity == .full, type: 1700),
      ])
  }

  /// Feeds the payloads as a transaction of 2026-11-28T17:42:21.561632Z.
  static func feed(
    _ setup: LaneSetup, _ relation: Relation = orders(), _ payloads: [UInt8]...
  ) throws -> CapturingSink {
    try feed(setup, relation, all: payloads)
  }

  private static func feed(
    _ setup: LaneSetup, _ relation: Relation, all payloads: [[UInt8]]
  ) throws -> CapturingSink {
    let pipeline = CapturingPipeline(position: LSN(0x40), setup: setup)
    pipeline.catalogKey = ["id"]
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 849_202_941_561_632, xid: 978)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 849_202_941_561_632)
    }
    return pipeline.sink
  }

  /// Feeds random changes of a table with odd names, whose texts may be anything.
  static func feedRandom(_ setup: LaneSetup, seed: UInt64) throws -> CapturingSink {
    var random = SeededNumbers(seed: seed)
    let types: [UInt32] = [23, 25, 16, 700, 1700, 3802, 1184, 17, 1007, 1009]
    let odd = ["a\"b", "new\nline", "\u{1}", "ключ", "", "\u{1F600}", "x y", "__op", "c", "d", "e"]
    let isFull = Bool.random(using: &random)
    let relation = Relation(
      oid: oid, schema: "s\"\n", name: "t\\\u{2}", replicaIdentity: isFull ? .full : .primaryKey,
      columns: [Relation.Column(name: "id", isKey: true, type: 23)]
        + types.indices.map {
          Relation.Column(name: odd[$0], isKey: isFull, type: types[$0])
        })
    func value(_ type: UInt32) -> ServerBytes.Cell {
      switch (Int.random(in: 0..<6, using: &random), type) {
      case (0, _): .null
      case (1, 25): .text(odd.randomElement(using: &random) ?? "")
      case (_, 23), (_, 1700): .text("\(Int32.random(in: .min ... .max, using: &random))")
      case (_, 16): .text(Bool.random(using: &random) ? "t" : "f")
      case (_, 700): .text(["NaN", "-Infinity", "1e+30"].randomElement(using: &random) ?? "")
      case (_, 3802): .text(#"{"a\n": [1, null, "\""]}"#)
      case (_, 1184): .text("2024-02-29 11:34:56.789+00")
      case (_, 17): .text("\\x00ff0a")
      case (_, 1007): .text("{1,NULL,3}")
      case (_, 1009): .text(#"{"a\"b",NULL,"new line"}"#)
      default: .text((odd.randomElement(using: &random) ?? "") + "'\t\\")
      }
    }
    func row(_ id: Int, _ unchanged: Bool = false) -> [ServerBytes.Cell] {
      [.text("\(id)")]
        + types.map {
          unchanged && Int.random(in: 0..<5, using: &random) == 0 ? .unchanged : value($0)
        }
    }
    let image: ServerBytes.Image = isFull ? .full : .key
    func old(_ id: Int) -> [ServerBytes.Cell] {
      isFull ? row(id) : [.text("\(id)")] + types.map { _ in .null }
    }
    let payloads = (0..<20).map { id -> [UInt8] in
      switch Int.random(in: 0..<5, using: &random) {
      case 0: ServerBytes.insert(oid, row(id))
      case 1: ServerBytes.update(oid, old: isFull ? (image, old(id)) : nil, row(id, true))
      case 2: ServerBytes.update(oid, old: (image, old(id)), row(id + 100, true))
      case 3: ServerBytes.delete(oid, image, old(id))
      default: ServerBytes.truncate([oid])
      }
    }
    return try feed(setup, relation, all: payloads)
  }
}
