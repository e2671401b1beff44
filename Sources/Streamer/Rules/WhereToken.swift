/// A piece of a condition's text.
enum WhereToken: Hashable, Sendable {
  /// A word in lower case: a keyword, or a column's name.
  case word(String)
  /// A name in quotation marks.
  case name(String)
  /// A number as written.
  case number(String)
  /// A text in apostrophes.
  case text(String)
  /// `=`, `<>`, `::`, `(`.
  case symbol(String)
  case end

  /// How an error shows it.
  var shown: String {
    switch self {
    case .word(let text), .number(let text), .symbol(let text): "\"\(text)\""
    case .name(let text): "the name \"\(text)\""
    case .text: "a text"
    case .end: "its end"
    }
  }
}

/// Why a condition cannot be read, and where.
struct WhereError: Error, Hashable, Sendable {
  /// The character, from 1.
  let column: Int
  /// What was found there.
  let found: String
  /// What was expected.
  let expected: String
}

/// Cuts a condition's text into tokens as PostgreSQL does.
struct WhereLexer {
  private let text: [Unicode.Scalar]
  private var at = 0

  init(_ text: String) { self.text = Array(text.unicodeScalars) }

  /// All tokens with their places, the last one ``WhereToken/end``.
  static func tokens(_ text: String) throws(WhereError) -> [(token: WhereToken, column: Int)] {
    var lexer = WhereLexer(text)
    var tokens: [(token: WhereToken, column: Int)] = []
    while true {
      lexer.skipBlanks()
      let column = lexer.at + 1
      let token = try lexer.next()
      tokens.append((token, column))
      if token == .end { return tokens }
    }
  }

  private var peek: Unicode.Scalar? { at < text.count ? text[at] : nil }

  private func peek(_ ahead: Int) -> Unicode.Scalar? {
    at + ahead < text.count ? text[at + ahead] : nil
  }

  private mutating func skipBlanks() {
    while let scalar = peek, " \t\n\r\u{C}".unicodeScalars.contains(scalar) { at += 1 }
  }

  private mutating func next() throws(WhereError) -> WhereToken {
    guard let first = peek else { return .end }
    switch first {
    case "'": return .text(try quoted("'"))
    case "\"": return .name(try quoted("\""))
    case "0"..."9": return .number(try number())
    case ".":
      if let second = peek(1), ("0"..."9").contains(second) { return .number(try number()) }
    default: break
    }
    if isWordStart(first) {
      let start = at
      while let scalar = peek, isWordStart(scalar) || ("0"..."9").contains(scalar) || scalar == "$"
      {
        at += 1
      }
      // Only ASCII changes its case, as in a UTF-8 database.
      let word = text[start..<at].map { scalar in
        ("A"..."Z").contains(scalar) ? String(scalar).lowercased() : String(scalar)
      }.joined()
      if peek == "'", ["e", "b", "x", "n", "u"].contains(word) {
        throw WhereError(
          column: start + 1, found: "a text with a prefix", expected: "'…' without one")
      }
      return .word(word)
    }
    for symbol in ["<>", "!=", "<=", ">=", "::", "=", "<", ">", "(", ")", ",", "+", "-"] {
      let scalars = Array(symbol.unicodeScalars)
      if scalars.enumerated().allSatisfy({ peek($0.offset) == $0.element }) {
        at += scalars.count
        return .symbol(symbol)
      }
    }
    throw WhereError(
      column: at + 1, found: "\"\(first)\"", expected: "a column, a literal or an operator")
  }

  private func isWordStart(_ scalar: Unicode.Scalar) -> Bool {
    ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
      || scalar.value >= 0x80
  }

  private mutating func quoted(_ mark: Unicode.Scalar) throws(WhereError) -> String {
    let start = at
    at += 1
    var result = ""
    while let scalar = peek {
      at += 1
      if scalar == mark {
        guard peek == mark else { return result }
        at += 1
      }
      result.unicodeScalars.append(scalar)
    }
    throw WhereError(column: start + 1, found: "an opening \(mark)", expected: "a closing one")
  }

  private mutating func number() throws(WhereError) -> String {
    let start = at
    func isDigit(_ scalar: Unicode.Scalar?) -> Bool {
      scalar.map { ("0"..."9").contains($0) } ?? false
    }
    while isDigit(peek) { at += 1 }
    if peek == "." {
      at += 1
      while isDigit(peek) { at += 1 }
    }
    if peek == "e" || peek == "E" {
      let signed = peek(1) == "+" || peek(1) == "-"
      if isDigit(peek(signed ? 2 : 1)) {
        at += signed ? 2 : 1
        while isDigit(peek) { at += 1 }
      }
    }
    if let scalar = peek, isWordStart(scalar) || scalar == "." {
      throw WhereError(column: start + 1, found: "what is no number", expected: "digits")
    }
    return text[start..<at].map(String.init).joined()
  }
}
