import Testing

@testable import PGWire

/// What a hostile server can make us do: each kind has a bound.
struct BoundsTests {
  private func parameters(_ server: ScriptedServer) throws(PGError) -> ConnectionParameters {
    try ConnectionParameters(
      ConnectionString("host=127.0.0.1 port=\(server.port) user=u password=p sslmode=disable"))
  }

  private static let notice = Scripted.message("N", Array("SNOTICE\0C00000\0Mhello\0\0".utf8))

  @Test func `Endless notices end with the time of the start`() throws {
    let flood = ScriptedServer.Step.flood(
      Array(repeating: Self.notice, count: 1_000).flatMap { $0 })
    let server = try #require(
      ScriptedServer([.receivePacket, .send(Scripted.authenticationOk), flood]))
    do throws(PGError) {
      let connection = try Connection.open(parameters(server), timeout: .milliseconds(300))
      connection.close()
      Issue.record("it is not ready")
    } catch {
      guard case .timeout = error else {
        Issue.record("\(error)")
        return
      }
    }
    #expect(server.finish() == 1)
  }

  @Test func `Rows of one byte count with what they take`() throws {
    var answer = QueryAnswer()
    let description = [0, 1, 0x61, 0] + [UInt8](repeating: 0, count: 18)
    let row: [UInt8] = [0, 1, 0, 0, 0, 1, 0x31]
    try unsafe answer.take(.rowDescription, description.span.bytes)
    var rows = 0
    do throws(PGError) {
      while rows < ConnectionLimits.queryResult {
        try unsafe answer.take(.dataRow, row.span.bytes)
        rows += 1
      }
      Issue.record("no bound")
    } catch {
      #expect("\(error)".contains("the result is too large"))
    }
    #expect(rows < ConnectionLimits.queryResult / ConnectionLimits.rowOverhead)
  }

  @Test func `Long notices in an answer are not kept`() throws {
    var answer = QueryAnswer()
    let text = "SNOTICE\0C00000\0M" + String(repeating: "x", count: ConnectionLimits.keptText)
    let body = Array("\(text)\0\0".utf8)
    try unsafe answer.take(.noticeResponse, body.span.bytes)
    #expect(answer.notices.isEmpty)
  }

  @Test func `Rounds of SCRAM are bounded, and it is said`() throws {
    var exchange = SCRAM(.password(Array("p".utf8)), nonce: Array("n".utf8), binding: .none)
    _ = exchange.clientFirst()
    do throws(PGError) {
      _ = try exchange.clientFinal(serverFirst: Array("r=nx,s=AAAA,i=1000001".utf8))
      Issue.record("no bound")
    } catch {
      #expect("\(error)".contains("1000001 SCRAM iterations: at most 1000000"))
    }
  }

  @Test func `A query that is given up is cancelled`() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send(Scripted.welcome), .receiveMessage, .handOver], [.receivePacket]))
    var connection = try Connection.open(parameters(server))
    do throws(PGError) {
      _ = try connection.query("SELECT 1", timeout: .milliseconds(50))
      Issue.record("there was no answer")
    } catch {
      guard case .timeout = error else {
        Issue.record("\(error)")
        return
      }
    }
    #expect(server.finish() == 2)
    // CancelRequest: 80877102, the process and its key.
    #expect(server.received.suffix(12) == [0x04, 0xD2, 0x16, 0x2E, 0, 0, 0, 1, 1, 2, 3, 4])
  }

  @Test func `An interruption ends a wait`() throws {
    let server = try #require(
      ScriptedServer(
        [.receivePacket, .send(Scripted.welcome), .receiveMessage, .handOver], [.receivePacket]))
    let interruption = WaitBreaker()
    var connection = try Connection.open(parameters(server), interruption: interruption)
    var said = 0
    do throws(PGError) {
      _ = try connection.query(
        "SELECT 1", timeout: .seconds(600), patience: .milliseconds(10)
      ) {
        said += 1
        interruption.interrupt()
      }
      Issue.record("there was no answer")
    } catch {
      guard case .timeout = error else {
        Issue.record("\(error)")
        return
      }
    }
    #expect(said == 1)
    #expect(server.finish() == 2)
  }
}

/// Texts that people read and paste.
struct ShownTextTests {
  @Test(
    arguments: [
      ("pub", "pub"), ("MyPub", "\"MyPub\""), ("Pub-1", "\"Pub-1\""), ("q\"x", "\"q\"\"x\""),
      ("a1_", "a1_"), ("1a", "\"1a\""), ("user", "\"user\""), ("", "\"\""), ("é", "\"é\""),
      ("a b", "\"a b\""), ("a.b", "\"a.b\""),
    ])
  func namesAreQuotedWhereTheyHaveToBe(name: String, expected: String) {
    #expect(ReplicationCommand.pasted(name) == expected)
    #expect(Publication.suggestion(name) == "CREATE PUBLICATION \(expected) FOR ALL TABLES")
  }

  @Test func aVanishedPublicationIsToldInEveryLanguage() {
    var notice = ServerError()
    notice.code = "55000"
    notice.message = "Laden der Publikation übersprungen"
    #expect(!notice.isVanishedPublication)
    notice.routine = "LoadPublications"
    #expect(notice.isVanishedPublication)
  }
}
