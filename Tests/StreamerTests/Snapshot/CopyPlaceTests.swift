import Testing

@testable import Streamer

/// How far existing rows are written, as a sink keeps it beside its position.
@Suite struct CopyPlaceTests {
  private func table(
    _ relation: UInt32, of request: Int = 0, key: [String] = [], rows: Int64 = 0,
    isDone: Bool = false
  ) -> TableProgress {
    TableProgress(
      request: request, number: Int(relation), relation: relation, name: "t\(relation)",
      lastKey: key, rows: rows, isDone: isDone)
  }

  @Test func `What was committed and not written down is put into the book`() {
    let book = CopyBook(
      [CopyRequest(number: 0, mark: "a"), CopyRequest(number: 1, mark: "b")],
      [table(1, isDone: true), table(2), table(3), table(2, of: 1)])
    let place = CopyPlace(
      copy: "a", tables: [table(2, key: ["7"], rows: 5), table(3, rows: 9, isDone: true), table(9)])
    #expect(
      book.changes(by: place)
        == CopyBook([], [table(2, key: ["7"], rows: 5), table(3, rows: 9, isDone: true)]))
    var after = book
    after.put(book.changes(by: place))
    #expect(after.changes(by: place).tables.isEmpty)
    // Of the same number in another store, or from before marks were kept.
    #expect(book.changes(by: CopyPlace(copy: "c", tables: place.tables)) == CopyBook())
    #expect(book.changes(by: CopyPlace(copy: "", tables: place.tables)) == CopyBook())
    var stopped = book
    stopped.decide(.stopped, about: 0)
    #expect(stopped.changes(by: place) == CopyBook())
  }

  @Test func `Rows that are perhaps not there come again`() {
    let earlier = CopyPlace(copy: "a", tables: [table(2, key: ["7"], rows: 5)], isUnfinished: true)
    let torn = CopyPlace(
      copy: "a", tables: [table(2, rows: 9, isDone: true), table(3, key: ["1"])])
    #expect(
      torn.before(earlier)
        == CopyPlace(
          copy: "a", tables: [table(2, key: ["7"], rows: 5), table(3)], isUnfinished: true)
    )
    let other = CopyPlace(copy: "b", tables: [table(4, isDone: true)])
    #expect(torn.before(other) == CopyPlace(copy: "a", tables: [table(2), table(3)]))
    #expect(torn.before(nil) == CopyPlace(copy: "a", tables: [table(2), table(3)]))
  }
}
