import PGWire
import Support
import Testing

@testable import Streamer

/// What `verify --resume` keeps in its file.
@Suite struct VerifyResumptionTests {
  private static let basis = VerifyResumption.Basis(
    source: "pg", sink: "out", server: "7 shop 5", settings: "ab")
  private let directory: TemporaryDirectory
  private var path: String { "\(directory.path)/verified" }

  init() throws { directory = try TemporaryDirectory() }

  private func part(_ table: String) -> VerifyResumption.Part {
    var finding = TableFinding(sink: "out", table: table, topic: "t.\(table)")
    (finding.rows, finding.inTopic) = (7, 8)
    finding.counts = [.missing: 1, .extra: 2, .different: 3, .unsettled: 4]
    finding.examples = [
      .init(verdict: .extra, key: "{\"id\":\"a\\n\u{1}\u{202E}é\"}"),
      .init(verdict: .unsettled, key: "\"\\"),
    ]
    return VerifyResumption.Part(
      basis: Self.basis, fence: LSN(0x1_0000_0018), findings: [finding], relations: [4_000_000_000],
      remarks: ["a \"remark\""])
  }

  private func parts() throws -> [VerifyResumption.Part] {
    try opened().parts(on: Self.basis)
  }

  /// A process that another test has just started has the lock of whatever was open until it runs its program.
  private func opened() throws -> VerifyResumption {
    var outcome: Result<VerifyResumption, StreamerError>?
    try eventually("the file's lock") {
      outcome = Result { () throws(StreamerError) in try VerifyResumption(path: path) }
      if case .failure(let error) = outcome { return error.why != "another run has it" }
      return true
    }
    return try #require(outcome).get()
  }

  @Test func `What was kept is there again, but for a line that was cut off`() throws {
    let all = [part("a"), part("b")]
    do {
      let file = try opened()
      #expect(try file.parts(on: Self.basis) == [])
      try file.keep(all[0])
      try file.keep(all[1])
      // Only one run has it.
      #expect(throws: StreamerError.self) { try VerifyResumption(path: path) }
      withExtendedLifetime(file) {}
    }
    #expect(try parts() == all)
    let whole = try FileBytes.bytes(of: path)
    let second = try #require(whole.dropLast().lastIndex(of: 0x0A)) + 1
    for length in 0..<whole.count {
      try FileBytes.write(bytes: Array(whole[..<length]), to: path)
      let found = try parts()
      #expect(found == (length < second ? [] : [all[0]]))
    }
    // What is kept next stands behind the last whole line.
    do { try opened().keep(all[1]) }
    #expect(try FileBytes.bytes(of: path) == whole)
    #expect(try parts() == all)
  }

  @Test func `Results that rest on something else are refused, and so are other files`() throws {
    do { try opened().keep(part("a")) }
    let text = try FileBytes.text(of: path)
    for change in [("7 shop 5", "8 shop 5"), ("\"ab\"", "\"cd\"")] {
      try FileBytes.write(text.replacing(change.0, with: change.1), to: path)
      #expect(throws: StreamerError.self) { try parts() }
    }
    for other in [
      "hello", "hello\n", "{}\n", text.replacing("\"version\":1", with: "\"version\":2"),
    ] {
      try FileBytes.write(other, to: path)
      #expect(throws: StreamerError.self) { try parts() }
      #expect(try FileBytes.text(of: path) == other)
    }
    let line = text.split(separator: "\n")[1]
    try FileBytes.write("\(text)x\n\(line)\n", to: path)
    #expect(throws: StreamerError.self) { try parts() }
  }
}
