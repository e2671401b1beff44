import PGWire
import Support
import Testing

@testable import Streamer

/// How far a copy of existing rows is, as it is told.
@Suite struct CopyProgressTests {
  @Test func `A share is said only where the server's estimate may be true`() {
    var status = SnapshotStatus(tables: 3, tablesDone: 1, rows: 50)
    #expect(status.percent == nil && status.secondsLeft == nil)
    status.estimatedRows = 200
    #expect(status.percent == 25 && status.secondsLeft == nil)
    status.rowsPerSecond = 10
    #expect(status.secondsLeft == 15)
    // All that the server believes in has come, and something is left.
    status.estimatedRows = 50
    #expect(status.percent == nil && status.secondsLeft == nil)
    status.estimatedRows = 0
    #expect(status.percent == nil && status.secondsLeft == nil)
    status.estimatedRows = 51
    #expect(status.percent == 98)
    status.isPaused = true
    #expect(status.secondsLeft == nil)
    status = SnapshotStatus(tables: 3, tablesDone: 3, rows: 50, estimatedRows: 200)
    #expect(status.percent == nil)
  }

  /// Some rows whose keys were changed are read again one by one, many with their whole table, once.
  @Test func `Moved rows are read again while their table is read in parts`() {
    let table = CopySimulation.table
    func row(_ key: String, _ lsn: UInt64) -> MovedRow {
      MovedRow(
        relation: table.relation.oid, table: table.name, lsn: LSN(lsn),
        key: [MovedRow.Column(name: "id", value: key)])
    }
    var book = CopyBook([CopyRequest(number: CopyRequest.start)])
    book.put(book.next([table.name], filter: nil, mark: nil, of: [table]))
    var rereads = Rereads()
    // Not begun, or done: its rows come whole, or have.
    #expect(rereads.commands(for: [row("1", 1)], book, book).isEmpty)
    var begun = book
    begun.change(0) { $0.lastKey = ["5"] }
    var done = begun
    done.change(0) { $0.isDone = true }
    #expect(rereads.commands(for: [row("1", 1)], done, done).isEmpty)
    #expect(
      rereads.commands(for: [row("it's", 0x10)], book, begun) == [
        .copy(tables: ["public.t"], filter: "(\"id\") = ('it''s')", mark: "moved 0/10")
      ])
    // All of it has been read, and not everything delivered.
    #expect(rereads.commands(for: [row("2", 2)], book, done).count == 1)
    let many = (0..<UInt64(Limits.movedRows) * 2).map { row("\($0)", $0) }
    let commands = rereads.commands(for: many, begun, begun)
    #expect(commands.count == Limits.movedRows - 1)
    #expect(commands.last == .copy(tables: ["public.t"], filter: nil, mark: "moved 1 public.t"))
    // Another copy of the same number is another matter, and what it asks for is not known yet.
    func marked(_ book: CopyBook, _ mark: String) -> CopyBook {
      CopyBook(
        book.requests.map { request in
          var request = request
          request.mark = mark
          return request
        }, book.tables)
    }
    let first = rereads.commands(for: many, marked(begun, "a"), marked(begun, "a"))
    let second = rereads.commands(for: many, marked(begun, "b"), marked(begun, "b"))
    #expect(
      [first.last, second.last]
        == [
          .copy(tables: ["public.t"], filter: nil, mark: "moved a public.t"),
          .copy(tables: ["public.t"], filter: nil, mark: "moved b public.t"),
        ])
    // A text that is none does not say which row it is.
    var unknown = Rereads()
    #expect(
      unknown.commands(for: [row("caf\u{FFFD}", 1)], begun, begun)
        == [.copy(tables: ["public.t"], filter: nil, mark: "moved 1 public.t")])
    // A key that is no condition asks for the whole table at once.
    var others = Rereads()
    #expect(
      others.commands(for: [row("a\\", 1), row("b", 2)], begun, begun)
        == [.copy(tables: ["public.t"], filter: nil, mark: "moved 1 public.t")])
  }

  @Test func `A line says what fits into it`() {
    var status = SnapshotStatus(tables: 12, tablesDone: 3, rows: 30, bytes: 2 << 20)
    status.pauses.add(.milliseconds(980))
    #expect(
      CopyLine.text(status, width: 120)
        == "copying existing rows  3 of 12 tables  30 rows  2 MiB  changes waited 980ms")
    status.estimatedRows = 120
    status.rowsPerSecond = 0.5
    #expect(
      CopyLine.text(status, width: 200)
        == "copying existing rows  [#####...............]  about 25%  3 of 12 tables  "
        + "30 of about 120 rows  about 3min left  2 MiB  changes waited 980ms")
    for width in 0...200 {
      let text = CopyLine.text(status, width: width)
      #expect(text.count <= max(width, 21) && text.hasPrefix("copying existing rows"))
    }
  }

  @Test func `Several copies make one line`() {
    var one = SnapshotStatus(tables: 2, tablesDone: 1, rows: 10, bytes: 100, estimatedRows: 20)
    one.rowsPerSecond = 1
    var other = SnapshotStatus(tables: 3, rows: 1, bytes: 5, estimatedRows: 9)
    other.rowsPerSecond = 2
    other.pauses.add(.seconds(1))
    var sum = CopyLine.sum([one, other])
    #expect(sum.tables == 5 && sum.tablesDone == 1 && sum.rows == 11 && sum.bytes == 105)
    #expect(sum.estimatedRows == 29 && sum.rowsPerSecond == 3 && sum.pauses.last == .seconds(1))
    other.estimatedRows = nil
    sum = CopyLine.sum([one, other])
    #expect(sum.estimatedRows == nil)
    #expect(CopyLine.sum([]) == SnapshotStatus())
  }

  @Test func `A time that is not known well is not told well`() {
    #expect(CopyLine.time(0) == "1s" && CopyLine.time(99.4) == "99s")
    #expect(CopyLine.time(100) == "2min" && CopyLine.time(5_399) == "90min")
    #expect(CopyLine.time(5_400) == "2h" && CopyLine.time(.infinity) == "1000000h")
  }

  @Test func `The pace is that of the last while, and a pause is none`() {
    let start = ContinuousClock.now
    var pace = CopyPace()
    #expect(pace.rowsPerSecond == nil)
    pace.begin(now: start)
    pace.add(rows: 100, bytes: 1_000, now: start + .milliseconds(500))
    #expect(pace.rowsPerSecond == nil, "too early to say")
    pace.add(rows: 300, bytes: 1_000, now: start + .seconds(2))
    #expect(pace.rowsPerSecond == 200 && pace.rows == 400 && pace.bytes == 2_000)
    // The stream's turn counts: it is time that passes.
    pace.begin(now: start + .seconds(4))
    #expect(pace.rowsPerSecond == 100)
    pace.pause()
    #expect(pace.rowsPerSecond == nil)
    pace.begin(now: start + .seconds(1_000))
    for second in 1...100 { pace.add(rows: 7, bytes: 1, now: start + .seconds(1_000 + second)) }
    #expect(pace.rowsPerSecond == 7)
    for second in 101...140 {
      pace.add(rows: 70, bytes: 1, now: start + .seconds(1_000 + second))
    }
    #expect(pace.rowsPerSecond == 70, "what was long ago is forgotten")
  }

  @Test func `What the server believes is read as it says it`() {
    #expect(
      SnapshotTable.estimates(
        of: [1, 2, 3], from: [["1", "70"], ["2", nil], ["x", "1"], ["9"]])
        == [1: 70, 2: -1, 3: 0])
    #expect(SnapshotTable.rows(ofPlan: "Limit  (cost=0.28..8.30 rows=1234 width=36)") == 1_234)
    #expect(SnapshotTable.rows(ofPlan: "Seq Scan") == nil)
  }
}

/// What is told of copies.
@Suite struct CopyNoticeTests {
  private func notice(
    _ kind: CopyNotice.Kind, _ request: CopyRequest, _ table: TableProgress? = nil,
    _ scan: CopyNotice.Scan? = nil
  ) -> CopyNotice {
    CopyNotice(
      kind: kind, request: request, tables: ["public.a", "public.b"], table: table, scan: scan,
      time: UTCTime(microseconds: 1_695_817_046_353_999))
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func `A notice has the shape of Debezium's`() {
    let signal = CopyRequest(number: 3, tables: ["public.a", "public.b"], mark: "0/10 a 1 ")
    var table = TableProgress(request: 3, number: 0, relation: 9, name: "public.a")
    table.rows = 12
    let scanned = notice(.tableScanCompleted, signal, table, .succeeded)
    #expect(
      text(scanned.value(source: "shop"))
        == #"{"id":"a 1","aggregate_type":"Incremental Snapshot","type":"TABLE_SCAN_COMPLETED","#
        + #""additional_data":{"connector_name":"shop","copy":"3","#
        + #""data_collections":"public.a,public.b","scanned_collection":"public.a","#
        + #""total_rows_scanned":"12","status":"SUCCEEDED"},"timestamp":1695817046353}"#)
    #expect(text(scanned.key) == #"{"id":"a 1"}"#)
    let start = notice(.inProgress, CopyRequest(number: CopyRequest.start), table)
    #expect(
      text(start.value(source: "s"))
        == #"{"id":"0","aggregate_type":"Initial Snapshot","type":"IN_PROGRESS","#
        + #""additional_data":{"connector_name":"s","copy":"0","#
        + #""data_collections":"public.a,public.b","current_collection_in_progress":"public.a"},"#
        + #""timestamp":1695817046353}"#)
    let one = CopyRequest(
      number: 4, tables: ["public.b"], filter: "v > 1", mark: "0/10 x public.b", state: .failed,
      error: "no")
    #expect(text(notice(.aborted, one).key) == #"{"id":"x"}"#)
    #expect(text(notice(.aborted, one).value(source: "s")).contains(#""error":"no"}"#))
  }

  @Test func `A decision is told where it changes something`() {
    func kind(_ state: CopyRequest.State, _ before: CopyRequest.State) -> CopyNotice.Kind? {
      CopyNotice.kind(of: state, after: before)
    }
    #expect(kind(.paused, .active) == .paused && kind(.paused, .paused) == nil)
    #expect(kind(.active, .paused) == .resumed && kind(.active, .active) == nil)
    #expect(kind(.stopped, .paused) == .aborted && kind(.stopped, .stopped) == nil)
    #expect(kind(.failed, .active) == .aborted && kind(.active, .stopped) == nil)
  }
}
