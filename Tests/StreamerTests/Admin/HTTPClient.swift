import Glibc
import Testing

/// A client for one request: everything the server sends until it closes.
struct HTTPAnswer {
  let status: Int
  let headers: [String: String]
  let body: String

  init(
    port: UInt16, _ method: String, _ path: String, headers: [String] = [], body: String = ""
  ) throws {
    let request =
      "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
      + headers.map { $0 + "\r\n" }.joined() + "\r\n" + body
    let text = String(decoding: try Self.exchange(port: port, request), as: UTF8.self)
    let end = try #require(text.firstRange(of: "\r\n\r\n"), "\(text)")
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    status = try #require(Int(lines[0].split(separator: " ")[1]))
    var found: [String: String] = [:]
    for line in lines.dropFirst() {
      let colon = try #require(line.firstIndex(of: ":"))
      found[line[..<colon].lowercased()] = String(line[colon...].dropFirst(2))
    }
    self.headers = found
    self.body = String(text[end.upperBound...])
  }

  /// Sends bytes and reads until the server closes.
  static func exchange(port: UInt16, _ request: String) throws -> [UInt8] {
    let descriptor = try open(port: port)
    defer { close(descriptor) }
    let sent = unsafe send(descriptor, request, request.utf8.count, CInt(MSG_NOSIGNAL))
    #expect(sent == request.utf8.count)
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe read(descriptor, &part, part.count)
      if count <= 0 { return bytes }
      bytes += part.prefix(count)
    }
  }

  /// Connects to the server.
  static func open(port: UInt16) throws -> CInt {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(connected == 0, "no connection")
    return descriptor
  }
}
