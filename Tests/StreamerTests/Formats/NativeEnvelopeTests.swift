import PGWire
import Testing

@testable import Streamer

@Suite struct NativeEnvelopeTests {
  @Test func eventHasItsMembersInOrder() throws {
    var format = NativeEnvelope(
      host: "127.0.0.1", database: "sh\"op", schema: "public", table: "orders")
    var state = EncodingState()
    let id = format.name("id")
    let note = format.name("no\"te")
    let uuid = EventUUID(
      systemIdentifier: 7, database: "shop", xid: 745, commitTime: 1, commitLSN: LSN(0x1999B48))
    NativeEnvelope.begin(
      commitLSN: LSN(0x1999B48), commitTime: 848_736_950_123_456, xid: 745, uuid: uuid, &state)
    var json = ByteWriter(capacity: 1)
    format.appendHead(state, .update, ordinal: 3, to: &json)
    json.append("{")
    format.append(id, isFirst: true, to: &json)
    json.append("7")
    format.append(note, isFirst: false, to: &json)
    json.append("null}")
    format.appendTail(state, lsn: LSN(0x1999A20), ordinal: 3, to: &json)
    NativeEnvelope.append(.key, to: &json)
    json.append("{}")
    NativeEnvelope.append(.old, to: &json)
    json.append("{}")
    NativeEnvelope.append(.unchanged, to: &json)
    json.append("[")
    format.append(element: id, isFirst: true, to: &json)
    format.append(element: note, isFirst: false, to: &json)
    json.append("]")
    let prefix = [UInt8]("p".utf8)
    let content: [UInt8] = [0, 255]
    NativeEnvelope.appendMessage(
      prefix: unsafe prefix.span.bytes, content: unsafe content.span.bytes,
      isTransactional: true, to: &json)
    NativeEnvelope.appendEnd(to: &json)
    let expectedUUID = written { uuid.append(ordinal: 3, to: &$0) }
    let expected =
      #"{"Host":"127.0.0.1","Database":"sh\"op","Table":"orders","Action":"update","#
      + #""WALPosition":26843976,"Timestamp":"2026-11-23T08:15:50.123456Z","UUID":""#
      + expectedUUID + #"","Columns":{"id":7,"no\"te":null},"Schema":"public","#
      + #""LSN":"0/1999A20","CommitLSN":"0/1999B48","XID":745,"Ordinal":3,"Key":{},"Old":{},"#
      + #""Unchanged":["id","no\"te"],"#
      + #""Message":{"Prefix":"p","Content":"AP8=","Transactional":true}}"#
    let text = json.bytes.text
    #expect(text == expected)
  }

  @Test func messageOutsideATransactionHasNoXID() {
    let format = NativeEnvelope(host: "h", database: "d", schema: "", table: "")
    var state = EncodingState()
    let uuid = EventUUID(
      systemIdentifier: 7, database: "d", xid: 0, commitTime: 0, commitLSN: LSN(1))
    NativeEnvelope.begin(commitLSN: LSN(1), commitTime: 0, xid: nil, uuid: uuid, &state)
    var json = ByteWriter()
    format.appendTail(state, lsn: LSN(1), ordinal: 0, to: &json)
    let text = json.bytes.text
    #expect(text == #","Schema":"","LSN":"0/1","CommitLSN":"0/1","XID":null,"Ordinal":0"#)
  }

  @Test(
    arguments: [
      (0, "2000-01-01T00:00:00.000000Z"), (-1, "1999-12-31T23:59:59.999999Z"),
      (848_736_950_123_456, "2026-11-23T08:15:50.123456Z"),
      (762_480_000_000_000, "2024-02-29T00:00:00.000000Z"),
      (-63_113_904_000_000_000, "0000-01-01T00:00:00.000000Z"),
      (-63_113_904_000_000_001, "-0001-12-31T23:59:59.999999Z"),
      (252_455_616_000_000_000, "10000-01-01T00:00:00.000000Z"),
      (Int64.max, "294277-01-09T04:00:54.775807Z"), (Int64.min, "-290278-12-22T19:59:05.224192Z"),
    ] as [(Int64, String)])
  func timestamp(_ microseconds: Int64, _ expected: String) {
    #expect(written { EventTimestamp.append(microseconds: microseconds, to: &$0) } == expected)
  }

  /// Every day of a whole cycle of the calendar, counted up by hand.
  @Test func timestampOfEveryDay() {
    var (year, month, day) = (2000, 1, 1)
    for number in 0..<Int64(146_097 + 100) {
      let found = written {
        EventTimestamp.append(microseconds: number * 86_400_000_000, to: &$0)
      }
      let date = "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
      guard found == date + "T00:00:00.000000Z" else {
        Issue.record("day \(number) is \(date), found \(found)")
        return
      }
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
      day += 1
      if day > days { (month, day) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
    }
  }

  @Test(arguments: [0, 1, 0x16_B374_D848, 0xFFFF_FFFF, UInt64.max])
  func lsn(_ value: UInt64) {
    #expect(written { $0.append(LSN(value)) } == LSN(value).description)
  }
}
