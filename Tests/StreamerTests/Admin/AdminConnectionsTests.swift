import Glibc
import Testing

@testable import Streamer

@Suite("Connections of the HTTP server", .timeLimit(.minutes(15)))
struct AdminConnectionsTests {
  private let start = ContinuousClock.now

  private func server(_ limits: AdminLimits, _ metrics: Metrics = Metrics()) throws -> AdminServer {
    let pipelines = FakePipelines()
    pipelines.enterStreaming()
    return try AdminServer(
      #require(HTTPAddress("127.0.0.1:0")), status: pipelines, metrics: metrics, version: "1",
      limits: limits)
  }

  /// Limits under which nothing but what the test looks at closes a connection.
  private var patient: AdminLimits {
    var limits = AdminLimits()
    limits.timeoutSeconds = 3600
    limits.requestAge = .seconds(3600)
    limits.answerAge = .seconds(3600)
    return limits
  }

  private func send(_ text: String, _ descriptor: CInt) -> Bool {
    unsafe Glibc.send(descriptor, text, text.utf8.count, CInt(MSG_NOSIGNAL)) == text.utf8.count
  }

  /// A pair of connected sockets.
  private func pair() throws -> (ours: CInt, peer: CInt) {
    var ends: [CInt] = [0, 0]
    try #require(unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    return (ends[0], ends[1])
  }

  /// Whether the other end has shut down; does not wait.
  private func hasEnded(_ descriptor: CInt) -> Bool {
    var byte: UInt8 = 0
    return unsafe recv(descriptor, &byte, 1, CInt(MSG_DONTWAIT)) == 0
  }

  @Test("A10 a request's age is bounded, whatever comes of it meanwhile")
  func age() throws {
    let connections = AdminConnections(AdminLimits())
    let sockets = try (0..<3).map { _ in try pair() }
    defer { for descriptor in sockets.flatMap({ [$0.ours, $0.peer] }) { close(descriptor) } }
    for pair in sockets { connections.opened(pair.ours, now: start) }
    connections.answering(sockets[1].ours, now: start)
    connections.answering(sockets[2].ours, now: start)
    connections.answered(sockets[2].ours, now: start + .seconds(4))
    connections.expire(now: start + .seconds(5))
    #expect(connections.count == 3)
    connections.expire(now: start + .seconds(6))
    #expect(sockets.map { hasEnded($0.peer) } == [true, false, false])
    connections.expire(now: start + .seconds(10))
    #expect(sockets.map { hasEnded($0.peer) } == [true, false, true])
    connections.expire(now: start + .seconds(61))
    #expect(sockets.map { hasEnded($0.peer) } == [true, true, true])
    #expect(connections.count == 0)
  }

  @Test("U21 the oldest connection without a whole request gives way to a new one")
  func givingWay() throws {
    var limits = AdminLimits()
    limits.connections = 4
    let connections = AdminConnections(limits)
    let sockets = try (0..<5).map { _ in try pair() }
    defer { for descriptor in sockets.flatMap({ [$0.ours, $0.peer] }) { close(descriptor) } }
    for (index, pair) in sockets.enumerated() {
      connections.opened(pair.ours, now: start + .seconds(index))
      if index == 0 { connections.answering(pair.ours, now: start) }
    }
    #expect(sockets.map { hasEnded($0.peer) } == [false, true, true, false, false])
    // A closed one's number may come again for another connection.
    connections.closed(sockets[1].ours)
    connections.closed(sockets[2].ours)
    #expect(connections.count == 3)
  }

  @Test("A10 a client that sends a byte now and then is sent away")
  func dripping() throws {
    var limits = patient
    limits.requestAge = .milliseconds(300)
    let server = try server(limits)
    let descriptor = try HTTPAnswer.open(port: server.port)
    defer { close(descriptor) }
    #expect(send("GET /health HTTP/1.1\r\nHost: x\r\nX: ", descriptor))
    // Until it is sent away: the test's time limit is the only other end.
    while !hasEnded(descriptor), send("y", descriptor) { usleep(20_000) }
    #expect(try HTTPAnswer(port: server.port, "GET", "/health").status == 200)
  }

  @Test("U21 probes are answered beside more idle and slow clients than there is room for")
  func crowd() throws {
    var limits = patient
    limits.connections = 64
    let server = try server(limits)
    let slow = try (0..<300).map { number in
      let descriptor = try HTTPAnswer.open(port: server.port)
      if number % 2 == 0 { _ = send("GET /metrics HT", descriptor) }
      return descriptor
    }
    defer { for descriptor in slow { close(descriptor) } }
    for path in ["/health", "/ready", "/health"] {
      #expect(try HTTPAnswer(port: server.port, "GET", path).status == 200)
    }
  }

  @Test("S11 probes are answered while scrapes wait for their readers, of which there are few")
  func scrapes() throws {
    var limits = patient
    limits.scrapes = 2
    let metrics = Metrics()
    // More than the sockets' buffers hold.
    _ = metrics.gauge("big", String(repeating: "x", count: 24 << 20))
    let server = try server(limits, metrics)
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    let readers = try (0..<2).map { _ in
      let descriptor = try HTTPAnswer.open(port: server.port)
      try #require(send(get, descriptor))
      // The answer's first byte: it is being written.
      var byte: UInt8 = 0
      try #require(unsafe recv(descriptor, &byte, 1, 0) == 1)
      return descriptor
    }
    #expect(try HTTPAnswer(port: server.port, "GET", "/ready").status == 200)
    #expect(try HTTPAnswer(port: server.port, "GET", "/health").status == 200)
    let refused = try HTTPAnswer(port: server.port, "GET", "/metrics")
    #expect(refused.status == 503)
    #expect(refused.headers["retry-after"] == "1")
    for descriptor in readers { close(descriptor) }
    // The server notices their end by itself.
    while try HTTPAnswer(port: server.port, "HEAD", "/metrics").status != 200 { usleep(20_000) }
  }

  @Test("A10 a request without a host is refused")
  func host() throws {
    let server = try server(AdminLimits())
    let bytes = try HTTPAnswer.exchange(
      port: server.port, "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 400"))
  }

  @Test(
    "A10 a request that can be read in two ways is refused",
    arguments: [
      "Host: y\r\n", "Content-Length: 0\r\nContent-Length: 5\r\n",
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
      "A: \0b\r\n",
    ], ["GET", "POST"])
  func ambiguous(_ headers: String, _ method: String) throws {
    let server = try server(AdminLimits())
    let bytes = try HTTPAnswer.exchange(
      port: server.port,
      "\(method) /health HTTP/1.1\r\nHost: x\r\n\(headers)Connection: close\r\n\r\n")
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 400"))
  }

  @Test(
    "A10 a line that ends otherwise than HTTP's lines is refused",
    arguments: [
      "GET /health HTTP/1.1\nHost: x\n\n", "GET /health HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
      "GET /health HTTP/1.1\rHost: x\r\r", "GET /health HTTP/1.1\r\nHost: x\r\n\n",
    ])
  func bareLineFeed(_ request: String) throws {
    let server = try server(AdminLimits())
    let bytes = try HTTPAnswer.exchange(port: server.port, request)
    #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 400"))
  }

  @Test("A10 a head is judged as its bytes come")
  func heads() {
    let head = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    for count in 0..<head.count { #expect(RequestHead.judge(head[..<count]) == .unfinished) }
    #expect(RequestHead.judge(head[...]) == .whole)
    #expect(RequestHead.judge((head + [0, 10, 13])[...]) == .whole)
    #expect(RequestHead.judge(Array("\r\nGET / HTTP/1.1\r\n".utf8)[...]) == .unfinished)
    #expect(RequestHead.judge(Array("GET / HTTP/1.1\n".utf8)[...]) == .malformed)
    #expect(RequestHead.judge(Array("GET /\rHTTP/1.1\r\n".utf8)[...]) == .malformed)
    #expect(RequestHead.judge(Array("GET /\0".utf8)[...]) == .malformed)
  }
}
