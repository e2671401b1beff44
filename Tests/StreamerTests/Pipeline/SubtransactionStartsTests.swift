import Support
import Testing

@testable import Streamer

/// Where subtransactions began, in memory and in the file, against a plain list (fault A1).
struct SubtransactionStartsTests {
  private typealias Start = SubtransactionStarts.Start

  /// What is to be known, all of it in one list.
  private struct Model {
    var starts: [Start] = []

    mutating func note(_ start: Start) {
      if !starts.contains(where: { $0.xid == start.xid }) { starts.append(start) }
    }

    mutating func cut(from xid: UInt32) -> Start? {
      guard let index = starts.firstIndex(where: { $0.xid == xid }) else { return nil }
      let start = starts[index]
      starts.removeSubrange(index...)
      return start
    }
  }

  /// Begins, returns to, and rolls back subtransactions by chance, the last ones most of all.
  @Test func agreeWithAPlainList() throws {
    let directory = try TemporaryDirectory()
    let base = SeededRandom("subtransaction starts").seed
    var fromFile = 0
    for seed in base..<base + 300 {
      var random = SeededRandom(seed: seed)
      let file = try SpoolFile(in: directory.path)
      // Numbers wrap around on the way.
      let top = UInt32.max - UInt32.random(in: 0...200, using: &random)
      var starts = SubtransactionStarts(of: top, runLength: Int.random(in: 1...6, using: &random))
      var model = Model()
      var next = top
      for offset in 1...Int.random(in: 10...400, using: &random) {
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1:
          let known = model.starts.suffix(Bool.random(using: &random) ? 3 : 1_000).randomElement(
            using: &random)
          let xid = known?.xid ?? next
          let before = starts.fileBytes
          let cut = try starts.cut(from: xid)
          #expect(cut == model.cut(from: xid), "PSQL_STREAMER_SEED=\(seed)")
          if starts.fileBytes < before { fromFile += 1 }
        case 2:
          // An outer one that has written nothing before, or one that goes on.
          try note(top &+ UInt32.random(in: 1...max(next &- top, 1), using: &random), offset)
        default:
          next &+= UInt32.random(in: 1...3, using: &random)
          try note(next, offset)
        }
        func note(_ xid: UInt32, _ offset: Int) throws {
          let start = Start(xid: xid, offset: offset, followsMessage: offset.isMultiple(of: 7))
          try starts.note(start)
          model.note(start)
          while starts.isLarge { try starts.spill(into: file) }
        }
      }
      for start in model.starts.shuffled(using: &random) {
        let cut = try starts.cut(from: start.xid)
        #expect(cut == model.cut(from: start.xid), "PSQL_STREAMER_SEED=\(seed)")
      }
      #expect(starts.fileBytes == 0)
    }
    #expect(fromFile > 100)
  }
}
