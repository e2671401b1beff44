import Testing

@testable import PGWire

/// What can be tried again, decided in one place.
struct PGErrorTests {
  @Test(arguments: [
    ("57P03", true), ("53300", true), ("55006", true), ("57P01", true), ("57P02", true),
    ("40001", true), ("08006", true), ("58030", true), ("53100", true), ("", true),
    ("28P01", false), ("28000", false), ("3D000", false), ("42501", false), ("42704", false),
    ("08P01", false), ("57P04", false), ("53400", true), ("55000", false), ("22023", false),
    ("0A000", false), ("XX000", false),
  ])
  func bySQLState(code: String, expected: Bool) {
    var error = ServerError()
    error.code = code
    #expect(PGError.server(error).isRetryable == expected)
    #expect(PGError.server(error).sqlState == code)
  }

  private func attempts(_ errors: PGError...) -> PGError {
    .attemptsFailed(errors.map { FailedAttempt(address: "a", error: $0) })
  }

  @Test func byCase() {
    let violation = PGError.protocol(
      DecodingError(.badLength(-1), at: 1), phase: .startup, tag: .dataRow)
    let passing: [PGError] = [
      .connect(address: "a", reason: "b"), .timeout("a"), .closed(.query),
      .transport(reason: "a", phase: .copyBoth), .unsuitableServer("a"),
      attempts(.timeout("b"), .closed(.startup)), attempts(.unsuitableServer("a"), .timeout("b")),
    ]
    let lasting: [PGError] = [
      .connectionString("a"), .tls("a"), .authentication("a"), violation,
      attempts(), attempts(.timeout("b"), .tls("a")),
    ]
    #expect(passing.allSatisfy { $0.isRetryable && $0.sqlState == nil })
    #expect(lasting.allSatisfy { !$0.isRetryable })
    #expect(
      violation.description
        == "protocol violation in startup, message 'D': length -1 is out of range (offset 1)")
    #expect(PGError.tls("a\nb").description == "TLS: a b")
  }
}
