import KafkaBridge
import PGWire
import Testing

@testable import Streamer

/// A position as it lies in its topic.
@Suite struct PositionRecordTests {
  private var record: PositionRecord {
    PositionRecord(
      position: Position(
        source: "pg \"1\"", sink: "out", systemIdentifier: "7300000000000000001", timeline: 3,
        database: "d", slot: "s", publications: ["a", "b,c"], lsn: LSN(0x1_0000_0010)),
      cut: .init(commitLSN: LSN(0x1_0000_0100), nextOrdinal: UInt64(Int64.max)),
      from: ReadPlace(lsn: LSN(0x10)), options: "messages=true",
      written: [
        WrittenPartition(
          TopicPartition(topic: "t", partition: 2), count: 7, lastOffset: 1 << 40)
      ])
  }

  @Test func isReadAsItWasWritten() {
    #expect(PositionRecord(record.value) == record)
    var plain = record
    plain.cut = nil
    plain.from.cut = .init(commitLSN: LSN(1), nextOrdinal: 0)
    #expect(PositionRecord(plain.value) == plain)
    plain.copied = CopyPlace(
      copy: "5f", tables: [TableProgress(number: 0, relation: .max, name: "a.\"b\"", rows: .max)],
      isUnfinished: true)
    plain.from.copied = CopyPlace(
      copy: "5e",
      tables: [
        TableProgress(number: 0, relation: 7, name: "", lastKey: ["it's", ""], rows: 3),
        TableProgress(number: 0, relation: 8, name: "x", isDone: true),
      ])
    #expect(PositionRecord(plain.value) == plain)
    plain.cut = record.cut
    #expect(PositionRecord(plain.value) == plain)
  }

  /// A change of the bytes would make the positions of running pipelines unreadable.
  @Test func bytesStayAsTheyAre() {
    #expect(
      String(decoding: record.value, as: UTF8.self) == #"""
        {"version":1,"source":"pg \"1\"","sink":"out","systemIdentifier":"7300000000000000001",\#
        "timeline":"3","database":"d","slot":"s","options":"messages=true",\#
        "publications":["a","b,c"],"position":{"lsn":"1/10","commitLSN":"1/100",\#
        "ordinal":9223372036854775807},"from":{"lsn":"0/10"},\#
        "written":[{"topic":"t","partition":2,"count":7,"lastOffset":1099511627776}]}
        """#)
    #expect(
      String(decoding: PositionRecord.key(source: "a", sink: "b"), as: UTF8.self)
        == #"{"source":"a","sink":"b"}"#)
  }

  @Test(arguments: ["", "{}", "null", #"{"version":2}"#]) func whatIsNone(_ text: String) {
    #expect(PositionRecord(Array(text.utf8)) == nil)
  }

  /// Cut at any length it is refused, never read as something else.
  @Test func halfARecordIsNone() {
    let value = record.value
    for length in 0..<value.count {
      #expect(PositionRecord(Array(value.prefix(length))) == nil)
    }
  }
}
