/// What matters of an HTTP request.
struct AdminRequest: Sendable {
  /// The method, upper case as HTTP writes it.
  var method: String
  /// The path without the query.
  var path: String
  /// The Authorization header, when there is one.
  var authorization: String?
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
