/// A connection service file (manual: "The Connection Service File").
///
///     # comment
///     [name]
///     keyword=value
///
/// The first section of a name counts, and in it the first value of a keyword. There are no spaces
/// around `=`: those behind it belong to the value, those before it make the keyword unknown.
struct ServiceFile {
  /// The longest line in bytes, its newline included, as in libpq.
  static let lineLimit = 1022

  private let path: String
  private let lines: [ArraySlice<UInt8>]

  /// Takes the file's contents; errors call it by its path.
  init(_ contents: [UInt8], path: String) {
    self.path = path
    var lines: [ArraySlice<UInt8>] = []
    var rest = contents[...]
    while !rest.isEmpty {
      let text = rest.prefix { $0 != UInt8(ascii: "\n") }
      // With its newline, so that the limit holds for what libpq counts.
      lines.append(rest.prefix(text.count + 1))
      rest = rest.dropFirst(text.count + 1)
    }
    self.lines = lines
  }

  /// What the file says about a service; nil when it has no section of this name.
  func values(of service: String) throws(PGError) -> [ConnectionKeyword: String]? {
    var found: [ConnectionKeyword: String]?
    let header = [UInt8(ascii: "[")] + Array(service.utf8) + [UInt8(ascii: "]")]
    for (index, line) in lines.enumerated() {
      guard line.count <= Self.lineLimit else {
        throw error("line \(index + 1) is longer than \(Self.lineLimit) bytes")
      }
      let text = Self.trim(line)
      guard let first = text.first, first != UInt8(ascii: "#") else { continue }
      if first == UInt8(ascii: "[") {
        if found != nil { return found }
        if text.starts(with: header) { found = [:] }
      } else if found != nil {
        let (keyword, value) = try pair(text, line: index + 1)
        if found?[keyword] == nil { found?[keyword] = value }
      }
    }
    return found
  }

  private func pair(
    _ text: ArraySlice<UInt8>, line: Int
  ) throws(PGError) -> (ConnectionKeyword, String) {
    let name = text.prefix { $0 != UInt8(ascii: "=") }
    guard name.count < text.count else {
      throw error("line \(line) has no \"=\". Write keyword=value")
    }
    // What is no keyword may be anything, even a password, so it is not shown.
    guard let keyword = ConnectionKeyword(rawValue: String(decoding: name, as: UTF8.self)) else {
      throw error("line \(line) begins with no keyword. Write keyword=value without spaces")
    }
    guard keyword != .service else {
      throw error("line \(line) names a service, and services do not nest. Take it out")
    }
    let value = text.dropFirst(name.count + 1)
    guard !value.contains(0) else { throw error("line \(line) holds a zero byte. Take it out") }
    return (keyword, String(decoding: value, as: UTF8.self))
  }

  private func error(_ what: String) -> PGError {
    .connectionString("service file \(path): \(what)")
  }

  private static func trim(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    var text = line.drop(while: isSpace)
    while let last = text.last, isSpace(last) { text = text.dropLast() }
    return text
  }
}

extension ServiceFile {
  /// Where Debian's libpq looks for `pg_service.conf` unless PGSYSCONFDIR says otherwise.
  static let defaultSystemDirectory = "/etc/postgresql-common"

  /// What the service files say about a service that string or environment name; empty without one.
  ///
  /// PGSERVICEFILE, or `.pg_service.conf` in the home directory, comes first; if the service is not
  /// there, `pg_service.conf` in the system's directory.
  static func values(
    of service: String?, _ environment: [String: String]
  ) throws(PGError) -> [ConnectionKeyword: String] {
    guard let service else { return [:] }
    let named = environment["PGSERVICEFILE"]
    let own = named ?? environment["HOME"].map { $0 + "/.pg_service.conf" }
    let system = (environment["PGSYSCONFDIR"] ?? defaultSystemDirectory) + "/pg_service.conf"
    var looked: [String] = []
    for path in [own, system].compactMap({ $0 }) {
      looked.append(path)
      switch SmallFile.read(path, limit: ConnectionLimits.serviceFile) {
      case .missing where path == named:
        throw .connectionString("service file \(path) does not exist. Check PGSERVICEFILE")
      case .missing: continue
      case .refused(let reason):
        throw .connectionString("service file \(path) cannot be read: \(reason)")
      case .contents(let bytes):
        let values = try ServiceFile(bytes, path: path).values(of: service)
        if let values { return values }
      }
    }
    throw .connectionString(
      "service \"\(service)\" is defined neither in " + looked.joined(separator: " nor in ")
        + ". Add a section [\(service)]")
  }
}
