/// The messages of a Protobuf schema's text, whoever wrote it.
enum ProtobufText {
  /// A message.
  struct Message {
    /// Its full name, with the package and those that it is nested in.
    let name: String
    /// Whether it is nested in no other one.
    let isTop: Bool
    /// What it says of its fields, in words and signs.
    var statements: [[String]] = []
  }

  /// The messages in the order in which they begin.
  static func messages(in text: String) -> [Message] {
    var messages: [Message] = []
    /// What is open: a message by its place, a oneof like what is around it, or nil.
    var open: [Int?] = []
    var package = ""
    var statement: [String] = []
    for token in tokens(text) {
      switch token {
      case "{":
        // In brackets or behind "=" stands the value of an option.
        if statement.contains("=") || statement.contains("[") {
          open.append(nil)
        } else if statement.count == 2, statement[0] == "message" {
          let around = open.last.flatMap(\.self).map { messages[$0].name } ?? package
          open.append(messages.count)
          messages.append(
            Message(
              name: around.isEmpty ? statement[1] : "\(around).\(statement[1])",
              isTop: open.count == 1))
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
        } else if let place = open.last.flatMap(\.self) {
          messages[place].statements.append(statement)
        }
        statement = []
      default: statement.append(token)
      }
    }
    return messages
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
}
