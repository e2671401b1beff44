/// A value of a container, as the cursors give it, in the simplest form to compare.
indirect enum Model: Hashable {
  case null
  case text(String)
  case list([Model])
}

/// A slow reader of PostgreSQL's container texts, written after the manual and without a look at
/// the cursors: it works on characters, copies what it likes, and answers nil for malformed text.
struct TextModel {
  var rest: Substring

  init(_ text: String) { rest = text[...] }

  mutating func take(_ prefix: String) -> Bool {
    guard rest.hasPrefix(prefix) else { return false }
    rest = rest.dropFirst(prefix.count)
    return true
  }

  /// The text after an opening quote, unescaped.
  mutating func quoted(doubled: Bool) -> String? {
    var text = ""
    while let character = rest.popFirst() {
      switch character {
      case "\\":
        guard let next = rest.popFirst() else { return nil }
        text.append(next)
      case "\"":
        guard doubled, take("\"") else { return text }
        text.append("\"")
      default: text.append(character)
      }
    }
    return nil
  }

  mutating func bare(until stops: [Character]) -> String? {
    let text = rest.prefix { !stops.contains($0) && $0 != "\"" && $0 != "\\" }
    rest = rest.dropFirst(text.count)
    guard let next = rest.first, stops.contains(next) else { return nil }
    return String(text)
  }

  static func array(_ text: String, delimiter: Character) -> Model? {
    var model = TextModel(text)
    if text.hasPrefix("[") {
      guard
        let bounds = text.prefixMatch(of: #/(\[-?[0-9]+:-?[0-9]+\])+=/#)
      else { return nil }
      model.rest = text[bounds.range.upperBound...]
    }
    guard let value = model.dimension(delimiter, depth: 1), model.rest.isEmpty else { return nil }
    return value
  }

  private mutating func dimension(_ delimiter: Character, depth: Int) -> Model? {
    guard take("{"), depth <= 6 else { return nil }
    if take("}") { return .list([]) }
    var items: [Model] = []
    repeat {
      if rest.first == "{" {
        guard let inner = dimension(delimiter, depth: depth + 1) else { return nil }
        items.append(inner)
      } else if take("\"") {
        guard let text = quoted(doubled: false) else { return nil }
        items.append(.text(text))
      } else {
        guard let text = bare(until: [delimiter, "}"]), !text.isEmpty else { return nil }
        items.append(text.lowercased() == "null" ? .null : .text(text))
      }
    } while take(String(delimiter))
    return take("}") ? .list(items) : nil
  }

  static func composite(_ text: String) -> Model? {
    var model = TextModel(text)
    guard model.take("(") else { return nil }
    var items: [Model] = []
    repeat {
      guard let item = model.field(until: [",", ")"]) else { return nil }
      items.append(item)
    } while model.take(",")
    return model.take(")") && model.rest.isEmpty ? .list(items) : nil
  }

  private mutating func field(until stops: [Character]) -> Model? {
    if take("\"") { return quoted(doubled: true).map { .text($0) } }
    return bare(until: stops).map { $0.isEmpty ? .null : .text($0) }
  }

  /// Lower bound, upper bound, the two signs.
  private mutating func range() -> Model? {
    guard let open = rest.popFirst(), open == "[" || open == "(",
      let lower = field(until: [","]), take(","), let upper = field(until: [")", "]"]),
      let close = rest.popFirst(), close == "]" || close == ")"
    else { return nil }
    return .list([lower, upper, .text("\(open)\(close)")])
  }

  static func range(_ text: String) -> Model? {
    if text == "empty" { return .list([]) }
    var model = TextModel(text)
    guard let range = model.range(), model.rest.isEmpty else { return nil }
    return range
  }

  static func multirange(_ text: String) -> Model? {
    if text == "{}" { return .list([]) }
    var model = TextModel(text)
    guard model.take("{") else { return nil }
    var items: [Model] = []
    repeat {
      guard let range = model.range() else { return nil }
      items.append(range)
    } while model.take(",")
    return model.take("}") && model.rest.isEmpty ? .list(items) : nil
  }

  static func hstore(_ text: String) -> Model? {
    if text.isEmpty { return .list([]) }
    var model = TextModel(text)
    var items: [Model] = []
    repeat {
      guard model.take("\""), let key = model.quoted(doubled: false), model.take("=>") else {
        return nil
      }
      if model.take("\"") {
        guard let value = model.quoted(doubled: false) else { return nil }
        items.append(.list([.text(key), .text(value)]))
      } else {
        guard model.rest.prefix(4).lowercased() == "null" else { return nil }
        model.rest = model.rest.dropFirst(4)
        items.append(.list([.text(key), .null]))
      }
    } while model.take(", ")
    return model.rest.isEmpty ? .list(items) : nil
  }
}
