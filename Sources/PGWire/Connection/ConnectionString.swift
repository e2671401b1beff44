/// A connection string as libpq reads it: a URI or keywords and values (manual: "Connection
/// Strings").
///
/// Only the syntax and the keywords are checked here; what values mean is
/// ``ConnectionParameters``' business.
public struct ConnectionString: Hashable, Sendable {
  /// What the string says, the last word winning.
  public internal(set) var values: [ConnectionKeyword: String] = [:]

  /// A piece of a connection string that was put together.
  public enum Piece: Hashable, Sendable {
    /// It is read as it stands.
    case text(String)
    /// It is, or is part of, one value, whatever characters it holds.
    case value(String)
  }

  /// In the text that is parsed, a byte that no UTF-8 has, and then a value's number.
  static let marker: UInt8 = 0xFF
  /// How many values can be put in: their numbers are one byte.
  private static let mostInserted = 0x7E
  /// The values that markers stand for, while the text is parsed.
  private var inserted: [String] = []

  /// One that says nothing.
  public init() {}

  /// Reads a connection string; an empty one says nothing and is fine.
  ///
  /// Throws ``PGError/connectionString(_:)``.
  public init(_ text: String) throws(PGError) { try self.init([.text(text)]) }

  /// Reads a connection string whose values partly come from elsewhere: they are put in after the
  /// text is parsed, so nothing in them can be taken for syntax or another keyword.
  ///
  /// Throws ``PGError/connectionString(_:)``.
  public init(_ pieces: [Piece]) throws(PGError) {
    var text: [UInt8] = []
    for piece in pieces {
      switch piece {
      case .text(let part): text += part.utf8
      case .value(let value):
        guard inserted.count < Self.mostInserted else {
          throw .connectionString("it has more than \(Self.mostInserted) references. Use fewer")
        }
        text += [Self.marker, 0x80 | UInt8(inserted.count)]
        inserted.append(value)
      }
    }
    guard !text.contains(0), !inserted.contains(where: { $0.utf8.contains(0) }) else {
      throw .connectionString("it holds a zero byte. Take it out")
    }
    if let prefix = ["postgresql://", "postgres://"].first(where: { text.starts(with: $0.utf8) }) {
      try parseURI(Array(text.dropFirst(prefix.utf8.count)))
    } else {
      try parseKeywordValue(text)
    }
    inserted = []
  }

  /// A value's text, with what markers in it stand for.
  func value(_ bytes: some Sequence<UInt8>) -> String {
    guard !inserted.isEmpty else { return String(decoding: Array(bytes), as: UTF8.self) }
    var text: [UInt8] = []
    var isMarked = false
    for byte in bytes {
      if isMarked {
        text += inserted[Int(byte & 0x7F)].utf8
        isMarked = false
      } else if byte == Self.marker {
        isMarked = true
      } else {
        text.append(byte)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Refuses a keyword that comes from elsewhere.
  func checkName(_ name: some Sequence<UInt8>) throws(PGError) {
    guard name.contains(Self.marker) else { return }
    throw .connectionString(
      "a reference stands where a keyword belongs. It stands for one value: write keyword=${…}, or "
        + "let one reference stand for the whole string")
  }

  mutating func set(_ name: String, to value: String) throws(PGError) {
    guard let keyword = ConnectionKeyword(rawValue: name) else {
      throw .connectionString(
        "keyword \"\(name)\" is unknown. See \"Parameter Key Words\" in PostgreSQL's manual")
    }
    values[keyword] = value
  }

  /// `keyword = value` pairs between white space; quotes and backslashes as libpq takes them.
  private mutating func parseKeywordValue(_ text: [UInt8]) throws(PGError) {
    var at = 0
    while true {
      at = Self.skipSpace(text, at)
      guard at < text.count else { return }
      let start = at
      while at < text.count, text[at] != UInt8(ascii: "="), !Self.isSpace(text[at]) { at += 1 }
      try checkName(text[start..<at])
      let name = String(decoding: text[start..<at], as: UTF8.self)
      at = Self.skipSpace(text, at)
      guard at < text.count, text[at] == UInt8(ascii: "=") else {
        // What stands here may be the tail of a password with a space in it, so it is not shown.
        let known = ConnectionKeyword(rawValue: name) != nil
        throw .connectionString(
          "\"=\" is missing after \(known ? "\"\(name)\"" : "a word"). "
            + "Put values with spaces between single quotes")
      }
      at = Self.skipSpace(text, at + 1)
      let value = try takeValue(text, &at, of: name)
      try set(name, to: value)
    }
  }

  private func takeValue(
    _ text: [UInt8], _ at: inout Int, of name: String
  ) throws(PGError) -> String {
    var value: [UInt8] = []
    let isQuoted = at < text.count && text[at] == UInt8(ascii: "'")
    if isQuoted { at += 1 }
    while at < text.count {
      let byte = text[at]
      if isQuoted ? byte == UInt8(ascii: "'") : Self.isSpace(byte) { break }
      at += 1
      if byte != UInt8(ascii: "\\") {
        value.append(byte)
      } else if at < text.count {
        value.append(text[at])
        at += 1
      }
    }
    if isQuoted {
      guard at < text.count else {
        throw .connectionString("the quoted value of \"\(name)\" does not end. Add a \"'\"")
      }
      at += 1
    }
    return self.value(value)
  }

  private static func skipSpace(_ text: [UInt8], _ start: Int) -> Int {
    var at = start
    while at < text.count, isSpace(text[at]) { at += 1 }
    return at
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || (0x09...0x0D).contains(byte)
  }
}

extension ConnectionString: CustomStringConvertible {
  /// Keywords and values, with `***` for what is secret, and for what may be pieces of a password.
  public var description: String {
    let isTorn = values[.port].map { !Self.isShownPort($0) } ?? false
    var pairs: [String] = []
    for keyword in ConnectionKeyword.allCases {
      guard let value = values[keyword] else { continue }
      let isHidden = keyword.isSecret || isTorn && Self.passwordPieces.contains(keyword)
      pairs.append("\(keyword.rawValue)=\(isHidden ? "***" : Self.quoted(value))")
    }
    return pairs.joined(separator: " ")
  }

  /// Where libpq's rules put a URI's password that holds an unescaped "/", as in `u:pass/word@h/d`.
  private static let passwordPieces: [ConnectionKeyword] = [.host, .port, .dbname]

  /// Whether a list of ports may be shown: one with anything but digits may be a password's head.
  static func isShownPort(_ ports: String) -> Bool {
    ports.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2C || isSpace($0) }
  }

  private static func quoted(_ value: String) -> String {
    let isPlain =
      !value.isEmpty && value.utf8.allSatisfy { !isSpace($0) && $0 != 0x27 && $0 != 0x5C }
    if isPlain { return value }
    var text = "'"
    for character in value.unicodeScalars {
      if character == "'" || character == "\\" { text.append("\\") }
      text.unicodeScalars.append(character)
    }
    return text + "'"
  }
}
