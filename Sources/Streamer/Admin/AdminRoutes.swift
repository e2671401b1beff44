/// Which answer every request gets, apart from sockets and HTTP.
struct AdminRoutes: Sendable {
  /// Whom to ask about the pipelines.
  let status: any StatusSource
  /// The process's metrics.
  let metrics: Metrics
  /// The process's own part of them, read anew for each request.
  let process: ProcessMetrics
  /// The states of sources and sinks among them, likewise.
  let states: StateMetrics
  /// The product's version, for `/status`.
  let version: String
  /// The bearer token for what changes something; nil when none is configured.
  var token: String?
  /// Whether the service is ready while another instance has the slot.
  let readyWhenStandby: Bool
  /// Whether the server listens where only this machine can reach it.
  let isLoopback: Bool

  /// What can be read; the raw value is its path.
  private enum Document: String {
    case page = "/"
    case health = "/health"
    case ready = "/ready"
    case status = "/status"
    case stats = "/stats"
    case gaps = "/gaps"
    case metrics = "/metrics"
  }

  private static let debugPath = "/debug/"
  /// The path of what may be long.
  static let metricsPath = Document.metrics.rawValue

  /// Answers one request.
  func answer(_ request: AdminRequest, now: ContinuousClock.Instant = .now) -> AdminResponse {
    guard request.isUnambiguous else {
      return .text(400, "The request's headers can be read in more than one way.")
    }
    if request.path.hasPrefix(Self.debugPath) || request.path == "/debug" {
      return debug(request)
    }
    if Self.isOfCopies(request.path) { return copies(request) }
    guard let document = Document(rawValue: request.path) else {
      return .text(404, "There is nothing here.")
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return .text(405, "Only GET and HEAD are answered here.").with("Allow", "GET, HEAD")
    }
    return answer(document, now: now)
  }

  private func answer(_ document: Document, now: ContinuousClock.Instant) -> AdminResponse {
    switch document {
    case .page:
      return page(now)
    case .health:
      return .text(200, "Alive and well")
    case .ready:
      let readiness = readiness(now)
      return .json(readiness.isReady ? 200 : 503, readiness.json)
    case .status:
      let document = statusDocument
      return .json(document.isOK ? 200 : 500, document.json)
    case .stats:
      return .json(200, StatsDocument.json(sources: status.sources, sinks: status.sinks))
    case .gaps:
      return .json(200, GapsDocument.json(status.sources))
    case .metrics:
      process.update()
      states.update(status, isReady: readiness(now).isReady)
      return AdminResponse(200, type: PrometheusText.contentType, metrics.text())
    }
  }

  private var statusDocument: StatusDocument {
    StatusDocument(sources: status.sources, sinks: status.sinks, version: version)
  }

  /// The page of `/`: always 200, so that a browser shows it.
  private func page(_ now: ContinuousClock.Instant) -> AdminResponse {
    let stats = StatsDocument.json(sources: status.sources, sinks: status.sinks)
    let page = StatusPage(
      status: JSONValue(statusDocument.json) ?? .null, stats: JSONValue(stats) ?? .null,
      reasons: readiness(now).reasons,
      tables: TableTotals.busiest(StatusPage.listedTables, of: metrics), now: .now)
    var response = AdminResponse(200, type: "text/html; charset=utf-8", page.html)
    response.headers += StatusPage.headers.map { (name: $0, value: $1) }
    return response
  }

  private func readiness(_ now: ContinuousClock.Instant) -> Readiness {
    Readiness(
      sources: status.sources, sinks: status.sinks, now: now, readyWhenStandby: readyWhenStandby)
  }

  /// `GET /debug/on` and `/debug/off`; not HEAD, which must change nothing.
  private func debug(_ request: AdminRequest) -> AdminResponse {
    guard request.method == "GET" else {
      return .text(405, "Only GET is answered here.").with("Allow", "GET")
    }
    let isOn: Bool
    switch request.path.dropFirst(Self.debugPath.count) {
    case "on": isOn = true
    case "off": isOn = false
    default: return .text(400, "The request is /debug/on or /debug/off.")
    }
    if let refusal = refusal(request) { return refusal }
    status.setDebug(isOn)
    return .text(200, "Debug is now \(isOn)")
  }

  /// Why a request that changes something is refused, or nil when it may.
  func refusal(_ request: AdminRequest) -> AdminResponse? {
    if request.isForeign { return .text(403, "A page of another site may change nothing here.") }
    guard let token else {
      if isLoopback { return nil }
      return .text(403, "Without httpToken this address is for reading only.")
    }
    if let given = Self.bearer(request.authorization), Self.isEqual(given, token) { return nil }
    return .text(401, "This needs the bearer token httpToken.").with("WWW-Authenticate", "Bearer")
  }

  /// The token of "Bearer TOKEN"; the scheme's case does not matter (RFC 9110).
  private static func bearer(_ header: String?) -> Substring? {
    guard let header, let space = header.firstIndex(of: " "),
      header[..<space].lowercased() == "bearer"
    else { return nil }
    return header[space...].drop { $0 == " " }
  }

  // In the same time wherever they differ, so that a token cannot be guessed byte by byte.
  private static func isEqual(_ given: Substring, _ token: String) -> Bool {
    guard given.utf8.count == token.utf8.count else { return false }
    var difference: UInt8 = 0
    for (a, b) in zip(given.utf8, token.utf8) { difference |= a ^ b }
    return difference == 0
  }
}
