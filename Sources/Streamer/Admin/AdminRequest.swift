/// What matters of an HTTP request.
struct AdminRequest: Sendable {
  /// The method, upper case as HTTP writes it.
  var method: String
  /// The path without the query.
  var path: String
  /// The Authorization header, when there is one.
  var authorization: String?
  /// The Host header: whom the client believes to speak to.
  var host: String?
  /// The Origin header: of which page a browser asks, where it is another one's.
  var origin: String?
  /// The Sec-Fetch-Site header: how near that page is.
  var fetchSite: String?
  /// What it brings, where the path takes something; nil for more than ``Limits/adminBody`` bytes.
  var body: [UInt8]? = []
  /// Whether its headers can be read in one way only.
  var isUnambiguous = true

  /// Whether a browser sends it for a page of somebody else, or may have been led here by a name
  /// that somebody else owns.
  ///
  /// Programs send none of these headers.
  var isForeign: Bool {
    if let fetchSite, fetchSite != "same-origin", fetchSite != "none" { return true }
    guard let origin else { return fetchSite != nil && !isHostLiteral }
    guard let host, isHostLiteral else { return true }
    return origin.lowercased() != "http://\(host.lowercased())"
  }

  /// Whether Host is an address or "localhost", which no name server can point elsewhere.
  private var isHostLiteral: Bool {
    guard let host else { return false }
    if host.hasPrefix("[") { return true }
    let name = host.prefix { $0 != ":" }.lowercased()
    return name == "localhost" || name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
  }
}

/// An HTTP answer, whole.
struct AdminResponse: Sendable {
  /// HTTP's status code.
  var status: UInt32
  /// The headers, with the content's type.
  var headers: [(name: String, value: String)]
  /// The body.
  var body: [UInt8]

  /// An answer of that type.
  init(_ status: UInt32, type: String, _ body: [UInt8]) {
    self.status = status
    headers = [("Content-Type", type), ("Cache-Control", "no-store")]
    self.body = body
  }

  /// A line of text.
  static func text(_ status: UInt32, _ line: String) -> AdminResponse {
    AdminResponse(status, type: "text/plain; charset=utf-8", Array(line.utf8) + [0x0A])
  }

  /// A JSON document.
  static func json(_ status: UInt32, _ json: [UInt8]) -> AdminResponse {
    AdminResponse(status, type: "application/json", json + [0x0A])
  }

  /// The same answer with one more header.
  func with(_ name: String, _ value: String) -> AdminResponse {
    var response = self
    response.headers.append((name, value))
    return response
  }
}
