import Synchronization
import Testing

@testable import Streamer

/// Pipelines that take orders about existing rows, and give the answer that a test wants.
private final class CopyingPipelines: StatusSource {
  let sources = [SourceStatus(name: "shop", type: "postgres", slot: "streamer")]
  let sinks: [SinkStatus] = []
  private let orders = Mutex<[(CopyCommand, String?)]>([])
  private let outcome: CopyOrder.Outcome

  init(_ outcome: CopyOrder.Outcome) { self.outcome = outcome }

  /// What has come.
  var taken: [CopyCommand] { orders.withLock { $0.map(\.0) } }
  var named: [String?] { orders.withLock { $0.map(\.1) } }

  func setDebug(_ isOn: Bool) {}

  func order(
    _ command: CopyCommand, of source: String?
  ) -> Result<(source: String, changed: CopyBook), StreamerError> {
    orders.withLock { $0.append((command, source)) }
    return outcome.map { ("shop", $0) }
  }
}

/// `/snapshot`, by way of the server.
@Suite struct CopiesRouteTests {
  private let made = CopyBook(
    [CopyRequest(number: 3, tables: ["public.*"], filter: "v > 0")],
    [TableProgress(request: 3, number: 0, relation: 7, name: "public.orders", rows: 5)])

  private func server(
    _ pipelines: any StatusSource, token: String? = nil
  ) throws -> AdminServer {
    try AdminServer(
      #require(HTTPAddress("127.0.0.1:0")), status: pipelines, metrics: Metrics(),
      version: "1.2.3", token: token)
  }

  private func post(
    _ server: AdminServer, _ path: String, _ body: String, headers: [String] = []
  ) throws -> HTTPAnswer {
    try HTTPAnswer(
      port: server.port, "POST", path,
      headers: headers + ["Content-Length: \(body.utf8.count)"], body: body)
  }

  @Test func `A copy is asked for, whatever size its request has`() throws {
    let pipelines = CopyingPipelines(.success(made))
    let server = try server(pipelines, token: "secret")
    let token = ["Authorization: Bearer secret"]
    let long = String(repeating: " ", count: Limits.adminBody - 200)
    let answer = try post(
      server, "/snapshot",
      #"{"source": "shop", \#(long) "tables": ["public.*", "!public.b"], "where": "v > 0"}"#,
      headers: token)
    #expect(answer.status == 202)
    #expect(answer.body == #"{"source":"shop","id":3,"ids":[3],"tables":["public.orders"]}"# + "\n")
    #expect(pipelines.taken == [.copy(tables: ["public.*", "!public.b"], filter: "v > 0")])
    #expect(pipelines.named == ["shop"])
    #expect(try post(server, "/snapshot/pause", "", headers: token).status == 200)
    #expect(
      try post(server, "/snapshot/resume", #"{"id": 3}"#, headers: token).status == 200)
    let stop = try post(
      server, "/snapshot/stop", #"{"id": 3, "source": null}"#, headers: token)
    #expect(stop.status == 200)
    #expect(pipelines.taken.dropFirst() == [.pause(nil), .resume(3), .stop(3)])
  }

  @Test(arguments: [
    ("/snapshot", "", 400), ("/snapshot", "[]", 400), ("/snapshot", "{}", 400),
    ("/snapshot", #"{"tables": [1]}"#, 400), ("/snapshot", #"{"tables": "public.a"}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "where": 1}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "Where": "1"}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "gone": []}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "gone": [{}]}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "gone": [{"id": [1]}]}"#, 400),
    ("/snapshot", #"{"tables": ["a.b", "a.c"], "gone": [{"id": 1}]}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "gone": [{"id": 1}], "where": "true"}"#, 400),
    ("/snapshot", #"{"tables": ["a.b"], "source": 1}"#, 400),
    ("/snapshot/stop", #"{"id": "3"}"#, 400), ("/snapshot/stop", #"{"tables": []}"#, 400),
    ("/snapshot/stop", "no", 400),
    ("/snapshot", String(repeating: " ", count: Limits.adminBody + 1), 413),
    ("/snapshot/other", "{}", 404), ("/snapshot/", "{}", 404),
  ])
  func `What cannot be read is refused in one line`(
    path: String, body: String, status: Int
  ) throws {
    let pipelines = CopyingPipelines(.success(made))
    let answer = try post(try server(pipelines), path, body)
    #expect(answer.status == status, "\(answer.body)")
    #expect(answer.body.split(separator: "\n").count == 1)
    #expect(pipelines.taken.isEmpty)
  }

  @Test func `A condition, which is SQL, needs a token even on loopback`() throws {
    let pipelines = CopyingPipelines(.success(made))
    let server = try server(pipelines)
    let answer = try post(server, "/snapshot", #"{"tables": ["a.b"], "where": "true"}"#)
    #expect(answer.status == 403 && answer.body.contains("httpToken"))
    #expect(pipelines.taken.isEmpty)
    #expect(try post(server, "/snapshot", #"{"tables": ["a.b"]}"#).status == 202)
  }

  @Test func `Keys that may be gone are told without a condition`() throws {
    let pipelines = CopyingPipelines(.success(made))
    let answer = try post(
      try server(pipelines), "/snapshot",
      #"{"tables": ["a.b"], "gone": [{"id": 1, "name": "it's"}, {"id": 2, "name": "x"}]}"#)
    #expect(answer.status == 202, "\(answer.body)")
    #expect(
      pipelines.taken == [
        .tellGone(table: "a.b", keys: #"[{"id":1,"name":"it's"},{"id":2,"name":"x"}]"#)
      ])
  }

  @Test func `Only who may change something does`() throws {
    let pipelines = CopyingPipelines(.success(made))
    let server = try server(pipelines, token: "secret")
    let body = #"{"tables": ["a.b"]}"#
    #expect(try post(server, "/snapshot", body).status == 401)
    #expect(
      try post(server, "/snapshot", body, headers: ["Origin: http://elsewhere"]).status == 403)
    #expect(pipelines.taken.isEmpty)
    let answer = try post(
      server, "/snapshot", body, headers: ["Authorization: Bearer secret"])
    #expect(answer.status == 202)
    #expect(try HTTPAnswer(port: server.port, "PUT", "/snapshot").status == 405)
    #expect(try HTTPAnswer(port: server.port, "GET", "/snapshot/stop").status == 405)
  }

  @Test(arguments: [
    (true, StreamerError.Exit.failure, 503), (false, .usage, 400), (false, .failure, 500),
  ])
  func `A refusal says why`(isRetryable: Bool, exit: StreamerError.Exit, status: Int) throws {
    let error = StreamerError(what: "it", why: "no", exit: exit, retryable: isRetryable)
    let server = try server(CopyingPipelines(.failure(error)))
    let answer = try post(server, "/snapshot", #"{"tables": ["a.b"]}"#)
    #expect(answer.status == status)
    #expect(answer.body == "it: no\n")
  }

  @Test func `Copies are listed`() throws {
    let pipelines = CopyingPipelines(.success(made))
    var stopped = made.requests[0]
    stopped.number = 4
    stopped.state = .failed
    stopped.error = "why"
    pipelines.sources[0].copies = [
      CopyStatus(made.requests[0], made.tables, isCurrent: true),
      CopyStatus(stopped, [], isCurrent: false),
    ]
    let server = try server(pipelines)
    let answer = try HTTPAnswer(port: server.port, "GET", "/snapshot")
    #expect(answer.status == 200)
    #expect(
      answer.body
        == #"{"copies":[{"source":"shop","id":3,"state":"running","tables":["public.*"],"#
        + #""where":"v > 0","gone":false,"tablesTotal":1,"tablesDone":0,"rows":5,"error":null},"#
        + #"{"source":"shop","id":4,"state":"failed","tables":["public.*"],"where":"v > 0","#
        + #""gone":false,"tablesTotal":0,"tablesDone":0,"rows":0,"error":"why"}]}"# + "\n")
  }

  @Test func `An order is carried out once somebody has taken it, and else not at all`() throws {
    let early = try CopyOrder(.stop(nil))
    #expect(early.take())
    early.answer(.success(made))
    #expect(try early.wait(within: .seconds(60))?.get() == made)
    let late = try CopyOrder(.stop(nil))
    #expect(late.wait(within: .milliseconds(1)) == nil)
    #expect(!late.take())
  }
}

/// What somebody writes as a condition.
@Suite struct SQLConditionTests {
  @Test(arguments: [
    "v > 0", "created > now() - interval '30 days'", #""odd;name" = 'it''s; -- fine'"#,
    "a IN (1, (2))", "x = 'a\\b'", "f('(')",
  ])
  func `One expression passes`(text: String) { #expect(SQLCondition.fault(in: text) == nil) }

  @Test(arguments: [
    "", " \n", "true; DROP TABLE t", "1) OR (1", "(1", "1 -- x", "1 /* x */", "'open", "\"open",
    "x = '\\' OR true; DROP TABLE t; --'", "$$;$$ = x", "a\u{0}b",
  ])
  func `What is none, or more than one, does not`(text: String) {
    #expect(SQLCondition.fault(in: text) != nil)
  }
}
