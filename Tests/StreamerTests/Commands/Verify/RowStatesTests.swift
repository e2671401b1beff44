import Testing

@testable import Streamer

/// What a topic and a table have to say of one row.
@Suite struct RowStatesTests {
  private func columns(_ values: [String: String]) -> [ColumnDigest] {
    values.sorted { $0.key < $1.key }.map {
      ColumnDigest(name: ColumnDigest.hash($0.key), value: ColumnDigest.hash($0.value))
    }
  }

  private func entry(
    _ origin: KeyEntry.Origin, _ values: [String: String]?, lsn: UInt64 = 0, xid: UInt32? = nil,
    partition: Int32 = 0
  ) -> KeyEntry {
    KeyEntry(
      table: 0, key: [1], origin: origin, partition: partition,
      record: RowRecord(
        content: values.map { .row(columns($0)) } ?? .gone, lsn: lsn, xid: xid))
  }

  private func verdict(
    _ entries: [KeyEntry], emptied: (before: UInt64, since: UInt64) = (0, 0),
    unseen: Set<UInt32> = []
  ) -> RowStates.Verdict {
    var states = RowStates()
    for entry in entries { states.take(entry, emptied: emptied.before) }
    states.empty(at: emptied.since)
    return states.verdict { !unseen.contains($0) }
  }

  @Test func `The last record of a key counts`() {
    let old = entry(.before, ["a": "1"])
    let new = entry(.before, ["a": "2"])
    #expect(verdict([old, new, entry(.table, ["a": "2"])]) == .agrees)
    #expect(verdict([old, new, entry(.table, ["a": "1"])]) == .different)
    #expect(verdict([new, entry(.before, nil), entry(.table, ["a": "2"])]) == .missing)
    #expect(verdict([new, entry(.before, nil)]) == .agrees)
    #expect(verdict([new]) == .extra)
    #expect(verdict([entry(.table, ["a": "2"])]) == .missing)
  }

  @Test func `NULL is a value, and a column that is missing keeps its own`() {
    #expect(
      verdict([entry(.before, ["a": "null"]), entry(.table, ["a": "1"])]) == .different)
    let whole = entry(.before, ["a": "1", "big": "x"])
    let part = entry(.before, ["a": "2"])
    #expect(verdict([whole, part, entry(.table, ["a": "2", "big": "x"])]) == .agrees)
    #expect(verdict([whole, part, entry(.table, ["a": "2", "big": "y"])]) == .different)
    // Nobody has sent it: it is not known.
    #expect(verdict([part, entry(.table, ["a": "2", "big": "y"])]) == .agrees)
    // A delete ends it: what comes after has nothing of before.
    #expect(
      verdict([whole, entry(.before, nil), part, entry(.table, ["a": "2", "big": "y"])])
        == .agrees)
  }

  @Test func `Columns that were added or dropped meanwhile make no difference`() {
    let record = entry(.before, ["a": "1", "dropped": "x"])
    #expect(verdict([record, entry(.table, ["a": "1", "added": "y"])]) == .agrees)
    #expect(verdict([record, entry(.table, ["other": "1"])]) == .different)
  }

  @Test func `The table was read at some time since the topic's noted end`() {
    let before = entry(.before, ["a": "1"])
    let table = entry(.table, ["a": "2"])
    let since = [entry(.since, ["a": "2"]), entry(.since, ["a": "3"])]
    #expect(verdict([before, table] + since) == .agrees)
    #expect(verdict([before, entry(.table, ["a": "1"])] + since) == .agrees)
    #expect(verdict([before, entry(.table, ["a": "9"])] + since) == .different)
    // Deleted before it was read, or only behind.
    #expect(verdict([before, entry(.since, nil)]) == .agrees)
    #expect(verdict([before, entry(.table, ["a": "1"]), entry(.since, nil)]) == .agrees)
    #expect(verdict([entry(.since, ["a": "1"])]) == .agrees)
    #expect(verdict([entry(.table, ["a": "1"]), entry(.since, ["a": "1"])]) == .agrees)
  }

  @Test func `A transaction that the table did not show yet is no difference`() {
    let before = entry(.before, ["a": "2"], xid: 7)
    #expect(verdict([before, entry(.table, ["a": "1"])], unseen: [7]) == .unsettled)
    #expect(verdict([before, entry(.table, ["a": "1"])], unseen: [8]) == .different)
    #expect(verdict([before], unseen: [7]) == .unsettled)
    #expect(verdict([before, entry(.table, ["a": "2"])], unseen: [7]) == .agrees)
  }

  @Test func `Of two partitions the later change counts`() {
    let moved = [
      entry(.before, ["a": "2"], lsn: 20, partition: 1), entry(.before, ["a": "1"], lsn: 10),
      entry(.before, nil, lsn: 20),
    ]
    #expect(verdict(moved + [entry(.table, ["a": "2"])]) == .agrees)
    // Within a partition what comes again after a crash comes later.
    let again = [
      entry(.before, ["a": "1"], lsn: 10), entry(.before, ["a": "2"], lsn: 20),
      entry(.before, ["a": "1"], lsn: 10), entry(.before, ["a": "2"], lsn: 20),
    ]
    #expect(verdict(again + [entry(.table, ["a": "2"])]) == .agrees)
  }

  @Test func `What lies before the emptying of the table is gone`() {
    let record = entry(.before, ["a": "1"], lsn: 10)
    #expect(verdict([record], emptied: (before: 20, since: 0)) == .agrees)
    #expect(verdict([record], emptied: (before: 5, since: 0)) == .extra)
    #expect(verdict([record], emptied: (before: 0, since: 30)) == .agrees)
  }
}
