import Testing

@testable import PGWire

/// `require_auth`, as libpq 18 takes it.
struct RequiredAuthenticationTests {
  @Test(
    arguments: [
      ("password", [.password]), ("md5,scram-sha-256", [.md5, .scramSHA256]),
      ("!none", [.password, .md5, .gss, .sspi, .scramSHA256, .oauth]),
      ("!password,!md5", [.gss, .sspi, .scramSHA256, .oauth, .none]),
      ("none", [.none]), ("oauth,gss,sspi", [.oauth, .gss, .sspi]),
    ] as [(String, Set<RequiredAuthentication.Method>)])
  func lists(text: String, expected: Set<RequiredAuthentication.Method>) throws {
    #expect(try RequiredAuthentication(text).allowed == expected)
  }

  @Test(arguments: [
    "a", "md5,!md5", "!md5,md5", "md5,md5", "!md5,!md5", "md5,", ",md5", "md5, password", "MD5",
    "!", "!!md5", "",
  ])
  func nonsense(text: String) {
    #expect(throws: PGError.self) { try RequiredAuthentication(text) }
  }

  private static let salt: [UInt8] = [1, 2, 3, 4]
  private static let scram = AuthenticationRequest.sasl(mechanisms: ["SCRAM-SHA-256"])
  private static let oauth = AuthenticationRequest.sasl(mechanisms: ["OAUTHBEARER"])

  /// Each request against each requirement: what is refused, and in libpq's words.
  @Test(
    arguments: [
      ("scram-sha-256", .cleartextPassword, "server requested a cleartext password"),
      ("scram-sha-256", .md5Password(salt: salt), "server requested a hashed password"),
      ("md5", scram, "server requested SASL authentication"),
      ("scram-sha-256", oauth, "server requested SASL authentication"),
      ("scram-sha-256", .ok, "server did not complete authentication"),
      ("!none", .ok, "server did not complete authentication"),
      ("!password", .cleartextPassword, "server requested a cleartext password"),
      ("none", scram, "server requested SASL authentication"),
      ("password", .unsupported(name: "GSSAPI"), "server requested GSSAPI authentication"),
      ("gss", .unsupported(name: "SSPI"), "server requested SSPI authentication"),
      ("scram-sha-256", scram, nil), ("!md5", scram, nil), ("none", .ok, nil),
      ("!md5", .ok, nil), ("password,none", .ok, nil), ("password", .cleartextPassword, nil),
      ("md5", .md5Password(salt: salt), nil),
    ] as [(String, AuthenticationRequest, String?)])
  func requests(text: String, request: AuthenticationRequest, expected: String?) throws {
    let rules = AuthenticationRules(required: try RequiredAuthentication(text))
    var authentication = PasswordAuthentication(
      user: "u", credential: Credential(password: "geheim"), rules: rules, material: .clear,
      nonce: Array("nonce".utf8))
    var output = ByteWriter()
    do throws(PGError) {
      try authentication.answer(request, into: &output)
      #expect(expected == nil)
    } catch {
      let (description, sent) = (error.description, output.count)
      #expect(
        description.contains("authentication method requirement \"\(text)\" failed: "),
        "\(description)")
      #expect(description.contains(expected ?? "-"), "\(description)")
      // Nothing goes to a server that asks for the wrong thing.
      #expect(sent == 0)
      #expect(!authentication.isAuthenticated)
    }
  }

  @Test func aPasswordThatWasGivenIsAnAuthentication() throws {
    for (text, request) in [
      ("password", AuthenticationRequest.cleartextPassword),
      ("!none", .md5Password(salt: Self.salt)),
    ] {
      let rules = AuthenticationRules(required: try RequiredAuthentication(text))
      var authentication = PasswordAuthentication(
        user: "u", credential: Credential(password: "geheim"), rules: rules, material: .clear,
        nonce: Array("nonce".utf8))
      var output = ByteWriter()
      try authentication.answer(request, into: &output)
      try authentication.answer(.ok, into: &output)
      #expect(authentication.isAuthenticated)
    }
  }

  @Test func aCertificateThatMustBeShown() throws {
    for (isRequested, isSent, expected) in [
      (false, true, "did not request"), (true, false, "without a certificate"), (true, true, nil),
    ] as [(Bool, Bool, String?)] {
      let rules = AuthenticationRules(
        requiredCertificate: .init(isRequested: isRequested, isSent: isSent))
      do throws(PGError) {
        try rules.checkEnd(isComplete: true, isBound: true)
        #expect(expected == nil)
      } catch {
        #expect(error.description.contains(expected ?? "-"))
      }
    }
  }
}
