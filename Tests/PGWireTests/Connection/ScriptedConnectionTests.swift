import Testing

@testable import PGWire

/// Connections to servers that misbehave in ways a real one does not.
struct ScriptedConnectionTests {
  private func open(
    _ ports: [UInt16], _ keywords: String, timeout: Duration = .seconds(10)
  ) throws(PGError) -> Connection {
    let hosts = ports.map { _ in "127.0.0.1" }.joined(separator: ",")
    let list = ports.map { "\($0)" }.joined(separator: ",")
    let string = try ConnectionString("host=\(hosts) port=\(list) user=u password=p \(keywords)")
    return try Connection.open(ConnectionParameters(string), timeout: timeout)
  }

  private func failure(
    _ server: ScriptedServer, _ keywords: String, timeout: Duration = .seconds(10)
  ) -> PGError? {
    do throws(PGError) {
      let connection = try open([server.port], keywords, timeout: timeout)
      connection.close()
      return nil
    } catch {
      return error
    }
  }

  @Test func preferGoesOnInClearOnTheSameSocket() throws {
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send([0x4E]), .receivePacket, .trickle(Scripted.welcome),
        .receiveMessage, .trickle(Scripted.selectOne), .receiveMessage, .waitForEnd,
      ]))
    var connection = try open([server.port], "sslmode=prefer")
    #expect(try connection.query("SELECT 1").first?.rows == [["1"]])
    let (isEncrypted, version) = (connection.isEncrypted, connection.serverVersion)
    #expect(!isEncrypted)
    #expect(version.description == "15.18")
    connection.close()
    #expect(server.finish() == 1)
    #expect(server.received.suffix(5) == [0x58, 0, 0, 0, 4])
  }

  @Test(
    arguments: [
      ([0x4E], "does not speak TLS"), ([0x53, 0x52], "sent more than its answer"),
      (Array("EFATAL: secret\0".utf8), "sent more than its answer"), ([0x45], "with an error"),
      ([0x48], "is no PostgreSQL server"),
    ] as [([UInt8], String)])
  func answersToSSLRequest(answer: [UInt8], expected: String) throws {
    let server = try #require(ScriptedServer([.receivePacket, .send(answer), .waitForEnd]))
    let error = try #require(failure(server, "sslmode=require"))
    let text = "\(error)"
    // A server that says no may be asked for something else; whatever makes no sense may be the network's.
    if answer == [0x4E] { #expect(!error.isGarbled) } else { #expect(error.isGarbled) }
    #expect(!error.isRetryable)
    #expect(text.contains(expected))
    #expect(!text.contains("secret"))
    #expect(server.finish() == 1)
  }

  /// An answer that makes no sense is a reason to go away, not to speak in clear.
  @Test(
    arguments: [
      [0x53, 0x52], Array("EFATAL: secret\0".utf8), [0x45], [0x48], [],
    ] as [[UInt8]])
  func preferDoesNotFallBackOnNonsense(answer: [UInt8]) throws {
    let server = try #require(
      ScriptedServer([.receivePacket, .send(answer)], [.receivePacket, .send(Scripted.welcome)]))
    #expect(failure(server, "sslmode=prefer") != nil)
    #expect(server.received.count == 8)
  }

  @Test func preferReconnectsInClearWhenTheHandshakeFails() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send([0x53]), .receivePacket, .send([0x15, 3, 3, 0, 2, 2, 40])],
        [.receivePacket, .send(Scripted.welcome), .waitForEnd]))
    #expect(failure(server, "sslmode=prefer") == nil)
    #expect(server.finish() == 2)
  }

  @Test func noSecondAttemptAfterARefusedPassword() throws {
    let refusal = Scripted.error("28P01", severity: "FATAL")
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send([0x4E]), .receivePacket, .send(Scripted.askCleartext),
        .receiveMessage, .send(refusal), .waitForEnd,
      ]))
    guard case .server(let error) = failure(server, "sslmode=prefer") else {
      Issue.record("the server's error was expected")
      return
    }
    #expect(error.code == "28P01")
    #expect(server.finish() == 1)
  }

  @Test func allowTriesTLSAfterARefusalAndTellsBoth() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send(Scripted.error("28000", severity: "FATAL")), .waitForEnd],
        [.receivePacket, .send([0x4E]), .waitForEnd]))
    guard case .attemptsFailed(let attempts) = failure(server, "sslmode=allow") else {
      Issue.record("both attempts were expected to be told")
      return
    }
    #expect(attempts.map(\.how) == ["in clear", "with TLS"])
    #expect(attempts.first?.error.sqlState == "28000")
    #expect(server.finish() == 2)
    // The second connection begins with SSLRequest.
    #expect(server.received.suffix(8) == [0, 0, 0, 8, 4, 210, 22, 47])
  }

  @Test func endsInEveryPhase() throws {
    let tls = try #require(ScriptedServer([.receivePacket]))
    #expect(failure(tls, "sslmode=require") == .closed(.tls))
    let handshake = try #require(
      ScriptedServer([.receivePacket, .send([0x53]), .receivePacket]))
    #expect(failure(handshake, "sslmode=require") != nil)
    for count in [0, 3, 9, 20] {
      let start = try #require(
        ScriptedServer([.receivePacket, .send(Array(Scripted.welcome.prefix(count)))]))
      #expect(failure(start, "sslmode=disable") == .closed(.startup))
    }
    for count in [0, 3, 20] {
      let query = try #require(
        ScriptedServer([
          .receivePacket, .send(Scripted.welcome), .receiveMessage,
          .send(Array(Scripted.selectOne.prefix(count))),
        ]))
      var connection = try open([query.port], "sslmode=disable")
      #expect(throws: PGError.closed(.query)) { try connection.query("SELECT 1") }
      // What comes next in the stream is unknown, so nothing more is asked.
      #expect(throws: PGError.closed(.query)) { try connection.query("SELECT 1") }
      connection.close()
    }
  }

  @Test(
    arguments: [
      [0x54, 0x80, 0, 0, 0], [0x54, 0, 0, 0, 3], [0x44, 0x7F, 0xFF, 0xFF, 0xFF],
      Scripted.message("D", [0, 1, 0, 0, 0, 9]), Scripted.message("T", [0xFF, 0xFF]),
      Scripted.message("?"), Scripted.message("R", [0, 0, 0, 0]), Scripted.copyBothResponse,
    ] as [[UInt8]])
  func brokenAnswersToAQuery(answer: [UInt8]) throws {
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send(Scripted.welcome), .receiveMessage, .send(answer), .waitForEnd,
      ]))
    var connection = try open([server.port], "sslmode=disable")
    do throws(PGError) {
      _ = try connection.query("SELECT 1")
      Issue.record("a violation was expected")
    } catch {
      guard case .protocol(_, .query, _) = error else {
        Issue.record("\(error)")
        return
      }
    }
    connection.close()
  }

  @Test func errorsAreDrainedAndFatalOnesTold() throws {
    let fatal = Scripted.error("57P01", severity: "FATAL")
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send(Scripted.welcome),
        .receiveMessage, .send(Scripted.error("42601") + Scripted.ready),
        .receiveMessage, .send(Scripted.error("42704") + Scripted.ready),
        .receiveMessage, .send(Scripted.selectOne),
        .receiveMessage, .send(fatal),
      ]))
    var connection = try open([server.port], "sslmode=disable")
    func code(_ connection: inout Connection, copyBoth: Bool = false) -> String? {
      do throws(PGError) {
        if copyBoth { try connection.startCopyBoth("x") } else { _ = try connection.query("x") }
      } catch {
        if case .server(let error) = error { return error.code }
      }
      return nil
    }
    #expect(code(&connection) == "42601")
    #expect(code(&connection, copyBoth: true) == "42704")
    #expect(try connection.query("SELECT 1").count == 1)
    #expect(code(&connection) == "57P01")
    connection.close()
  }

  @Test func whatFollowsCopyBothResponseIsKept() throws {
    let next = Scripted.message("d", [1, 2, 3])
    let server = try #require(
      ScriptedServer([
        .receivePacket, .send(Scripted.welcome), .receiveMessage,
        .send(Scripted.copyBothResponse + next), .waitForEnd,
      ]))
    var connection = try open([server.port], "sslmode=disable")
    try connection.startCopyBoth("START_REPLICATION")
    var parts = connection.intoParts()
    let (phase, missing) = (parts.transport.phase, next.count - parts.input.count)
    #expect(phase == .copyBoth)
    if missing > 0 {
      let isOpen = try parts.transport.receive(
        missing, into: &parts.input, until: Deadline(after: .seconds(10)), what: "the rest")
      #expect(isOpen)
    }
    let bytes = parts.input.readable.array
    #expect(bytes == next)
  }

  @Test func silenceEndsWithATimeout() throws {
    for (script, keywords) in [
      ([.receivePacket, .waitForEnd], "sslmode=require"),
      ([.receivePacket, .waitForEnd], "sslmode=disable"),
      ([.receivePacket, .send([0x53]), .waitForEnd], "sslmode=require"),
    ] as [([ScriptedServer.Step], String)] {
      let server = try #require(ScriptedServer(script))
      guard case .timeout = failure(server, keywords, timeout: .milliseconds(100)) else {
        Issue.record("a timeout was expected")
        continue
      }
    }
  }

  @Test func hostsAreTriedInOrder() throws {
    let closed = try #require(Listener.freePort())
    let starting = try #require(
      ScriptedServer([.receivePacket, .send(Scripted.error("57P03", severity: "FATAL"))]))
    let good = try #require(ScriptedServer([.receivePacket, .send(Scripted.welcome)]))
    let connection = try open([closed, starting.port, good.port], "sslmode=disable")
    let port = connection.host.port
    #expect(port == good.port)
    connection.close()
    #expect(starting.finish() == 1)

    let refusing = try #require(
      ScriptedServer([.receivePacket, .send(Scripted.error("28P01", severity: "FATAL"))]))
    do throws(PGError) {
      _ = try open([refusing.port, closed], "sslmode=disable")
    } catch {
      guard case .server = error else {
        Issue.record("a refusal is final: \(error)")
        return
      }
    }
    do throws(PGError) {
      _ = try open([closed, closed], "sslmode=disable")
    } catch {
      guard case .attemptsFailed(let attempts) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(attempts.count == 2)
      #expect(error.isRetryable)
    }
  }
}
