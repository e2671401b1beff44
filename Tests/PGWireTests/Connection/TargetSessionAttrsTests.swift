import Testing

@testable import PGWire

/// Which servers `target_session_attrs` lets pass.
struct TargetSessionAttrsTests {
  private static let hot = ["in_hot_standby": "on", "default_transaction_read_only": "off"]
  private static let readOnly = ["in_hot_standby": "off", "default_transaction_read_only": "on"]
  private static let plain = ["in_hot_standby": "off", "default_transaction_read_only": "off"]

  /// The manual's table, for servers that report what they are: a standby, a primary that reads
  /// only by default, a primary.
  @Test(
    arguments: [
      (.any, [true, true, true]), (.readWrite, [false, false, true]),
      (.readOnly, [true, true, false]), (.primary, [false, true, true]),
      (.standby, [true, false, false]), (.preferStandby, [true, false, false]),
    ] as [(TargetSessionAttrs, [Bool])])
  func reportedByTheServer(target: TargetSessionAttrs, expected: [Bool]) {
    let verdicts = [Self.hot, Self.readOnly, Self.plain].map { target.verdict($0) == .accepted }
    #expect(verdicts == expected)
  }

  @Test func olderServersAreAsked() {
    let version = ["server_version": "13.22"]
    #expect(TargetSessionAttrs.any.verdict(version) == .accepted)
    for target in [TargetSessionAttrs.readWrite, .readOnly] {
      #expect(target.verdict(version) == .ask("SHOW transaction_read_only"))
      // One of the two is not enough.
      #expect(target.verdict(["in_hot_standby": "off"]) == .ask("SHOW transaction_read_only"))
    }
    for target in [TargetSessionAttrs.primary, .standby, .preferStandby] {
      #expect(target.verdict(version) == .ask("SELECT pg_catalog.pg_is_in_recovery()"))
    }
  }

  @Test(
    arguments: [
      (.readWrite, "off", true), (.readWrite, "on", false), (.readOnly, "on", true),
      (.readOnly, "off", false), (.primary, "f", true), (.primary, "t", false),
      (.standby, "t", true), (.standby, "f", false), (.preferStandby, "t", true),
      (.preferStandby, "f", false), (.primary, nil, false), (.readWrite, "perhaps", false),
      (.standby, "", false), (.primary, "off", false),
    ] as [(TargetSessionAttrs, String?, Bool)])
  func answers(target: TargetSessionAttrs, answer: String?, expected: Bool) {
    #expect((target.verdict(answer: answer) == .accepted) == expected)
  }
}

/// The same over connections.
struct TargetSessionSearchTests {
  private static func server(
    isStandby: Bool, sessions: Int = 1
  ) throws -> ScriptedServer {
    let status = [
      "in_hot_standby\u{0}\(isStandby ? "on" : "off")\u{0}",
      "default_transaction_read_only\u{0}off\u{0}",
    ]
    let welcome =
      Scripted.authenticationOk + Scripted.version
      + status.flatMap { Scripted.message("S", Array($0.utf8)) }
      + Scripted.message("K", [0, 0, 0, 1, 1, 2, 3, 4]) + Scripted.ready
    let script: [ScriptedServer.Step] = [.receivePacket, .send(welcome), .waitForEnd]
    return try #require(
      sessions == 2 ? ScriptedServer(script, script) : ScriptedServer(script))
  }

  @Test func theFirstFittingHostIsTaken() throws {
    let (standby, primary) = (try Self.server(isStandby: true), try Self.server(isStandby: false))
    let connection = try ScriptedClient.open(
      [standby.port, primary.port], "target_session_attrs=primary")
    let (port, reached) = (connection.host.port, connection.reachedHost)
    #expect(port == primary.port)
    // Whoever wants a second connection wants it to the same server.
    #expect(reached == .init(name: "127.0.0.1", address: "127.0.0.1", port: primary.port))
    connection.close()
    // The one that does not fit is left with a good-bye.
    #expect(standby.finish() == 1)
    #expect(standby.received.suffix(5) == [0x58, 0, 0, 0, 4])
  }

  @Test func preferStandbyTakesAStandbyWhereverItStands() throws {
    let (primary, standby) = (try Self.server(isStandby: false), try Self.server(isStandby: true))
    let connection = try ScriptedClient.open(
      [primary.port, standby.port], "target_session_attrs=prefer-standby")
    let port = connection.host.port
    #expect(port == standby.port)
    connection.close()
  }

  @Test func preferStandbyTakesAnyServerInASecondPass() throws {
    let closed = try #require(Listener.freePort())
    let primary = try Self.server(isStandby: false, sessions: 2)
    let connection = try ScriptedClient.open(
      [closed, primary.port], "target_session_attrs=prefer-standby")
    let port = connection.host.port
    #expect(port == primary.port)
    connection.close()
    #expect(primary.finish() == 2)
  }

  @Test func whatDoesNotFitIsSaid() throws {
    let servers = try (0..<2).map { _ in try Self.server(isStandby: true) }
    let error = try #require(
      ScriptedClient.failure(servers.map(\.port), "target_session_attrs=read-write"))
    guard case .attemptsFailed(let attempts) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(attempts.count == 2)
    let single = try Self.server(isStandby: true)
    let reason = try #require(
      ScriptedClient.failure([single.port], "target_session_attrs=primary"))
    #expect(
      reason.description
        == "the server is not the wanted one: the server is in hot standby mode, but "
        + "target_session_attrs=primary. Name further hosts, or change it")
    #expect(reason.isRetryable)
  }

  /// Up to 13 even SQL goes through the scanner of replication commands: the query must be one that
  /// it takes, sent as it is.
  @Test func anOldServerIsAskedPlainly() throws {
    let yes =
      Scripted.message("T", [0, 1, 0x61, 0] + [UInt8](repeating: 0, count: 18))
      + Scripted.message("D", [0, 1, 0, 0, 0, 1, 0x66])
      + Scripted.message("C", Array("SELECT 1\u{0}".utf8)) + Scripted.ready
    let old = try #require(
      ScriptedServer([
        .receivePacket, .send(Scripted.welcome), .receiveMessage, .send(yes), .waitForEnd,
      ]))
    let connection = try ScriptedClient.open(
      [old.port], "target_session_attrs=primary", replication: true)
    connection.close()
    #expect(old.finish() == 1)
    let query = Scripted.message("Q", Array("SELECT pg_catalog.pg_is_in_recovery()\u{0}".utf8))
    #expect(old.received.suffix(query.count + 5).prefix(query.count) == query[...])
  }
}
