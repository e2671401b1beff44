import Glibc
import Testing

@testable import Streamer

@Suite("Log")
struct LogTests {
  /// What `body` writes to a log, read back from a pipe.
  private func written(
    level: Log.Level = .info, format: Log.Format = .logfmt, _ body: (Log) -> Void
  ) throws -> String {
    var pipeEnds: [CInt] = [0, 0]
    try #require(unsafe pipe(&pipeEnds) == 0)
    defer { close(pipeEnds[0]) }
    body(Log(level: level, format: format, descriptor: pipeEnds[1]))
    close(pipeEnds[1])
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe read(pipeEnds[0], &part, part.count)
      if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += part.prefix(count)
    }
  }

  /// The lines without their time, which comes first.
  private func withoutTime(_ text: String) -> [String] {
    text.split(separator: "\n").map { line in
      line.hasPrefix("{")
        ? "{" + line.drop { $0 != "," }.dropFirst() : String(line.drop { $0 != " " }.dropFirst())
    }
  }

  @Test("a line has its sentence, the log's pairs and its own")
  func logfmt() throws {
    let text = try written { log in
      log.with(["source": "db 1"]).info("slot created", ["slot": "s", "bytes": 17, "ok": true])
    }
    #expect(
      withoutTime(text) == [#"level=info msg="slot created" source="db 1" slot=s bytes=17 ok=true"#]
    )
    #expect(text.hasPrefix("time=20") && text.hasSuffix("\n"))
    #expect(!text.contains("\u{1B}"))
  }

  @Test("JSON keeps numbers and flags as such")
  func json() throws {
    let text = try written(format: .json) { log in
      log.error("connection lost", ["cause": "a \"b\"\nc", "bytes": -1, "ok": false, "x": 1.5])
    }
    #expect(
      withoutTime(text) == [
        #"{"level":"error","msg":"connection lost","cause":"a \"b\"\nc","bytes":-1,"#
          + #""ok":false,"x":"1.5"}"#
      ])
  }

  @Test(
    "values that could be mistaken are quoted, and a line stays a line",
    arguments: [
      ("", #""""#), ("plain", "plain"), ("a b", #""a b""#), ("a=b", #""a=b""#),
      ("a\nlevel=error", #""a\nlevel=error""#), ("\"", #""\"""#), ("\\", #""\\""#),
      ("\u{1B}[31m", #""\u001b[31m""#), ("größe", "größe"), ("日本\u{1F600}", "日本\u{1F600}"),
      ("a\u{9B}31m", #""a\u009b31m""#), ("a\u{85}b", #""a\u0085b""#),
      ("a\u{202E}b", #""a\u202eb""#), ("a\u{2028}b\u{2029}", #""a\u2028b\u2029""#),
      ("\u{2066}\u{61C}", #""\u2066\u061c""#),
    ])
  func quoting(_ value: String, _ expected: String) throws {
    let text = try written { $0.info("x", ["v": value]) }
    #expect(withoutTime(text) == ["level=info msg=x v=\(expected)"])
  }

  @Test("A12 JSON and error lines hold no hidden characters either")
  func hidden() throws {
    let name = "t\u{9B}\u{202E}\u{2028}\u{7F}x"
    let json = try written(format: .json) { $0.info("x", ["v": name]) }
    #expect(json.contains(#""v":"t\u009b\u202e\u2028\u007fx""#))
    let error = StreamerError(what: "table \(name)", why: "it\r\nfailed")
    #expect(error.description == #"table t \u202e x: it failed"#)
  }

  @Test("A12 of what comes too fast a few lines are written, and the others counted")
  func limited() throws {
    let start = ContinuousClock.now
    let text = try written { log in
      for number in 0..<1000 {
        log.limited("notice", now: start)?.warning("a notice", ["n": number])
      }
      // Another kind, and the same of another source, have their own share.
      log.limited("other", now: start)?.warning("another")
      log.with(["source": "b"]).limited("notice", now: start)?.warning("of b")
      log.limited("notice", now: start + .seconds(1))?.warning("a notice", ["n": 1000])
      log.limited("notice", now: start + .seconds(1))?.warning("a notice", ["n": 1001])
    }
    let lines = withoutTime(text)
    #expect(lines.count == LogLimiter.linesPerSecond + 4)
    #expect(lines.first == #"level=warning msg="a notice" n=0"#)
    #expect(
      lines.suffix(4) == [
        "level=warning msg=another", #"level=warning msg="of b" source=b"#,
        #"level=warning msg="a notice" suppressed=995 n=1000"#,
        #"level=warning msg="a notice" n=1001"#,
      ])
  }

  @Test("a long value is cut")
  func cutting() throws {
    let text = try written { $0.info("x", ["v": String(repeating: "y", count: 100_000)]) }
    #expect(text.utf8.count < 3000)
    #expect(text.contains("y…"))
  }

  @Test("only lines of the level and above are written, and debug can be turned on")
  func levels() throws {
    var evaluated = 0
    func pairs() -> Log.Pairs {
      evaluated += 1
      return ["n": evaluated]
    }
    let text = try written(level: .warning) { log in
      let child = log.with(["c": 1])
      child.info("not this", pairs())
      child.warning("one")
      log.setDebug(true)
      child.debug("two")
      child.trace("not this", pairs())
      log.setDebug(false)
      child.debug("not this", pairs())
      child.lowered(to: .debug).debug("three")
      child.debug("not this", pairs())
      child.error("four")
    }
    #expect(
      withoutTime(text) == [
        "level=warning msg=one c=1", "level=debug msg=two c=1", "level=debug msg=three c=1",
        "level=error msg=four c=1",
      ])
    #expect(evaluated == 0)
  }

  @Test("colours are for a terminal, and not where NO_COLOR is set", arguments: ["", "1"])
  func colours(_ noColour: String) async {
    // In a process of its own, since the environment is the whole process's.
    await #expect(processExitsWith: .success) { [noColour = noColour as String] in
      unsafe setenv("NO_COLOR", noColour, 1)
      let terminal = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY)
      // TIOCSPTLCK and TIOCGPTN: posix_openpt's family is missing in Swift's Glibc.
      var lock: CInt = 0
      var number: CInt = 0
      try #require(unsafe ioctl(terminal, 0x4004_5431, &lock) == 0)
      try #require(unsafe ioctl(terminal, 0x8004_5430, &number) == 0)
      let side = unsafe open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
      try #require(side >= 0)
      Log(descriptor: side).error("it failed")
      Log(format: .json, descriptor: side).error("it failed")
      // A terminal hands over what was written in parts of its own choosing.
      var bytes: [UInt8] = []
      var part = [UInt8](repeating: 0, count: 4096)
      while bytes.count(where: { $0 == 0x0A }) < 2 {
        let count = unsafe read(terminal, &part, part.count)
        try #require(count > 0)
        bytes += part.prefix(count)
      }
      let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      #expect(lines.count == 2)
      #expect(lines.first?.contains("level=\u{1B}[31merror\u{1B}[0m ") == noColour.isEmpty)
      #expect(lines.first?.contains("\u{1B}") == noColour.isEmpty)
      #expect(lines.last?.contains("\u{1B}") == false)
    }
  }

  @Test("lines of several threads never mix")
  func threads() throws {
    let filler = String(repeating: "z", count: 500)
    let text = try written { log in
      // Few enough that the pipe takes them all: 64 KiB.
      let threads = (0..<4).compactMap { part in
        try? SharedThread {
          for number in 0..<20 { log.info("line", ["p": part, "n": number, "f": filler]) }
        }
      }
      #expect(threads.count == 4)
      for thread in threads { thread.join() }
    }
    let lines = withoutTime(text)
    #expect(lines.count == 80)
    let expected = (0..<4).flatMap { part in
      (0..<20).map { "level=info msg=line p=\(part) n=\($0) f=\(filler)" }
    }
    #expect(Set(lines) == Set(expected))
  }

  @Test(
    "levels have the names of the configuration",
    arguments: zip(
      ["trace", "DEBUG", "info", "warning", "warn", "error"],
      [Log.Level.trace, .debug, .info, .warning, .warning, .error]))
  func names(_ name: String, _ level: Log.Level) {
    #expect(Log.Level(name: name) == level)
    #expect(Log.Level(name: "loud") == nil)
  }

  @Test(
    "times are RFC 3339 with microseconds",
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
      (1_763_885_750_123_456, "2025-11-23T08:15:50.123456Z"),
      (951_782_399_000_000, "2000-02-28T23:59:59.000000Z"),
      (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
      (4_107_542_400_000_001, "2100-03-01T00:00:00.000001Z"),
    ])
  func times(_ microseconds: Int64, _ text: String) {
    #expect(UTCTime(microseconds: microseconds).description == text)
  }
}
