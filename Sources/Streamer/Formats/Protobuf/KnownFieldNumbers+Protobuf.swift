/// Reads the numbers of a message's fields in a schema's text, whoever wrote it.
extension KnownFieldNumbers {
  /// Nil where the text has no such message; `name` is its full name, with those that it is nested in.
  init?(in text: String, of name: String) {
    var reader = Reader(Self.tokens(text))
    reader.read()
    guard let known = reader.messages[name] else { return nil }
    self = known
  }

  /// Names, numbers, strings and signs, without comments.
  private static func tokens(_ text: String) -> [String] {
    var tokens: [String] = []
    var rest = Array(text.unicodeScalars)[...]
    while let first = rest.first {
      rest = rest.dropFirst()
      switch first {
      case "/" where rest.first == "/": rest = rest.drop { $0 != "\n" }
      case "/" where rest.first == "*":
        while rest.count > 1, rest.first != "*" || rest.dropFirst().first != "/" {
          rest = rest.dropFirst()
        }
        rest = rest.dropFirst(2)
      case "\"", "'":
        while let next = rest.first, next != first { rest = rest.dropFirst(next == "\\" ? 2 : 1) }
        rest = rest.dropFirst()
        tokens.append("\"")
      case _ where isPart(first):
        let more = rest.prefix { isPart($0) }
        rest = rest.dropFirst(more.count)
        tokens.append(String(String.UnicodeScalarView([first] + more)))
      case _ where first.properties.isWhitespace: break
      default: tokens.append(String(first))
      }
    }
    return tokens
  }

  private static func isPart(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "_" || scalar == "." || (scalar.isASCII && scalar.properties.isAlphabetic)
      || ("0"..."9").contains(scalar)
  }

  /// Walks through the messages of a file.
  private struct Reader {
    private let tokens: [String]
    private(set) var messages: [String: KnownFieldNumbers] = [:]

    init(_ tokens: [String]) { self.tokens = tokens }

    mutating func read() {
      /// What is open: a message by its full name, a oneof like what is around it, or nil.
      var open: [String?] = []
      var package = ""
      var statement: [String] = []
      for token in tokens {
        switch token {
        case "{":
          // In brackets or behind "=" stands the value of an option.
          if statement.contains("=") || statement.contains("[") {
            open.append(nil)
          } else if statement.count == 2, statement[0] == "message" {
            let around = open.last.flatMap(\.self) ?? package
            let name = around.isEmpty ? statement[1] : "\(around).\(statement[1])"
            messages[name] = messages[name] ?? KnownFieldNumbers()
            open.append(name)
            statement = []
          } else {
            open.append(statement.first == "oneof" ? open.last ?? nil : nil)
            statement = []
          }
        case "}":
          _ = open.popLast()
        case ";" where open.last == .some(nil): statement = []
        case ";":
          if open.isEmpty, statement.count == 2, statement[0] == "package" {
            package = statement[1]
          } else if let name = open.last.flatMap(\.self) {
            messages[name]?.take(statement)
          }
          statement = []
        default: statement.append(token)
        }
      }
    }
  }

  /// A number that a field may have.
  private static func number(_ text: String) -> Int32? {
    Int32(text).flatMap { (1...536_870_911).contains($0) ? $0 : nil }
  }

  /// Takes a statement of its message: a field, or numbers that are reserved.
  private mutating func take(_ statement: [String]) {
    if statement.first == "reserved" {
      var index = 1
      while index < statement.count {
        if let number = Self.number(statement[index]) {
          if index + 2 < statement.count, statement[index + 1] == "to" {
            // Of a long range its end is enough: new numbers are behind it.
            let last = Self.number(statement[index + 2]) ?? number
            reserved += last - number < 1_000 ? Array(number...max(number, last)) : [number, last]
            index += 2
          } else {
            reserved.append(number)
          }
        }
        index += 1
      }
      return
    }
    guard let sign = statement.firstIndex(of: "="), sign >= 2, sign + 1 < statement.count,
      statement[0] != "option", let number = Self.number(statement[sign + 1])
    else { return }
    numbers[statement[sign - 1]] = number
  }
}
