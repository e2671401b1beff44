import PGWire
import Testing

/// What is asked of each version of the server.
@Suite struct PgOutputOptionsTests {
  private func start(
    _ major: Int, _ change: (inout PgOutputOptions) -> Void = { _ in }
  ) throws(PGError) -> String {
    var options = PgOutputOptions(publications: ["p"])
    change(&options)
    let version = ServerVersion(number: major * 10_000)
    let command = ReplicationCommand.start(
      slot: "s", at: LSN(0x100), try options.supported(by: version))
    let prefix = "START_REPLICATION SLOT \"s\" LOGICAL 0/100 (\"proto_version\" "
    #expect(command.hasPrefix(prefix) && command.hasSuffix(")"))
    return String(command.dropFirst(prefix.count).dropLast())
      .replacing(", \"publication_names\" '\"p\"'", with: "")
  }

  private func refusal(_ major: Int, _ change: (inout PgOutputOptions) -> Void) -> String {
    do {
      return try start(major, change)
    } catch {
      #expect(!error.isRetryable)
      return "\(error)"
    }
  }

  @Test func byItselfTheMostThatTheServerHas() throws {
    #expect(try start(10) == "'1'")
    #expect(try start(13) == "'1'")
    #expect(try start(14) == "'2', \"messages\" 'true', \"streaming\" 'true'")
    #expect(try start(15) == "'3', \"messages\" 'true', \"streaming\" 'true'")
    #expect(try start(16) == "'4', \"messages\" 'true', \"streaming\" 'true'")
    #expect(try start(18) == "'4', \"messages\" 'true', \"streaming\" 'true'")
  }

  @Test func anOlderProtocolCanBeAskedFor() throws {
    #expect(try start(18) { $0.protocolVersion = 1 } == "'1', \"messages\" 'true'")
    #expect(
      try start(18) {
        $0.protocolVersion = 2
        $0.streaming = .off
        $0.messages = false
      } == "'2'")
  }

  @Test func everythingThatCanBeAskedFor() throws {
    #expect(
      try start(16) {
        $0.streaming = .parallel
        $0.twoPhase = true
        $0.origin = PgOutputOptions.Origin.none
        $0.binary = true
      } == "'4', \"messages\" 'true', \"streaming\" 'parallel', \"two_phase\" 'true', "
        + "\"origin\" 'none', \"binary\" 'true'")
    #expect(try start(16) { $0.origin = .any }.hasSuffix("\"origin\" 'any'"))
    #expect(try start(15) { $0.origin = .any }.contains("origin") == false)
  }

  @Test func whatTheServerLacksIsRefused() {
    #expect(
      refusal(14) { $0.protocolVersion = 3 }
        == "replication options: protocol 3: PostgreSQL 14.0 speaks 1 to 2. Leave it out for the highest"
    )
    #expect(refusal(18) { $0.protocolVersion = 0 }.contains("protocol 0: "))
    #expect(
      refusal(13) { $0.streaming = .on }
        == lacks(.streaming, 13))
    #expect(
      refusal(15) {
        $0.protocolVersion = 1
        $0.streaming = .on
      } == "replication options: streaming of open transactions needs protocol 2, not 1")
    #expect(
      refusal(15) { $0.streaming = .parallel }
        == lacks(.parallelStreaming, 15))
    #expect(
      refusal(14) { $0.twoPhase = true }
        == lacks(.twoPhase, 14))
    #expect(
      refusal(15) {
        $0.protocolVersion = 2
        $0.twoPhase = true
      } == "replication options: two-phase slots needs protocol 3, not 2")
    #expect(
      refusal(15) { $0.origin = PgOutputOptions.Origin.none }
        == lacks(.originFilter, 15))
    #expect(
      refusal(13) { $0.binary = true }
        == lacks(.binary, 13))
  }

  private func lacks(_ feature: ServerFeature, _ major: Int) -> String {
    "\(PGError.unsupported(feature, on: ServerVersion(number: major * 10_000)))"
  }

  @Test func aQuoteBeforeACombiningMarkIsAQuote() {
    #expect(ReplicationCommand.identifier("a\"\u{301}b") == "\"a\"\"\u{301}b\"")
    #expect(ReplicationCommand.literal("'\u{301}") == "'''\u{301}'")
  }

  @Test func namesAreQuotedTwice() throws {
    let options = PgOutputOptions(publications: ["it's", "a \"b\""])
    let command = ReplicationCommand.start(
      slot: "s", at: .zero, try options.supported(by: ServerVersion(number: 130_000)))
    #expect(command.hasSuffix(#""publication_names" '"it''s","a ""b"""')"#))
  }
}
