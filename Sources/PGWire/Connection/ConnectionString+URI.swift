/// The URI form: `postgresql://[user[:password]@][host[:port]][,...][/dbname][?name=value[&...]]`.
extension ConnectionString {
  /// Reads what follows the scheme.
  mutating func parseURI(_ text: [UInt8]) throws(PGError) {
    var scanner = URIScanner(text)
    try parseUserInfo(&scanner)
    try parseHosts(&scanner)
    if scanner.skip("/") {
      try store(.dbname, scanner.take(until: "?"))
    }
    guard scanner.skip("?") else { return }
    while !scanner.isAtEnd {
      try parseParameter(scanner.take(until: "&"))
      _ = scanner.skip("&")
    }
  }

  private mutating func parseUserInfo(_ scanner: inout URIScanner) throws(PGError) {
    // libpq ends it at the first "@" that comes before a "/".
    guard let info = scanner.takeUserInfo() else { return }
    let user = info.prefix { $0 != UInt8(ascii: ":") }
    try store(.user, user)
    try store(.password, info.dropFirst(user.count + 1))
  }

  private mutating func parseHosts(_ scanner: inout URIScanner) throws(PGError) {
    var hosts: [UInt8] = []
    var ports: [UInt8] = []
    while true {
      if scanner.skip("[") {
        let host = scanner.take(until: "]")
        guard scanner.skip("]"), !host.isEmpty else {
          throw .connectionString("an IPv6 address is empty or lacks its \"]\"")
        }
        guard scanner.isAtEnd || scanner.isNext(anyOf: ":/?,") else {
          throw .connectionString("only a port, \"/\", \"?\" or \",\" may follow \"]\"")
        }
        hosts += host
      } else {
        hosts += scanner.take(until: ":/?,")
      }
      if scanner.skip(":") { ports += scanner.take(until: "/?,") }
      guard scanner.skip(",") else { break }
      hosts.append(UInt8(ascii: ","))
      ports.append(UInt8(ascii: ","))
    }
    try store(.host, hosts[...])
    // Commas alone count as well, as in libpq: each of several hosts has a port of its own, and
    // PGPORT is not asked.
    try store(.port, ports[...])
  }

  private mutating func parseParameter(_ pair: ArraySlice<UInt8>) throws(PGError) {
    let parts = pair.split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      throw .connectionString(
        "a parameter after \"?\" is not of the form name=value. Write \"=\" in a value as %3D")
    }
    try checkName(parts[0])
    let name = try decode(parts[0], of: "a parameter's name")
    let value = try decode(parts[1], of: name)
    if name == "ssl" {
      // The only word of JDBC's that libpq understands.
      guard value == "true" else {
        throw .connectionString("ssl=\(value) is unknown: only ssl=true is. Use sslmode")
      }
      values[.sslmode] = "require"
    } else {
      try set(name, to: value)
    }
  }

  private mutating func store(
    _ keyword: ConnectionKeyword, _ text: ArraySlice<UInt8>
  ) throws(PGError) {
    guard !text.isEmpty else { return }
    values[keyword] = try decode(text, of: keyword.rawValue)
  }

  /// Undoes percent-encoding; spaces around are dropped, spaces inside are errors (libpq 17).
  private func decode(
    _ text: ArraySlice<UInt8>, of name: String
  ) throws(PGError) -> String {
    var text = text.drop { $0 == 0x20 }
    while text.last == 0x20 { text = text.dropLast() }
    var decoded: [UInt8] = []
    while let byte = text.popFirst() {
      if byte == 0x20 {
        throw .connectionString("there is a space in \(name). Write %20")
      }
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let high = text.popFirst().flatMap(Self.hexDigit),
        let low = text.popFirst().flatMap(Self.hexDigit)
      else { throw .connectionString("a \"%\" in \(name) lacks two hexadecimal digits. Write %25") }
      guard high << 4 | low != 0 else { throw .connectionString("%00 in \(name) is not allowed") }
      decoded.append(high << 4 | low)
    }
    return value(decoded)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}

/// Cuts a URI at its punctuation.
private struct URIScanner {
  private var rest: ArraySlice<UInt8>

  init(_ text: [UInt8]) { rest = text[...] }

  var isAtEnd: Bool { rest.isEmpty }

  func isNext(anyOf stops: StaticString) -> Bool {
    guard let next = rest.first else { return false }
    return Self.contains(stops, next)
  }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  mutating func take(until stops: StaticString) -> ArraySlice<UInt8> {
    let part = rest.prefix { !Self.contains(stops, $0) }
    rest = rest.dropFirst(part.count)
    return part
  }

  mutating func takeUserInfo() -> ArraySlice<UInt8>? {
    let part = rest.prefix { !Self.contains("@/", $0) }
    guard rest.dropFirst(part.count).first == UInt8(ascii: "@") else { return nil }
    rest = rest.dropFirst(part.count + 1)
    return part
  }

  private static func contains(_ stops: StaticString, _ byte: UInt8) -> Bool {
    // SAFETY: the pointer does not leave the closure.
    stops.withUTF8Buffer { unsafe $0.contains(byte) }
  }
}
