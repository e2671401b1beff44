import Testing

@testable import Streamer

/// What commands print, without servers.
@Suite struct CommandOutputTests {
  private let plain = TerminalStyle(isOn: false)
  private let coloured = TerminalStyle(isOn: true)

  @Test func `Columns are as wide as they must be, and colours take no room`() {
    func table(_ style: TerminalStyle) -> String {
      var table = TextTable([.init("A"), .init("N"), .init("LAST")], rightAligned: [1])
      table.add([.init("long", style.red), .init("7"), .init("x")])
      table.add([.init("é"), .init("123"), .init("a\u{1B}[2J\nb")])
      return table.text
    }
    #expect(table(plain) == "A       N  LAST\nlong    7  x\né     123  a [2J b")
    #expect(table(coloured).replacing("\u{1B}[31mlong\u{1B}[0m", with: "long") == table(plain))
  }

  @Test(arguments: [
    (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (16 << 20, "16 MiB"),
    (1_234_567_890, "1.1 GiB"),
  ])
  func `Sizes are rounded for people`(bytes: Int, text: String) {
    #expect(ByteSize(bytes).rounded == text)
  }

  @Test func `A check's JSON has its shape, its table the remedies and the counts`() throws {
    var report = CheckReport()
    report.add(.init("wal_level", "source pg", .ok, "logical"))
    report.add(.init("slot", "source pg", .warn, "in \"use\"", ""))
    #expect(report.exit == .done)
    report.add("publication", "source pg", StreamerError(what: "w", why: "gone", hint: "Make it."))
    #expect(report.exit == .failure)
    #expect(
      String(decoding: report.json, as: UTF8.self) == """
        [{"check":"wal_level","target":"source pg","result":"ok","found":"logical","remedy":null,\
        "exit":0},\
        {"check":"slot","target":"source pg","result":"warn","found":"in \\"use\\"","remedy":null,\
        "exit":0},\
        {"check":"publication","target":"source pg","result":"fail","found":"gone",\
        "remedy":"Make it.","exit":1}]
        """)
    let lines = report.text(plain).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 7)
    #expect(lines[1] == "ok      source pg  wal_level    logical")
    #expect(lines[4].hasSuffix("→ Make it."))
    #expect(lines[6] == "1 ok, 1 warn, 1 fail")
    #expect(report.text(coloured).contains("\u{1B}[31mfail\u{1B}[0m"))
  }

  @Test func `Status and counters become tables, errors follow`() throws {
    let status = try #require(
      JSONValue(
        Array(
          """
          {"ok":false,"version":"0.1.0","sources":[{"name":"pg","type":"postgres","state":"retrying",
          "since":"2026-11-23T08:15:50Z","error":"refused","slot":"s1","receivedLSN":"0/10",
          "confirmedLSN":null,"lagBytes":1536,"walHeldBytes":0}],"sinks":[{"name":"out",
          "type":"kafka","state":"streaming","since":"x","error":null,"inFlightBytes":7}]}
          """.utf8)))
    let stats = JSONValue(
      Array(#"{"sources":{"pg":{"events":42}},"sinks":{"out":{"kafkaMessages":41}}}"#.utf8))
    let report = try #require(StatusReport("http://h:1", status, stats: stats))
    #expect(!report.isOK)
    let text = report.text(plain)
    #expect(text.hasPrefix("psql-streamer 0.1.0 at http://h:1: not ok\n"))
    for part in ["retrying", "1.5 KiB", "  42  ", "41", "7 B", "pg: refused", " –"] {
      #expect(text.contains(part), "\(part)")
    }
    #expect(StatusReport("", .object([]), stats: nil) == nil)
    // Without counters the columns stay.
    #expect(try #require(StatusReport("", status, stats: nil)).text(plain).contains("DELIVERED"))
  }

  @Test func `With --ready it is not ok until /ready says so, and says why`() throws {
    func report(_ readiness: String?) throws -> StatusReport {
      let status = try #require(JSONValue(Array(#"{"ok":true,"version":"1"}"#.utf8)))
      return try #require(
        StatusReport(
          "", status, stats: nil, readiness: readiness.flatMap { JSONValue(Array($0.utf8)) }))
    }
    #expect(try report(nil).isOK)
    #expect(try report(#"{"ready":true,"reasons":[]}"#).isOK)
    let waiting = try report(#"{"ready":false,"reasons":["source \"pg\" is starting"]}"#)
    #expect(!waiting.isOK)
    #expect(waiting.text(plain).contains("not ok"))
    #expect(waiting.text(plain).hasSuffix("not ready: source \"pg\" is starting"))
    // An answer that is none is no yes.
    #expect(!(try report("{}").isOK))
  }

  @Test func `Addresses are read as browsers do`() throws {
    let location = try #require(HTTPLocation("http://db1:12080/base/"))
    #expect(location.host == "db1" && location.port == 12080 && location.base == "/base")
    #expect(HTTPLocation("http://[::1]:7")?.authority == "[::1]:7")
    #expect(HTTPLocation("http://[::1]")?.port == 80)
    #expect(HTTPLocation("http://db1")?.description == "http://db1:80")
    for wrong in [
      "https://db1", "http://", "http://:80", "http://db1:0", "http://db1:x", "http://a b",
      "http://db1/x\r\nEvil: y", "http://db1/?q",
    ] {
      #expect(HTTPLocation(wrong) == nil, "\(wrong)")
    }
  }

  @Test func `An answer is taken apart, a cut one is none`() throws {
    func parse(_ text: String) -> (code: Int, body: [UInt8])? {
      HTTPRequest.parse(Array(text.utf8))
    }
    let answer = try #require(parse("HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nab"))
    #expect(answer.code == 500 && answer.body == Array("ab".utf8))
    #expect(try #require(parse("HTTP/1.0 200 OK\r\n\r\n")).body.isEmpty)
    for wrong in [
      "", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nab",
    ] {
      #expect(parse(wrong) == nil, "\(wrong)")
    }
  }

  @Test func `A table's name has a schema or is in public`() throws {
    #expect(try TailTable("s.T x").schema == "s" && TailTable("s.T x").name == "T x")
    #expect(try TailTable("orders").schema == "public")
    #expect(try TailTable("a.b.c").name == "b.c")
    for wrong in ["", ".t", "s."] {
      #expect(throws: StreamerError.self) { try TailTable(wrong) }
    }
  }
}
