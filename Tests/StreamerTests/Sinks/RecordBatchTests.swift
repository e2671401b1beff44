import PGWire
import Testing

@testable import Streamer

/// What a batch keeps of its records.
@Suite struct RecordBatchTests {
  /// Some records of a batch have a time of their own, and those that follow a dropped one keep theirs.
  @Test func timesBelongToTheirRecords() {
    let route = Route(topic: 0, table: "t")
    var batch = RecordBatch()
    func add(_ number: Int, hasHeader: Bool = true, isDropped: Bool = false) {
      let first = batch.headerCount
      if hasHeader, number % 3 != 0 { batch.stamp(Int64(number)) }
      if hasHeader { batch.addHeader("id", nil) }
      if isDropped { return batch.dropHeaders(from: first) }
      batch.add(key: nil, value: nil, route: route, ticket: UInt64(number), headersFrom: first)
    }
    for number in 1...100 {
      add(1_000, isDropped: true)
      add(number, hasHeader: number % 5 != 0)
    }
    for entry in batch.entries {
      let number = Int64(entry.ticket)
      #expect(batch.time(of: entry) == (number % 3 == 0 || number % 5 == 0 ? nil : number))
    }
    batch.truncate(to: 10)
    add(200)
    #expect(batch.entries.map { batch.time(of: $0) }.compactMap(\.self) == [1, 2, 4, 7, 8, 200])
    batch.removeAll()
    add(3)
    #expect(batch.time(of: batch.entries[0]) == nil)
  }
}
