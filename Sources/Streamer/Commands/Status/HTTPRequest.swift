import Glibc

/// Where an HTTP server listens: "http://host:port/base".
struct HTTPLocation: Hashable, Sendable {
  /// The host's name or address, without brackets.
  let host: String
  /// The port; 80 when the address names none.
  let port: UInt16
  /// What stands before each path, without a slash at its end.
  let base: String

  /// Reads an address; nil when it is none, or not of http.
  init?(_ url: String) {
    guard url.hasPrefix("http://") else { return nil }
    let rest = url.dropFirst(7)
    let authority = String(rest.prefix { $0 != "/" })
    let hasPort = authority.hasSuffix("]") ? false : authority.contains(":")
    guard let address = HTTPAddress(hasPort ? authority : authority + ":80"),
      !address.host.isEmpty, address.port > 0
    else { return nil }
    var base = rest.dropFirst(authority.count)
    while base.hasSuffix("/") { base.removeLast() }
    guard base.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "?") }) else {
      return nil
    }
    host = address.host
    port = address.port
    self.base = String(base)
  }

  /// "host:port", an IPv6 address in brackets.
  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension HTTPLocation: CustomStringConvertible {
  /// The address as it was given.
  var description: String { "http://\(authority)\(base)" }
}

/// What is sent to a server.
struct HTTPMessage: Hashable, Sendable {
  /// The method, in capitals.
  let method: String
  /// The path below the server's base.
  let path: String
  /// What goes with it, JSON; empty for nothing.
  let body: [UInt8]

  init(_ method: String, _ path: String, _ body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.body = body
  }
}

/// A request to a server nearby, for small documents.
enum HTTPRequest {
  /// How long an answer may be, in bytes.
  private static let limit = 16 << 20

  /// Asks for a document.
  ///
  /// Speaks HTTP/1.0, so that the answer ends with the connection and needs no decoding. Throws
  /// `StreamerError` when no whole answer has come at `deadline`.
  static func get(
    _ location: HTTPLocation, _ path: String, until deadline: ContinuousClock.Instant
  ) throws(StreamerError) -> (code: Int, body: [UInt8]) {
    try send(HTTPMessage("GET", path), to: location, until: deadline)
  }

  /// Sends something and gives the answer, in the same way; with a bearer token where there is one.
  static func send(
    _ message: HTTPMessage, to location: HTTPLocation, token: String? = nil,
    until deadline: ContinuousClock.Instant
  ) throws(StreamerError) -> (code: Int, body: [UInt8]) {
    let socket = try ClientSocket(location, until: deadline)
    var head =
      "\(message.method) \(location.base)\(message.path) HTTP/1.0\r\nHost: \(location.authority)\r\n"
      + "Accept: application/json\r\nConnection: close\r\n"
    if let token { head += "Authorization: Bearer \(token)\r\n" }
    if message.method != "GET" {
      head += "Content-Type: application/json\r\nContent-Length: \(message.body.count)\r\n"
    }
    try socket.send(Array("\(head)\r\n".utf8) + message.body, until: deadline)
    let answer = try socket.receiveAll(limit: limit, until: deadline)
    guard let parsed = parse(answer) else {
      throw StreamerError(
        what: "\(location)", why: "it does not speak HTTP",
        hint: "Name the address that `http` in its configuration says.")
    }
    return parsed
  }

  /// Takes an answer apart; nil when it is none, or was cut off.
  static func parse(_ answer: [UInt8]) -> (code: Int, body: [UInt8])? {
    let blankLine = Array("\r\n\r\n".utf8)
    guard let end = answer.firstRange(of: blankLine) else { return nil }
    let lines = String(decoding: answer[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
    let words = (lines.first ?? "").split(separator: " ")
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else {
      return nil
    }
    let body = Array(answer[end.upperBound...])
    for line in lines.dropFirst() where line.lowercased().hasPrefix("content-length:") {
      guard let length = Int(line.dropFirst(15).filter { $0 != " " }), body.count >= length else {
        return nil
      }
    }
    return (code, body)
  }
}

extension HTTPLocation {
  /// Where the instance of a configuration listens.
  init(of configuration: Configuration) throws(StreamerError) {
    guard let location = HTTPLocation(configuration.http) else {
      throw StreamerError(
        what: "http \"\(configuration.http)\"", why: "nobody can find an instance there",
        hint: "Set http to an address with a port.", exit: .usage)
    }
    self = location
  }
  /// Where an instance listens that has this `http`; nil where that is nowhere one can say.
  init?(_ address: HTTPAddress) {
    let host =
      switch address.host {
      case "", "0.0.0.0": "127.0.0.1"
      case "::": "::1"
      default: address.host
      }
    let name = host.contains(":") ? "[\(host)]" : host
    self.init("http://\(name):\(address.port)")
  }
}
