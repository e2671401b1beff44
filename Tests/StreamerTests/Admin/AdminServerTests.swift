import Glibc
import Synchronization
import PGWire
import Testing

@testable import Streamer

/// Pipelines that only exist for the HTTP server.
final class FakePipelines: StatusSource {
  let sources: [SourceStatus]
  let sinks: [SinkStatus]
  /// The way from the source to the sink.
  let lane: LaneStatus
  private let debug = Mutex<[Bool]>([])

  init() {
    sources = [SourceStatus(name: "db", type: "postgres", slot: "streamer")]
    sinks = [SinkStatus(name: "out", type: "kafka")]
    lane = sinks[0].lane(of: "db")
  }

  func setDebug(_ isOn: Bool) { debug.withLock { $0.append(isOn) } }

  /// How debugging was turned on and off.
  var debugCalls: [Bool] { debug.withLock { $0 } }

  /// Everything is as it should be.
  func enterStreaming(at time: UTCTime = UTCTime(microseconds: 0)) {
    sources[0].enter(.streaming, at: time)
    sources[0].heard(at: .now)
    lane.enter(.streaming, at: time)
  }
}

/// Whether the kernel has an IPv6 loopback address; asked without any code of ours.
private let hasIPv6: Bool = {
  let descriptor = socket(AF_INET6, CInt(SOCK_STREAM.rawValue), 0)
  guard descriptor >= 0 else { return false }
  defer { close(descriptor) }
  var address = sockaddr_in6()
  address.sin6_family = sa_family_t(AF_INET6)
  address.sin6_addr = in6addr_loopback
  return unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
    }
  }
}()

@Suite("The HTTP server")
struct AdminServerTests {
  private let pipelines = FakePipelines()
  private let metrics = Metrics()

  private func server(
    _ address: String = "127.0.0.1:0", token: String? = nil
  ) throws -> AdminServer {
    try AdminServer(
      #require(HTTPAddress(address)), status: pipelines, metrics: metrics, version: "1.2.3",
      token: token)
  }

  @Test("/health answers while the process lives")
  func health() throws {
    let server = try server()
    let answer = try HTTPAnswer(port: server.port, "GET", "/health")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "text/plain; charset=utf-8")
    #expect(answer.body == "Alive and well\n")
  }

  @Test("D6 /status answers 200 when all is well")
  func statusWhenAllIsWell() throws {
    pipelines.enterStreaming()
    pipelines.sources[0].receivedLSN.set(0x16_B374_D848)
    pipelines.sources[0].confirmedLSN.set(0x16_B374_D840)
    pipelines.sources[0].serverLSN.set(0x16_B374_D850)
    pipelines.sources[0].walHeldBytes.set(4096)
    pipelines.sources[0].lagSeconds = 1.23456
    pipelines.sources[0].walStatus = .extended
    pipelines.sources[0].safeWALBytes = -7
    pipelines.sources[0].walGrowth = 1536.7
    pipelines.sources[0].heartbeatSeconds = 0.00123456
    pipelines.lane.inFlightBytes.set(42)
    let server = try server()
    let answer = try HTTPAnswer(port: server.port, "GET", "/status")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "application/json")
    #expect(
      answer.body == """
        {"ok":true,"version":"1.2.3","sources":[{"name":"db","type":"postgres",\
        "state":"streaming","since":"1970-01-01T00:00:00.000000Z","error":null,\
        "slot":"streamer","receivedLSN":"16/B374D848","confirmedLSN":"16/B374D840",\
        "lagBytes":16,"walHeldBytes":4096,"spoolBytes":0,"lagSeconds":1.235,"walStatus":"extended",\
        "safeWALBytes":-7,"walGrowthBytesPerSecond":1536,"walSecondsLeft":null,\
        "heartbeatSeconds":0.001235,"visibilityWaitSeconds":null,"cannotSave":false,"snapshot":null}],"sinks":[{"name":"out","type":"kafka","state":"streaming","since":"1970-01-01T00:00:00.000000Z","error":null,\
        "inFlightBytes":42,"deadLetters":0}]}

        """)
  }

  @Test("/gaps is the ledger of all sources")
  func gaps() throws {
    let server = try server()
    #expect(try HTTPAnswer(port: server.port, "GET", "/gaps").body == "[]\n")
    pipelines.sources[0].gaps = [
      Gap(
        source: "db", from: LSN(16), to: nil, kind: .slotMissing, cause: "it is \"gone\"",
        action: .stop,
        at: UTCTime(microseconds: 0))
    ]
    let answer = try HTTPAnswer(port: server.port, "GET", "/gaps")
    #expect(answer.status == 200)
    #expect(
      answer.body == """
        [{"source":"db","from":"0/10","to":null,"cause":"it is \\"gone\\"","action":"stop",\
        "at":"1970-01-01T00:00:00.000000Z"}]

        """)
  }

  @Test(
    "/status answers 500 for what is retrying, stopped or failed", arguments: PipelineState.allCases
  )
  func statusOfStates(_ state: PipelineState) throws {
    let server = try server()
    let expected = [.retrying, .stopped, .failed].contains(state) ? 500 : 200
    pipelines.enterStreaming()
    pipelines.sources[0].enter(state, error: "connection \"x\" refused")
    var answer = try HTTPAnswer(port: server.port, "GET", "/status")
    #expect(answer.status == expected)
    #expect(answer.body.contains(#""ok":\#(expected == 200)"#))
    #expect(answer.body.contains(#""state":"\#(state.rawValue)""#))
    #expect(answer.body.contains(#""error":"connection \"x\" refused""#))
    pipelines.enterStreaming()
    pipelines.lane.enter(state)
    answer = try HTTPAnswer(port: server.port, "GET", "/status")
    #expect(answer.status == expected)
  }

  @Test("/stats has the old counters by name")
  func stats() throws {
    let source = pipelines.sources[0]
    source.events.add(1)
    source.eventErrors.add(2)
    source.replicaErrors.add(3)
    source.persistErrors.add(4)
    source.receivedLSN.set(5)
    source.savedLSN.set(6)
    let lane = pipelines.lane
    lane.total.add(7)
    lane.noTopic.add(8)
    lane.skipped.add(9)
    lane.errors.add(10)
    lane.kafkaMessages.add(11)
    let server = try server()
    let answer = try HTTPAnswer(port: server.port, "GET", "/stats")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "application/json")
    #expect(
      answer.body == """
        {"sources":{"db":{"events":1,"eventErrors":2,"replicaErrors":3,"persistErrors":4,\
        "walPos":5,"walPosPersist":6}},"sinks":{"out":{"total":7,"noTopic":8,"skipped":9,\
        "errors":10,"kafkaMessages":11}}}

        """)
  }

  @Test("/metrics is Prometheus' text")
  func metricsText() throws {
    metrics.counter("c", "C.", [("a", "größe")]).add(3)
    let server = try server()
    let answer = try HTTPAnswer(port: server.port, "GET", "/metrics")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
    let parsed = try PrometheusParser(Array(answer.body.utf8))
    #expect(try parsed.value("c", ["a": "größe"]) == 3)
    #expect(try parsed.value("psql_streamer_build_info", ["version": "1.2.3"]) == 1)
    #expect(try parsed.value("process_resident_memory_bytes") > 1_000_000)
    #expect(try parsed.value("process_open_fds") > 3)
    #expect(try parsed.value("process_cpu_seconds_total") > 0)
    #expect(try parsed.value("process_start_time_seconds") > 1_600_000_000)
  }

  @Test("/ready is 503 until everything streams")
  func ready() throws {
    let server = try server()
    var answer = try HTTPAnswer(port: server.port, "GET", "/ready")
    #expect(answer.status == 503)
    #expect(answer.body == #"{"ready":false,"reasons":["source \"db\" is starting"]}"# + "\n")
    pipelines.enterStreaming()
    answer = try HTTPAnswer(port: server.port, "GET", "/ready")
    #expect(answer.status == 200)
    #expect(answer.body == #"{"ready":true,"reasons":[]}"# + "\n")
  }

  @Test("/debug turns debugging on and off, and nothing else does")
  func debug() throws {
    let server = try server()
    #expect(server.isLoopback)
    #expect(try HTTPAnswer(port: server.port, "GET", "/debug/on").status == 200)
    #expect(try HTTPAnswer(port: server.port, "GET", "/debug/off").status == 200)
    #expect(pipelines.debugCalls == [true, false])
    for path in ["/debug", "/debug/", "/debug/ON", "/debug/on/", "/debug/on/x", "/debug/maybe"] {
      #expect(try HTTPAnswer(port: server.port, "GET", path).status == 400, "\(path)")
    }
    for method in ["HEAD", "POST", "PUT"] {
      let answer = try HTTPAnswer(port: server.port, method, "/debug/on")
      #expect(answer.status == 405)
      #expect(answer.headers["allow"] == "GET")
    }
    #expect(pipelines.debugCalls == [true, false])
  }

  @Test(
    "A15 a page of another site may change nothing",
    arguments: [
      ("localhost", "http://evil.example", nil), ("localhost:1", "null", nil),
      ("127.0.0.1:1", nil, "cross-site"), ("127.0.0.1:1", nil, "same-site"),
      // A name that its owner pointed at this machine.
      ("evil.example:1", "http://evil.example:1", "same-origin"),
      ("evil.example:1", nil, "same-origin"), ("localhost:1", "https://localhost:1", nil),
    ] as [(String, String?, String?)])
  func foreign(_ host: String, _ origin: String?, _ site: String?) {
    let request = AdminRequest(
      method: "GET", path: "/debug/on", host: host, origin: origin, fetchSite: site)
    #expect(request.isForeign)
  }

  @Test(
    "A15 programs and the page of this very server may",
    arguments: [
      ("anything", nil, nil), (nil, nil, nil), ("localhost:1", "http://localhost:1", "same-origin"),
      ("127.0.0.1:1", "http://127.0.0.1:1", nil), ("[::1]:1", "http://[::1]:1", nil),
      ("127.0.0.1:1", nil, "none"),
    ] as [(String?, String?, String?)])
  func own(_ host: String?, _ origin: String?, _ site: String?) {
    let request = AdminRequest(
      method: "GET", path: "/debug/on", host: host, origin: origin, fetchSite: site)
    #expect(!request.isForeign)
  }

  @Test("A15 /debug answers 403 to it, and changes nothing")
  func foreignDebug() throws {
    let server = try server()
    for header in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
      #expect(
        try HTTPAnswer(port: server.port, "GET", "/debug/on", headers: [header]).status == 403)
    }
    #expect(pipelines.debugCalls == [])
  }

  @Test(
    "an address that others reach is for reading only without a token",
    arguments: [":0", "0.0.0.0:0"])
  func withoutToken(_ address: String) throws {
    let server = try server(address)
    #expect(!server.isLoopback)
    #expect(try HTTPAnswer(port: server.port, "GET", "/health").status == 200)
    #expect(try HTTPAnswer(port: server.port, "GET", "/debug/on").status == 403)
    #expect(try HTTPAnswer(port: server.port, "GET", "/debug/x").status == 400)
    #expect(pipelines.debugCalls == [])
  }

  @Test("a token is asked for and compared whole", arguments: [":0", "127.0.0.1:0"])
  func withToken(_ address: String) throws {
    let server = try server(address, token: "s3cret")
    let wrong = [
      [], ["Authorization: Bearer s3cre"], ["Authorization: Bearer s3crett"],
      ["Authorization: Bearer S3cret"], ["Authorization: Basic s3cret"],
      ["Authorization: s3cret"], ["Authorization: Bearer"],
    ]
    for headers in wrong {
      let answer = try HTTPAnswer(port: server.port, "GET", "/debug/on", headers: headers)
      #expect(answer.status == 401, "\(headers)")
      #expect(answer.headers["www-authenticate"] == "Bearer")
    }
    #expect(pipelines.debugCalls == [])
    for header in ["Authorization: Bearer s3cret", "authorization: bearer  s3cret"] {
      let answer = try HTTPAnswer(port: server.port, "GET", "/debug/on", headers: [header])
      #expect(answer.status == 200)
    }
    #expect(pipelines.debugCalls == [true, true])
    #expect(try HTTPAnswer(port: server.port, "GET", "/status").status == 200)
  }

  @Test(
    "an unknown path is 404, another method 405", arguments: ["POST", "PUT", "DELETE", "OPTIONS"])
  func methods(_ method: String) throws {
    let server = try server()
    for path in ["/index.html", "/nothing", "/status/", "//status", "/STATUS"] {
      #expect(try HTTPAnswer(port: server.port, "GET", path).status == 404, "\(path)")
    }
    for path in ["/", "/health", "/ready", "/status", "/stats", "/metrics"] {
      let answer = try HTTPAnswer(
        port: server.port, method, path, headers: ["Content-Length: 5"], body: "hello")
      #expect(answer.status == 405, "\(path)")
      #expect(answer.headers["allow"] == "GET, HEAD")
    }
  }

  @Test(
    "HEAD is GET without the body",
    arguments: ["/", "/health", "/status", "/stats", "/metrics", "/ready"])
  func head(_ path: String) throws {
    pipelines.enterStreaming()
    metrics.counter("c", "C.").add()
    let server = try server()
    let get = try HTTPAnswer(port: server.port, "GET", path + "?query=1")
    let head = try HTTPAnswer(port: server.port, "HEAD", path)
    #expect(get.status == 200 && head.status == 200)
    #expect(head.body == "")
    // The process's own metrics may have changed in between, and ages on the page.
    if path != "/metrics", path != "/" {
      #expect(head.headers["content-length"] == String(get.body.utf8.count))
    }
    #expect(head.headers["content-type"] == get.headers["content-type"])
  }

  @Test(
    "A10 a connection ends with its answer: what follows is not read, however its lines end",
    arguments: ["\r\n", "\n", "\r"])
  func oneRequest(_ end: String) throws {
    let server = try server()
    let get = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    let more = ["GET /debug/on HTTP/1.1", "Host: x", "", ""].joined(separator: end)
    let bytes = try HTTPAnswer.exchange(port: server.port, get + more)
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text.lowercased().contains("\r\nconnection: close\r\n"))
    #expect(text.hasSuffix("\r\n\r\nAlive and well\n"))
    #expect(text.split(separator: "HTTP/1.1 ").count == 1, "\(text)")
    #expect(pipelines.debugCalls == [])
  }

  @Test("A10 nor what comes when the answer is there")
  func laterRequest() throws {
    let server = try server()
    let descriptor = try HTTPAnswer.open(port: server.port)
    defer { close(descriptor) }
    func send(_ text: String) {
      _ = unsafe Glibc.send(descriptor, text, text.utf8.count, CInt(MSG_NOSIGNAL))
    }
    send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    var bytes = [UInt8](repeating: 0, count: 4096)
    #expect(unsafe read(descriptor, &bytes, bytes.count) > 0)
    send("GET /debug/on HTTP/1.1\nHost: x\n\n")
    // Whether its end is an orderly one depends on who was faster.
    while unsafe read(descriptor, &bytes, bytes.count) > 0 {
      #expect(!String(decoding: bytes, as: UTF8.self).contains("Debug"))
    }
    #expect(pipelines.debugCalls == [])
  }

  @Test("what is no HTTP, or too much of it, does not end the server")
  func rubbish() throws {
    let server = try server()
    let requests = [
      "\r\n\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "y", count: 40_000)
        + "\r\n\r\n",
    ]
    for request in requests {
      // Only that it comes to an end; half of a request is closed by the timeout.
      let descriptor = try HTTPAnswer.open(port: server.port)
      _ = unsafe send(descriptor, request, request.utf8.count, CInt(MSG_NOSIGNAL))
      close(descriptor)
    }
    #expect(try HTTPAnswer(port: server.port, "GET", "/health").status == 200)
  }

  @Test("a port in use is an error that names it")
  func portInUse() throws {
    let first = try server()
    let error = try #require(throws: StreamerError.self) {
      try server("127.0.0.1:\(first.port)")
    }
    #expect(error.exit == .failure)
    #expect(error.description.contains("127.0.0.1:\(first.port)"))
    #expect(error.description.contains("in use"))
  }

  @Test("an IPv6 address is taken too", .enabled(if: hasIPv6, "this machine has no IPv6 loopback"))
  func ipv6() throws {
    let server = try server("[::1]:0")
    #expect(server.isLoopback)
    #expect(server.port != 0)
  }

  @Test("a host that is not ours is an error")
  func foreignHost() throws {
    // TEST-NET-1: never an address of this machine.
    let error = try #require(throws: StreamerError.self) { try server("192.0.2.1:0") }
    #expect(error.description.contains("192.0.2.1"))
  }

  @Test("a stopped server gives its port back")
  func stopping() throws {
    let first = try server()
    #expect(try HTTPAnswer(port: first.port, "GET", "/health").status == 200)
    first.stop()
    first.stop()
    #expect(throws: Never.self) { try server("127.0.0.1:\(first.port)") }
  }
}
