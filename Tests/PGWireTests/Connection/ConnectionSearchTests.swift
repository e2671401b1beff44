import Support
import Testing

@testable import PGWire

/// The way over hosts and addresses, and what is told of it.
struct ConnectionSearchTests {
  private static func refusing(_ code: String) throws -> ScriptedServer {
    try #require(
      ScriptedServer([.receivePacket, .send(Scripted.error(code, severity: "FATAL"))]))
  }

  /// An address that is there and never answers: its queue of connections is full.
  private static func silent() throws -> ScriptedServer {
    try #require(ScriptedServer([.receivePacket, .waitForEnd]))
  }

  @Test func everyAttemptIsToldInOrderAndInOneLine() throws {
    let closed = try #require(Listener.freePort())
    let (starting, refusing) = (try Self.refusing("57P03"), try Self.refusing("28P01"))
    let never = try #require(ScriptedServer([.waitForEnd]))
    let error = try #require(
      ScriptedClient.failure([closed, starting.port, refusing.port, never.port], ""))
    #expect(
      error.description
        == "no connection: cannot connect to 127.0.0.1:\(closed): Connection refused. Is the server "
        + "running there and listening?; 127.0.0.1:\(starting.port) in clear: FATAL 57P03: refused; "
        + "127.0.0.1:\(refusing.port) in clear: FATAL 28P01: refused")
    #expect(error.sqlState == "28P01")
    #expect(!error.isRetryable)
    #expect(!error.description.contains("geheim"))
  }

  @Test func aSilentHostLeavesTimeForTheNext() throws {
    let silent = try Self.silent()
    let good = try #require(ScriptedServer([.receivePacket, .send(Scripted.welcome), .waitForEnd]))
    let connection = try ScriptedClient.open(
      [silent.port, good.port], "", timeout: .milliseconds(600))
    let port = connection.host.port
    #expect(port == good.port)
    connection.close()
  }

  @Test func timeIsSharedAmongWhatIsLeft() {
    let deadline = Deadline(after: .seconds(30))
    let third = deadline.share(among: 3).pollTimeout
    #expect((9_000...10_001).contains(third))
    #expect(deadline.share(among: 1).pollTimeout > 29_000)
    #expect(Deadline.never.share(among: 3).pollTimeout == -1)
    #expect(Deadline(after: .zero).share(among: 2).hasPassed)
  }

  @Test func chanceDecidesTheOrderWhenToldSo() throws {
    /// Which port is taken first with this seed.
    func order(_ keywords: String, seed: UInt64) throws -> [UInt16] {
      let ports = try (0..<5).map { _ in try #require(Listener.freePort()) }
      do throws(PGError) {
        let connection = try ScriptedClient.open(
          ports, keywords, generator: SeededRandom(seed: seed))
        connection.close()
      } catch {
        guard case .attemptsFailed(let attempts) = error else { return [] }
        return attempts.map { attempt in
          UInt16(ports.firstIndex { attempt.address.hasSuffix(":\($0)") } ?? 99)
        }
      }
      return []
    }
    #expect(try order("load_balance_hosts=disable", seed: 1) == [0, 1, 2, 3, 4])
    #expect(try order("", seed: 1) == [0, 1, 2, 3, 4])
    let orders = try (1...8).map { try order("load_balance_hosts=random", seed: $0) }
    #expect(orders.allSatisfy { $0.sorted() == [0, 1, 2, 3, 4] })
    #expect(Set(orders).count > 4)
    // The same seed gives the same order.
    #expect(try order("load_balance_hosts=random", seed: 3) == orders[2])
  }

  @Test func whereASearchGoesOn() {
    func step(_ error: PGError) -> ConnectionSearch<SystemRandomNumberGenerator>.NextStep {
      .init(after: error)
    }
    func refusal(_ code: String) -> PGError {
      var error = ServerError()
      error.code = code
      return .server(error)
    }
    #expect(step(refusal("57P03")) == .host)
    #expect(step(.unsuitableServer("a")) == .host)
    for code in ["28P01", "28000", "3D000", "53300", "42501", ""] {
      #expect(step(refusal(code)) == .nowhere)
    }
    for error in [PGError.connect(address: "a", reason: "b"), .timeout("a"), .closed(.startup)] {
      #expect(step(error) == .address)
    }
    for error in [PGError.tls("a"), .authentication("a"), .connectionString("a")] {
      #expect(step(error) == .nowhere)
    }
  }
}

/// The look-up of names.
@Suite(.serialized)
struct NameLookupTests {
  @Test func aSilentResolverIsLeftBehind() throws {
    // The resolver answers only when the test is over.
    let (gate, key) = try PipeEnds.make()
    let outcome = try NameLookup.run(
      "db", port: 1, until: Deadline(after: .milliseconds(20))
    ) { _, _ in
      gate.waitForByte()
      return .failed(status: 0, error: 0)
    }
    #expect(outcome == nil)
    key.sendByte()
  }

  @Test func thereIsALimitToLookUps() throws {
    let pipes = try (0..<ConnectionLimits.nameLookups).map { _ in try PipeEnds.make() }
    for (gate, _) in pipes {
      _ = try NameLookup.run("db", port: 1, until: Deadline(after: .zero)) { _, _ in
        gate.waitForByte()
        return .failed(status: 0, error: 0)
      }
    }
    #expect(throws: PGError.self) {
      try NameLookup.run("db", port: 1, until: .never) { _, _ in .found([]) }
    }
    for (_, key) in pipes { key.sendByte() }
    // They end, and there is room again.
    try eventually("room for a look-up") {
      (try? NameLookup.run("db", port: 1, until: .never) { _, _ in .found([]) }) != nil
    }
  }

  @Test func namesAndNumbers() throws {
    func addresses(_ text: String) throws -> [String] {
      let parameters = try ConnectionParameters(ConnectionString(text))
      return try parameters.hosts.flatMap { host in
        try SocketAddress.resolve(host, until: Deadline(after: .seconds(10))).map(\.description)
      }
    }
    #expect(try addresses("host=127.0.0.1 port=7") == ["127.0.0.1:7"])
    #expect(try addresses("host=db hostaddr=127.0.0.1 port=7") == ["db:7 (127.0.0.1)"])
    #expect(try addresses("host=::1 port=7") == ["[::1]:7"])
    #expect(try addresses("hostaddr=::1 port=7") == ["[::1]:7"])
    #expect(try addresses("host=localhost port=7").contains("localhost:7 (127.0.0.1)"))
    #expect(throws: PGError.self) { try addresses("host=no-such-host.invalid") }
  }
}
