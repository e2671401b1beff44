import Testing

@testable import PGWire

/// NegotiateProtocolVersion: what a server may answer and what it may not.
struct ProtocolNegotiationTests {
  private static func negotiate(_ version: Int32, _ names: [String], count: Int32? = nil) -> [UInt8]
  {
    func bytes(_ value: Int32) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
    let texts: [UInt8] = names.flatMap { Array($0.utf8) + [0 as UInt8] }
    return Scripted.message("v", bytes(version) + bytes(count ?? Int32(names.count)) + texts)
  }

  private static let v30: Int32 = 0x0003_0000
  private static let v32: Int32 = 0x0003_0002
  private static func end(key: Int) -> [UInt8] {
    let body = [0, 0, 0, 7] + [UInt8](repeating: 9, count: key)
    return Scripted.authenticationOk + Scripted.version + Scripted.message("K", body)
      + Scripted.ready
  }

  private func run(
    _ bytes: [UInt8], _ versions: ClosedRange<ProtocolVersion>
  ) throws(PGError) -> StartupMachine {
    var machine = StartupMachine(
      PasswordAuthentication(
        user: "u", credential: Credential(), rules: AuthenticationRules(), material: .clear,
        nonce: [1]),
      versions: versions)
    var output = ByteWriter()
    let (_, action) = try unsafe machine.receive(bytes.span.bytes, into: &output)
    guard action == .ready else { throw .timeout("not ready") }
    return machine
  }

  @Test func anOlderServerGoesOnWithItsOwn() throws {
    let machine = try run(
      Self.negotiate(Self.v30, []) + Self.end(key: 4), .v3_0 ... .v3_2)
    #expect(machine.version == .v3_0)
    #expect(machine.keyData?.secretKey.count == 4)
  }

  @Test(arguments: [4, 32, 256]) func aNewServerSaysNothing(key: Int) throws {
    for versions in [.v3_0 ... .v3_2, .v3_2 ... .v3_2] as [ClosedRange<ProtocolVersion>] {
      let machine = try run(Self.end(key: key), versions)
      #expect(machine.version == .v3_2)
      #expect(machine.keyData?.secretKey.count == key)
    }
  }

  @Test(arguments: [0, 3, 257]) func keysOfWrongLengths(key: Int) {
    #expect(throws: PGError.self) { try run(Self.end(key: key), .v3_0 ... .v3_2) }
  }

  @Test func longKeysAreOfTheNewProtocol() {
    #expect(throws: PGError.self) { try run(Self.end(key: 32), .v3_0 ... .v3_0) }
    #expect(throws: PGError.self) {
      try run(Self.negotiate(Self.v30, []) + Self.end(key: 32), .v3_0 ... .v3_2)
    }
  }

  /// libpq's checks, one by one.
  @Test(arguments: [
    negotiate(0x0003_0003, []), negotiate(0x0004_0000, []), negotiate(0x7FFF_FFFF, []),
    negotiate(0x0002_0000, []), negotiate(0, []), negotiate(-1, []), negotiate(0x0003_0001, []),
    negotiate(v30, [], count: -1), negotiate(v30, [], count: 1), negotiate(v30, [], count: 1 << 30),
    negotiate(v32, []), negotiate(v30, ["foo"]), negotiate(v32, ["foo"]),
    negotiate(v30, ["_pq_.foo"]), negotiate(v30, ["_pq_.foo"], count: 0),
    negotiate(v30, []) + negotiate(v30, []), Scripted.message("v", [0, 3, 0, 0]),
    Scripted.message("v", []), Scripted.authenticationOk + negotiate(v30, []),
    negotiate(v30, ["_pq_.a", "b"]),
  ])
  func nonsenseIsRefused(bytes: [UInt8]) {
    do throws(PGError) {
      _ = try run(bytes + Self.end(key: 4), .v3_0 ... .v3_2)
      Issue.record("a violation was expected")
    } catch {
      guard case .protocol(_, .startup, .some(.negotiateProtocolVersion)) = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test func changedBytesNeverTrap() {
    let bytes = Self.negotiate(Self.v30, ["_pq_.a"]) + Self.end(key: 4)
    for index in bytes.indices {
      for value in [0, 0x7F, 0x80, 0xFF, bytes[index] ^ 1] as [UInt8] {
        var changed = bytes
        changed[index] = value
        _ = try? run(changed, .v3_0 ... .v3_2)
      }
    }
  }

  @Test func theLeastVersionIsKept() {
    #expect(throws: PGError.self) {
      try run(Self.negotiate(Self.v30, []) + Self.end(key: 4), .v3_2 ... .v3_2)
    }
    // Nobody who asked for 3.0 is told to go lower, or the same.
    #expect(throws: PGError.self) {
      try run(Self.negotiate(Self.v30, []) + Self.end(key: 4), .v3_0 ... .v3_0)
    }
  }

  @Test(
    arguments: [
      ("", "3.0", "3.0"), ("max_protocol_version=3.2", "3.0", "3.2"),
      ("max_protocol_version=latest", "3.0", "3.2"), ("min_protocol_version=3.2", "3.2", "3.2"),
      ("min_protocol_version=latest", "3.2", "3.2"), ("min_protocol_version=3.0", "3.0", "3.0"),
    ])
  func keywords(text: String, least: String, most: String) throws {
    let versions = try ConnectionParameters(ConnectionString(text)).protocolVersions
    #expect(versions.lowerBound.description == least)
    #expect(versions.upperBound.description == most)
  }

  @Test func theVersionIsAskedFor() throws {
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send(Self.negotiate(Self.v30, []) + Scripted.welcome), .waitForEnd,
      ]))
    let connection = try ScriptedClient.open([server.port], "max_protocol_version=latest")
    let version = connection.protocolVersion
    #expect(version == .v3_0)
    connection.close()
    #expect(server.finish() == 1)
    #expect(server.received[4..<8] == [0, 3, 0, 2])
  }
}
