import Testing

@testable import PGWire

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// SCRAM against the RFC's example and against exchanges recorded from servers.
struct SCRAMTests {
  // Recorded from PostgreSQL 15.18 with this nonce; the password is "scram secret".
  private let nonce = "fyko+d2lbbFgONRv9qkxdawL"
  private let serverFirst =
    "r=fyko+d2lbbFgONRv9qkxdawL2a8T/ezBMkgYgcr4SAJOBBJy,s=whmfafbtXcL81h7inh7pkw==,i=4096"
  private let clientFinal =
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL2a8T/ezBMkgYgcr4SAJOBBJy,"
    + "p=QErDSJRD3s385HG89K+eG8xOBW41lbJW4oXAJJQOBGI="
  private let serverFinal = "v=pe69ouqo/ENTjCSvir/6669Vr+NeiGgre1kbVGS7A6g="

  private func started() -> SCRAM {
    var scram = SCRAM(.password(bytes("scram secret")), nonce: bytes(nonce), binding: .none)
    #expect(scram.clientFirst() == bytes("n,,n=,r=" + nonce))
    return scram
  }

  @Test func exampleOfRFC7677() throws {
    var scram = SCRAM(
      .password(bytes("pencil")), nonce: bytes("rOprNGfwEbeRWgbNEkqO"), binding: .none,
      user: "user")
    #expect(scram.clientFirst() == bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
    let answer = try scram.clientFinal(
      serverFirst: bytes(
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
    #expect(
      answer
        == bytes(
          "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
    #expect(!scram.isVerified)
    try scram.verify(serverFinal: bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))
    #expect(scram.isVerified)
  }

  @Test func recordedExchange() throws {
    var scram = started()
    #expect(try scram.clientFinal(serverFirst: bytes(serverFirst)) == bytes(clientFinal))
    try scram.verify(serverFinal: bytes(serverFinal))
    #expect(scram.isVerified)
  }

  @Test(arguments: [
    "v=qe69ouqo/ENTjCSvir/6669Vr+NeiGgre1kbVGS7A6g=", "v=", "v=pe69", "e=invalid-proof", "",
    "x=pe69ouqo/ENTjCSvir/6669Vr+NeiGgre1kbVGS7A6g=",
  ])
  func wrongServerSignatureIsRefused(final: String) throws {
    var scram = started()
    _ = try scram.clientFinal(serverFirst: bytes(serverFirst))
    #expect(throws: PGError.self) { try scram.verify(serverFinal: bytes(final)) }
    #expect(!scram.isVerified)
    // A refusal is final: the right signature afterwards changes nothing.
    #expect(throws: PGError.self) { try scram.verify(serverFinal: bytes(serverFinal)) }
    #expect(!scram.isVerified)
  }

  @Test(arguments: [
    "r=fyko+d2lbbFgONRv9qkxdawL,s=whmfafbtXcL81h7inh7pkw==,i=4096",
    "r=other+d2lbbFgONRv9qkxdawL2a8T,s=whmfafbtXcL81h7inh7pkw==,i=4096",
    "r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw,i=4096",
    "r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw==,i=0",
    "r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw==,i=-1",
    "r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw==,i=10000001",
    "r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw==,i=99999999999999999999",
    "m=ext,r=fyko+d2lbbFgONRv9qkxdawLabc,s=whmfafbtXcL81h7inh7pkw==,i=4096",
    "r=fyko+d2lbbFgONRv9qkxdawLabc", "", ",,,", "r", "i=4096",
  ])
  func malformedChallengeIsRefused(challenge: String) {
    var scram = started()
    #expect(throws: PGError.self) { try scram.clientFinal(serverFirst: bytes(challenge)) }
  }

  @Test func bindingRules() throws {
    let both = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    let plain = ["SCRAM-SHA-256"]
    let hash: [UInt8] = [1, 2, 3]
    func choose(
      _ offered: [String], _ material: BindingMaterial, _ wish: ChannelBinding
    ) -> SCRAMBinding? {
      try? SCRAMBinding.choose(offered: offered, material: material, wish: wish)
    }
    let tls = BindingMaterial.tls(serverEndPoint: hash)
    #expect(choose(both, tls, .prefer) == .bound(serverEndPoint: hash))
    #expect(choose(both, tls, .require) == .bound(serverEndPoint: hash))
    #expect(choose(both, tls, .disable) == SCRAMBinding.none)
    #expect(choose(plain, tls, .prefer) == .offeredByClientOnly)
    #expect(choose(plain, tls, .disable) == SCRAMBinding.none)
    #expect(choose(plain, tls, .require) == nil)
    // A signature without a hash, as Ed25519's.
    #expect(choose(both, .tls(serverEndPoint: nil), .prefer) == SCRAMBinding.none)
    #expect(choose(both, .tls(serverEndPoint: nil), .require) == nil)
    #expect(choose(plain, .clear, .prefer) == SCRAMBinding.none)
    #expect(choose(plain, .clear, .require) == nil)
    // A server in clear that offers PLUS believes in a TLS that somebody else ends.
    #expect(choose(both, .clear, .prefer) == nil)
    #expect(choose(["SCRAM-SHA-1"], .clear, .prefer) == nil)
    #expect(SCRAMBinding.bound(serverEndPoint: hash).mechanism == "SCRAM-SHA-256-PLUS")
    #expect(
      SCRAMBinding.bound(serverEndPoint: hash).input == bytes("p=tls-server-end-point,,") + hash)
  }
}

/// The small codecs of authentication.
struct AuthenticationCodecTests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func base64(plain: String, encoded: String) {
    #expect(Base64.encode(bytes(plain)) == bytes(encoded))
    #expect(Base64.decode(bytes(encoded)) == bytes(plain))
  }

  @Test(arguments: ["Zg", "Zg=", "Zg===", "Zh==", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm9-"])
  func malformedBase64(text: String) {
    #expect(Base64.decode(bytes(text)) == nil)
  }

  // Computed with PostgreSQL's own definition by coreutils' md5sum.
  @Test func md5() throws {
    let hash = try MD5Password.hash(
      user: "md5_user", password: bytes("md5 secret"), salt: [0x01, 0x02, 0xFE, 0xFF])
    #expect(String(decoding: hash, as: UTF8.self) == "md57668b2290cf1e8e7bc9470bf81357865")
  }

  @Test(
    arguments: [
      [0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 5, 1, 2, 3, 4],
      [0, 0, 0, 10, 65, 0, 66, 0, 0], [0, 0, 0, 11, 1], [0, 0, 0, 12], [0, 0, 0, 7],
    ] as [[UInt8]])
  func requestsDecode(body: [UInt8]) throws {
    _ = try unsafe AuthenticationRequest.decode(body.span.bytes)
    for count in 0..<min(body.count, body[3] == 11 ? 4 : body.count) {
      let part = Array(body.prefix(count))
      #expect(throws: DecodingError.self) {
        try unsafe AuthenticationRequest.decode(part.span.bytes)
      }
    }
  }
}
