import PGWire
import Testing

@testable import Streamer

/// What records say of rows, in the formats that are compared.
@Suite struct RowRecordTests {
  private func reader(_ format: FormatConfiguration.Name) -> RowRecordReader {
    var setup = LaneSetup(routing: TopicRouting(fallback: "t"), messageTopic: "")
    setup.format = format
    return RowRecordReader(
      setup, database: "shop", tables: [("public", "orders"), ("au\"dit", "items")])
  }

  private func read(_ reader: RowRecordReader, _ text: String?) -> RowRecord? {
    guard let text else { return reader.read(nil) }
    let bytes = Array(text.utf8)
    return reader.read(unsafe bytes.span.bytes)
  }

  private func columns(_ members: KeyValuePairs<String, String>) -> RowRecord.Content {
    .row(
      members.map {
        ColumnDigest(name: ColumnDigest.hash($0.key), value: ColumnDigest.hash($0.value))
      })
  }

  @Test func `Members are found by their places`() {
    let text = Array(#" { "a\"}" : [1,{"x":"]"}] ,"b":"\\","c":-1.5e3,"d":null } "#.utf8)
    let span = unsafe text.span.bytes
    var found: [String] = []
    let isObject = JSONMembers.each(of: span) { name, value in
      found.append("\(span.extracting(name).text)=\(span.extracting(value).text)")
    }
    #expect(isObject)
    #expect(found == [#"a\"}=[1,{"x":"]"}]"#, #"b="\\""#, "c=-1.5e3", "d=null"])
    for broken in ["", "[]", "{", #"{"a""#, #"{"a":"#, #"{"a":1"#, #"{"a":1,"#, #"{"a"#] {
      let bytes = Array(broken.utf8)
      let isObject = JSONMembers.each(of: unsafe bytes.span.bytes) { _, _ in }
      #expect(!isObject, "\(broken)")
    }
  }

  @Test func `An event of the program's own format`() {
    let reader = reader(.psqlStreamer)
    let event = { (action: String, columns: String, database: String) in
      """
      {"Host":"h","Database":"\(database)","Table":"orders","Action":"\(action)","WALPosition":144,\
      "Timestamp":null,"UUID":"u","Columns":\(columns),"Schema":"public","LSN":"0/9",\
      "CommitLSN":"0/90","XID":7,"Ordinal":0,"Key":{"id":1},"Unchanged":["big"]}
      """
    }
    var expected = RowRecord(
      content: columns(["id": "1", "v": #""a}""#]), lsn: 144, xid: 7, table: 0)
    for action in ["insert", "update", "read"] {
      #expect(read(reader, event(action, #"{"id":1,"v":"a}"}"#, "shop")) == expected)
    }
    expected.content = .gone
    #expect(read(reader, event("delete", #"{"id":1}"#, "shop")) == expected)
    expected.content = .emptied
    #expect(read(reader, event("truncate", "null", "shop")) == expected)
    #expect(read(reader, event("insert", #"{"id":1}"#, "other")) == nil)
    #expect(read(reader, nil) == RowRecord(content: .gone))
    let other = #"{"Database":"shop","Schema":"au\"dit","Table":"items","Action":"delete"}"#
    #expect(read(reader, other)?.table == 1)
  }

  @Test func `Debezium's envelope, with and without its schema`() {
    let reader = reader(.debezium)
    let source = #"{"db":"shop","schema":"public","table":"orders","txId":9,"lsn":88}"#
    let row = #"{"id":1,"big":"__debezium_unavailable_value","v":null}"#
    let update = #"{"before":null,"after":\#(row),"source":\#(source),"op":"u","ts_ms":1}"#
    let expected = RowRecord(
      content: columns(["id": "1", "v": "null"]), lsn: 88, xid: 9, table: 0)
    #expect(read(reader, update) == expected)
    #expect(read(reader, #"{"schema":{"type":"struct"},"payload":\#(update)}"#) == expected)
    let delete = #"{"before":\#(row),"after":null,"source":\#(source),"op":"d"}"#
    #expect(read(reader, delete)?.content == .gone)
    #expect(read(reader, #"{"source":\#(source),"op":"t"}"#)?.content == .emptied)
    #expect(read(reader, #"{"source":\#(source),"op":"m"}"#) == nil)
  }

  @Test func `A row alone`() {
    let reader = reader(.flat)
    #expect(read(reader, #"{"id":1,"v":"x"}"#)?.content == columns(["id": "1", "v": #""x""#]))
    #expect(read(reader, #"{"id":1,"__deleted":"true"}"#)?.content == .gone)
    #expect(
      read(reader, #"{"schema":{},"payload":{"id":1}}"#)?.content == columns(["id": "1"]))
  }

  @Test func `Entries come back as they were, in their order`() throws {
    let buckets = try KeyBuckets(count: 3, in: "/tmp")
    var written: [KeyEntry] = []
    for number in 0..<2_000 {
      let entry = KeyEntry(
        table: number % 3, key: Array("\(number % 500)".utf8),
        origin: [.before, .table, .since][number % 3], partition: Int32(number % 7),
        record: RowRecord(
          content: number % 5 == 0
            ? .gone : .row((0..<number % 40).map { ColumnDigest(name: UInt64($0), value: .max) }),
          lsn: UInt64(number), xid: number % 2 == 0 ? UInt32.max : nil, table: number % 3))
      try buckets.add(entry)
      written.append(entry)
    }
    var read: [KeyEntry] = []
    for bucket in 0..<buckets.count {
      var last: [[UInt8]: UInt64] = [:]
      try buckets.each(of: bucket) { entry in
        #expect(entry.record.lsn > last[entry.key] ?? 0 || entry.record.lsn < 500)
        last[entry.key] = entry.record.lsn
        read.append(entry)
      }
    }
    #expect(read.sorted { $0.record.lsn < $1.record.lsn } == written)
  }
}
