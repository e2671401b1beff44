/// Reads the numbers of a message's fields in a schema's text, whoever wrote it.
extension KnownFieldNumbers {
  /// Nil where the text has no such message; `name` is its full name, with those that it is nested in.
  init?(in text: String, of name: String) {
    let messages = ProtobufText.messages(in: text).filter { $0.name == name }
    guard !messages.isEmpty else { return nil }
    self.init()
    for statement in messages.flatMap(\.statements) { take(statement) }
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
