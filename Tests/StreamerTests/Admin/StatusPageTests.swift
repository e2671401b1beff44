import PGWire
import Synchronization
import Testing

@testable import Streamer

/// The page at `/`.
@Suite struct StatusPageTests {
  private let pipelines = FakePipelines()
  private let metrics = Metrics()

  private func routes(token: String? = nil, isLoopback: Bool = true) -> AdminRoutes {
    AdminRoutes(
      status: pipelines, metrics: metrics, process: ProcessMetrics(metrics, version: "1.2.3"),
      states: StateMetrics(metrics, pipelines), version: "1.2.3", token: token,
      readyWhenStandby: false, isLoopback: isLoopback)
  }

  private func page(_ routes: AdminRoutes? = nil) -> String {
    let answer = (routes ?? self.routes()).answer(AdminRequest(method: "GET", path: "/"))
    #expect(answer.status == 200)
    return String(decoding: answer.body, as: UTF8.self)
  }

  /// What stands between a start tag and its end tag, each time.
  private func contents(of name: String, in html: String) -> [Substring] {
    html.split(separator: "<\(name)>").dropFirst().compactMap {
      $0.split(separator: "</\(name)>").first
    }
  }

  @Test func `It is one page that nothing from outside runs or styles`() throws {
    pipelines.enterStreaming()
    let server = try AdminServer(
      #require(HTTPAddress("127.0.0.1:0")), status: pipelines, metrics: metrics, version: "1.2.3")
    let answer = try HTTPAnswer(port: server.port, "GET", "/")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "text/html; charset=utf-8")
    #expect(answer.headers["cache-control"] == "no-store")
    #expect(answer.headers["x-content-type-options"] == "nosniff")
    let policy = try #require(answer.headers["content-security-policy"])
    #expect(policy.hasPrefix("default-src 'none'; ") && !policy.contains("unsafe"))
    for (directive, element) in [("script-src", "script"), ("style-src", "style")] {
      let texts = contents(of: element, in: answer.body)
      #expect(texts.count == 1)
      let digest = SHA256.digest(of: Array(try #require(texts.first).utf8))
      #expect(policy.contains("\(directive) '\(sha256: digest)'"), "\(element)")
    }
    #expect(!answer.body.contains("src=") && !answer.body.contains("style="))
    #expect(!answer.body.contains(/\son[a-z]+=/))
    // The name of a graphic's elements is no address that is asked.
    let addresses = answer.body.replacing("http://www.w3.org/2000/svg", with: "")
    #expect(!addresses.contains("://") && !addresses.contains("{{"))
    #expect(answer.body.utf8.count < 30_000)
  }

  @Test func `It tells what /status tells, and that all is well`() {
    pipelines.enterStreaming()
    let source = pipelines.sources[0]
    source.confirmedLSN.set(0x16_B374_D840)
    source.serverLSN.set(0x16_B374_D840 + 3 << 20)
    source.walHeldBytes.set(5 << 20)
    source.walStatus = .reserved
    source.safeWALBytes = 1 << 30
    source.walSecondsLeft = 7_260
    source.lagSeconds = 1.25
    source.events.add(1_234_567)
    pipelines.lane.kafkaMessages.add(42)
    let html = page()
    for text in [
      "● all well", "1.2.3", "postgres · slot streamer", "streaming", "16/B374D840", "5 MiB",
      "reserved · 1 GiB to go · 2 h 1 min left", "1.3 s", "1\u{202F}234\u{202F}567", ">42<",
    ] { #expect(html.contains(text), "\(text)") }
    #expect(!html.contains("What is not well"))
  }

  @Test func `What is not well stands on top, with its error and since when`() throws {
    pipelines.enterStreaming()
    let now = UTCTime.now
    pipelines.lane.enter(
      .retrying, error: "sink \"out\": 127.0.0.1:9092: refused. Is the broker up?",
      at: UTCTime(microseconds: now.microseconds - 125_000_000))
    var html = page()
    #expect(html.contains("<title>✖ trouble – psql-streamer</title>"))
    let list = try #require(html.firstRange(of: "class=\"trouble bad\""))
    let rest = html[list.upperBound...].prefix { _ in true }
    #expect(rest.contains("sink out") && rest.contains("✖ retrying") && rest.contains("2 min"))
    #expect(rest.contains("127.0.0.1:9092: refused. Is the broker up?"))
    #expect(!html.contains("sink &quot;out&quot; is retrying"), "the state says that")

    pipelines.enterStreaming()
    pipelines.sources[0].cannotSave = true
    html = page()
    #expect(html.contains("▲ not ready") && html.contains("cannot save its position"))
    #expect(html.contains("class=\"trouble wait\"") && !html.contains("What is not well"))
  }

  @Test func `What others have named is text and nothing else`() {
    let evil = "<script>alert(1)</script>\"' onload=x &amp; \u{202E}\u{7}"
    let named = EvilPipelines(evil)
    let observer = PipelineObserver(source: named.sources[0], sinks: named.sinks, metrics: metrics)
    observer.table(schema: evil, name: evil).source.inserts.add(3)
    _ = observer.table(schema: "x", name: evil, hasTopic: [false], left: [.exclude])
    observer.ended(StreamerError(what: evil))
    let html = String(
      decoding: AdminRoutes(
        status: named, metrics: metrics, process: ProcessMetrics(metrics, version: evil),
        states: StateMetrics(metrics, named), version: evil, token: nil, readyWhenStandby: false,
        isLoopback: true
      ).answer(AdminRequest(method: "GET", path: "/")).body, as: UTF8.self)
    #expect(!html.contains("<script>alert") && !html.contains("\u{202E}"))
    #expect(
      html.split(separator: "<script").count == 2 && html.split(separator: "</script").count == 2)
    let escaped =
      "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x &amp;amp; \\u202e\\u0007"
    // Version, source, sink, table, what is left out, the errors.
    #expect(html.split(separator: escaped).count > 8)
    #expect(html.contains("the sink&#39;s exclude names it"))
  }

  @Test func `It is for reading, so it needs no token`() {
    pipelines.enterStreaming()
    #expect(page(routes(token: "s3cret", isLoopback: false)).contains("all well"))
    #expect(!page(routes(token: "s3cret")).contains("s3cret"))
  }

  @Test func `The busiest tables are listed, the others counted`() throws {
    pipelines.enterStreaming()
    let observer = PipelineObserver(
      source: pipelines.sources[0], sinks: pipelines.sinks, metrics: metrics)
    for number in 1...25 {
      let table = observer.table(schema: "public", name: "t\(number)\\\"\n")
      table.source.inserts.add(UInt64(number))
      table.source.truncates.add(1)
    }
    let (tables, count) = TableTotals.busiest(20, of: metrics)
    #expect(tables.map(\.total) == (7...26).reversed().map { UInt64($0) } && count == 25)
    #expect(tables[0].table == "public.t25\\\"\n" && tables[0].inserts == 25)
    let html = page()
    #expect(html.contains("public.t6\\&quot;") && !html.contains("public.t5\\&quot;"))
    #expect(html.contains("and 5 more"))
  }

  @Test(arguments: [0, 1, 951_782_399_999_999, 951_782_400_000_000, 1_795_872_000_123_456])
  func `A time is read as it is written`(_ microseconds: Int64) {
    let time = UTCTime(microseconds: microseconds)
    #expect(UTCTime(time.description) == time)
    #expect(UTCTime("yesterday") == nil)
  }
}

/// Pipelines whose names are an attack.
private final class EvilPipelines: StatusSource {
  let sources: [SourceStatus]
  let sinks: [SinkStatus]

  init(_ name: String) {
    sources = [SourceStatus(name: name, type: "postgres", slot: name)]
    sinks = [SinkStatus(name: name, type: "kafka")]
  }

  func setDebug(_ isOn: Bool) {}
}

extension DefaultStringInterpolation {
  /// A digest as a Content-Security-Policy writes it; base64 is worked out bit by bit here.
  fileprivate mutating func appendInterpolation(sha256 digest: [UInt8]) {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    let bits = digest.flatMap { byte in (0..<8).map { Int(byte) >> (7 - $0) & 1 } }
    let padded = bits + Array(repeating: 0, count: (6 - bits.count % 6) % 6)
    appendLiteral("sha256-")
    for start in stride(from: 0, to: padded.count, by: 6) {
      appendLiteral(String(alphabet[padded[start..<start + 6].reduce(0) { $0 * 2 + $1 }]))
    }
    appendLiteral("=")
  }
}
