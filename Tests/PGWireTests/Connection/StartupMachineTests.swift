import Testing

@testable import PGWire

/// The start of a session, fed by hand.
struct StartupMachineTests {
  private static func message(_ tag: Unicode.Scalar, _ body: [UInt8]) -> [UInt8] {
    let length = UInt32(body.count + 4)
    return [UInt8(ascii: tag)] + (0..<4).map { UInt8(length >> (24 - 8 * $0) & 0xFF) } + body
  }

  private static func authentication(_ code: UInt8, _ rest: String = "") -> [UInt8] {
    message("R", [0, 0, 0, code] + Array(rest.utf8))
  }

  private static let serverFirst =
    "r=fyko+d2lbbFgONRv9qkxdawL2a8T/ezBMkgYgcr4SAJOBBJy,s=whmfafbtXcL81h7inh7pkw==,i=4096"
  private static let serverFinal = "v=pe69ouqo/ENTjCSvir/6669Vr+NeiGgre1kbVGS7A6g="
  private static let wrongFinal = "v=qe69ouqo/ENTjCSvir/6669Vr+NeiGgre1kbVGS7A6g="
  private static let ready = message("Z", [0x49])
  private static let settings =
    message("S", Array("server_version\u{0}15.18 (Debian)\u{0}".utf8))
    + message("N", Array("SNOTICE\u{0}C00000\u{0}Mhello\u{0}\u{0}".utf8))
    + message("K", [0, 0, 0, 42, 1, 2, 3, 4]) + ready
  private static let offer = authentication(10, "SCRAM-SHA-256\u{0}\u{0}")

  /// Recorded from PostgreSQL 15.18, the settings shortened.
  private static let scram =
    offer + authentication(11, serverFirst) + authentication(12, serverFinal) + authentication(0)
    + settings

  private func machine(
    password: String? = "scram secret", rules: AuthenticationRules = AuthenticationRules(),
    versions: ClosedRange<ProtocolVersion> = .v3_0 ... .v3_0
  ) -> StartupMachine {
    StartupMachine(
      PasswordAuthentication(
        user: "scram_user", credential: Credential(password: password), rules: rules,
        material: .clear, nonce: Array("fyko+d2lbbFgONRv9qkxdawL".utf8)),
      versions: versions)
  }

  /// Feeds the bytes in pieces and returns what the client answered.
  private func run(
    _ machine: inout StartupMachine, _ bytes: [UInt8], pieces: Int
  ) throws(PGError) -> (isReady: Bool, sent: [UInt8]) {
    var input = InputBuffer(capacity: 64, limit: 1 << 20)
    var output = ByteWriter()
    var rest = bytes[...]
    while true {
      let (consumed, action) = try machine.receive(input.readable, into: &output)
      input.consume(consumed)
      switch action {
      case .ready: return (true, output.bytes.array)
      case .send: break
      case .receive:
        guard !rest.isEmpty else { return (false, output.bytes.array) }
        let piece = rest.prefix(pieces)
        rest = rest.dropFirst(pieces)
        _ = unsafe input.withFreeSpace(minimum: piece.count) { space in
          unsafe space.copyBytes(from: piece)
          return piece.count
        }
      }
    }
  }

  @Test(arguments: [1, 2, 3, 7, 100_000])
  func scramInPiecesOfAnySize(pieces: Int) throws {
    var machine = machine()
    let isReady = try run(&machine, Self.scram, pieces: pieces).isReady
    #expect(isReady)
    #expect(machine.parameterStatus == ["server_version": "15.18 (Debian)"])
    #expect(machine.keyData == BackendKeyData(processID: 42, secretKey: [1, 2, 3, 4]))
    #expect(machine.notices.map(\.message) == ["hello"])
  }

  @Test func noPartOfAStartIsReady() throws {
    for count in 0..<Self.scram.count {
      var machine = machine()
      let (isReady, _) = try run(&machine, Array(Self.scram.prefix(count)), pieces: 1000)
      #expect(!isReady)
    }
  }

  @Test func changedBytesNeverTrap() {
    for index in Self.scram.indices {
      for value in [0xFF, Self.scram[index] ^ 1] as [UInt8] {
        var bytes = Self.scram
        bytes[index] = value
        var machine = machine()
        _ = try? run(&machine, bytes, pieces: 1000)
      }
    }
  }

  @Test(arguments: [
    offer + authentication(0),
    offer + authentication(11, serverFirst) + authentication(0),
    offer + authentication(11, serverFirst) + authentication(12, wrongFinal),
    offer + authentication(11, serverFirst) + authentication(12, "e=other-error"),
    offer + authentication(12, serverFinal),
    offer + offer,
    offer + authentication(3),
    authentication(11, serverFirst), authentication(12, serverFinal),
    authentication(10, "SCRAM-SHA-1\u{0}\u{0}"), authentication(10, "\u{0}"),
    authentication(10, "SCRAM-SHA-256-PLUS\u{0}SCRAM-SHA-256\u{0}\u{0}"),
    authentication(7), authentication(2), authentication(99),
    authentication(3) + authentication(3),
  ])
  func treacherousServersAreRefused(bytes: [UInt8]) {
    var machine = machine()
    do throws(PGError) {
      _ = try run(&machine, bytes + Self.settings, pieces: 1000)
      Issue.record("the server was expected to be refused")
    } catch {
      guard case .authentication = error else {
        Issue.record("\(error)")
        return
      }
      #expect(!error.isRetryable)
    }
    #expect(!machine.authentication.isAuthenticated)
  }

  @Test(arguments: [
    ready, settings, message("K", [0, 0, 0, 1, 1, 2, 3, 4]), message("D", [0, 0]),
    authentication(0) + authentication(0), authentication(0) + message("K", [0, 0, 0, 1]),
    authentication(0) + message("T", [0, 0]), authentication(0) + message("S", [0x61, 0]),
    [0x52, 0, 0, 0x10, 0, 0, 0, 0, 0], [0x52, 0xFF, 0xFF, 0xFF, 0xFF], [0x52, 0, 0, 0, 3],
    authentication(0) + [0x53, 0, 2, 0, 0], authentication(0) + [0x53, 0x80, 0, 0, 0],
    [0x48, 0x54, 0x54, 0x50, 0x2F, 0x31],
  ])
  func whatDoesNotBelongIsAViolation(bytes: [UInt8]) {
    var machine = machine()
    do throws(PGError) {
      _ = try run(&machine, bytes, pieces: 1000)
      Issue.record("a violation was expected")
    } catch {
      guard case .protocol(_, .startup, _) = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test func trustIsAcceptedUnlessBindingIsRequired() throws {
    var trusting = machine(password: nil)
    #expect(try run(&trusting, Self.authentication(0) + Self.settings, pieces: 9).isReady)
    for bytes in [Self.authentication(0), Self.authentication(3), Self.offer] {
      var strict = machine(rules: AuthenticationRules(channelBinding: .require))
      #expect(throws: PGError.self) { try run(&strict, bytes, pieces: 1000) }
    }
  }

  @Test func aPasswordWithAZeroByteIsRefused() {
    for request in [Self.authentication(3), Self.authentication(5, "salt"), Self.offer] {
      var machine = machine(password: "a\0b")
      #expect(throws: PGError.self) { try run(&machine, request, pieces: 1000) }
    }
  }

  @Test func aMissingPasswordIsSaid() {
    for request in [Self.authentication(3), Self.authentication(5, "salt"), Self.offer] {
      var machine = machine(password: nil)
      #expect(
        throws: PGError.authentication(
          "the server asks user scram_user for a password and none is given. Set password in the "
            + "connection string, PGPASSWORD or a passfile")
      ) { try run(&machine, request, pieces: 1000) }
    }
  }

  @Test func errorsOfTheServer() {
    let body = "SFATAL\u{0}VFATAL\u{0}C57P03\u{0}Mthe database system is starting up\u{0}\u{0}"
    var current = machine()
    #expect(throws: PGError.self) {
      try run(&current, Self.message("E", Array(body.utf8)), pieces: 3)
    }
    let old = Array("EFATAL:  sorry, too many clients already\n\u{0}".utf8)
    for pieces in [1, 5, 1000] {
      var machine = machine()
      do throws(PGError) {
        _ = try run(&machine, old, pieces: pieces)
        Issue.record("an error was expected")
      } catch {
        #expect(error.description == "FATAL: sorry, too many clients already")
        #expect(error.isRetryable)
      }
    }
    // Without its end, the old format shows only when the connection ends.
    let cut = Array(old.dropLast(3))
    let atEnd = unsafe machine().endOfInput(cut.span.bytes)
    #expect(atEnd.description == "FATAL: sorry, too many clients alread")
    let nothing: [UInt8] = []
    let atOnce = unsafe machine().endOfInput(nothing.span.bytes)
    #expect(atOnce == .closed(.startup))
  }
}
