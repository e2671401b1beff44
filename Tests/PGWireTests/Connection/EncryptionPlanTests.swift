import Testing

@testable import PGWire

/// What `sslmode` tries first, and when it tries something else.
struct EncryptionPlanTests {
  private static func plan(_ keywords: String, isUnixSocket: Bool = false) throws -> EncryptionPlan
  {
    let parameters = try ConnectionParameters(ConnectionString(keywords))
    return EncryptionPlan(parameters.tls, isUnixSocket: isUnixSocket)
  }

  private static func refusal(_ code: String) -> PGError {
    var error = ServerError()
    error.code = code
    return .server(error)
  }

  @Test(
    arguments: [
      ("disable", .clear), ("allow", .clear), ("prefer", .requestedOrClear),
      ("require", .requested),
      ("verify-ca", .requested), ("verify-full", .requested),
    ] as [(String, Encryption)])
  func first(mode: String, expected: Encryption) throws {
    #expect(try Self.plan("sslmode=\(mode)").first == expected)
    #expect(try Self.plan("sslmode=\(mode)", isUnixSocket: true).first == .clear)
  }

  @Test func directTLSGoesWithStrictModesOnly() throws {
    for mode in ["require", "verify-ca", "verify-full"] {
      #expect(try Self.plan("sslnegotiation=direct sslmode=\(mode)").first == .direct)
    }
    for mode in ["disable", "allow", "prefer"] {
      #expect(throws: PGError.self) { try Self.plan("sslnegotiation=direct sslmode=\(mode)") }
    }
    #expect(throws: PGError.self) { try Self.plan("sslnegotiation=direct") }
  }

  /// Never in clear after the server has heard a StartupMessage over TLS, whatever it says.
  @Test(arguments: SSLMode.allCases)
  func neverFromTLSToClearAfterTheStartup(mode: SSLMode) throws {
    let plan = try Self.plan("sslmode=\(mode.rawValue)")
    let errors = [
      Self.refusal("28P01"), Self.refusal("28000"), Self.refusal("57P03"), .authentication("a"),
      .tls("a"), .closed(.startup), .closed(.tls), .timeout("a"),
      .transport(reason: "a", phase: .startup),
    ]
    for error in errors {
      #expect(plan.second(after: .session, error) != .clear)
    }
  }

  @Test func preferDoesWithoutTLSOnlyWhenTheHandshakeFails() throws {
    let plan = try Self.plan("sslmode=prefer")
    for error in [PGError.tls("a"), .closed(.tls), .transport(reason: "a", phase: .tls)] {
      #expect(plan.second(after: .handshake, error) == .clear)
      for stage in [AttemptStage.connecting, .negotiating, .session] {
        #expect(plan.second(after: stage, error) == nil)
      }
    }
    #expect(plan.second(after: .handshake, .timeout("a")) == nil)
  }

  @Test func allowTriesTLSAfterARefusal() throws {
    let plan = try Self.plan("sslmode=allow")
    #expect(plan.second(after: .session, Self.refusal("28000")) == .requested)
    #expect(plan.second(after: .session, Self.refusal("28P01")) == .requested)
    // A server that is starting up says the same with TLS.
    #expect(plan.second(after: .session, Self.refusal("57P03")) == nil)
    #expect(plan.second(after: .session, .authentication("a")) == nil)
    #expect(plan.second(after: .connecting, .closed(.startup)) == nil)
  }

  @Test func strictModesHaveNoSecondWay() throws {
    for mode in ["disable", "require", "verify-ca", "verify-full"] {
      let plan = try Self.plan("sslmode=\(mode)")
      for stage in [AttemptStage.connecting, .negotiating, .handshake, .session] {
        for error in [PGError.tls("a"), .closed(.tls), Self.refusal("28000")] {
          #expect(plan.second(after: stage, error) == nil)
        }
      }
    }
  }
}
