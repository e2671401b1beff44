/// The lines of a TOML text, to be edited at the places that its parser names.
///
/// Columns count Unicode scalars, as the parser does. After an edit, places further down or further
/// to the right no longer hold: edit from the end.
struct TOMLLines {
  private struct Line {
    var scalars: [Unicode.Scalar]
    let origin: Int
  }

  private var lines: [Line]

  /// Splits a text at its line feeds.
  init(_ text: String) {
    var parts = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    if parts.last?.isEmpty == true { parts.removeLast() }
    lines = parts.enumerated().map { number, part in
      Line(scalars: Array(part.last == "\r" ? part.dropLast() : part), origin: number + 1)
    }
  }

  /// The lines, each with a line feed.
  var text: String {
    lines.map { line in
      var text = ""
      text.unicodeScalars.append(contentsOf: line.scalars)
      return text + "\n"
    }.joined()
  }

  /// Which line of the original text a line, counted from 1, comes from; 0 for none.
  func origin(of line: Int) -> Int {
    lines.indices.contains(line - 1) ? lines[line - 1].origin : 0
  }

  /// Writes `$${` for each `${`, so that it stands for itself.
  mutating func escapeReferences() {
    for index in lines.indices {
      var scalars: [Unicode.Scalar] = []
      for (place, scalar) in lines[index].scalars.enumerated() {
        if scalar == "{", place > 0, lines[index].scalars[place - 1] == "$" {
          scalars.insert("$", at: scalars.count - 1)
        }
        scalars.append(scalar)
      }
      lines[index].scalars = scalars
    }
  }

  /// Whether nothing but the key and its value, a scalar, stands on the line.
  func isAlone(_ entry: TOMLTable.Entry) -> Bool {
    guard let scalars = scalars(at: entry.position), let range = scalarRange(of: entry) else {
      return false
    }
    let before = scalars[..<(entry.position.column - 1)]
    let next = scalars[range.upperBound...].first { !$0.properties.isWhitespace }
    return before.allSatisfy(\.properties.isWhitespace) && (next == nil || next == "#")
  }

  /// Makes a comment of the line of a key.
  mutating func makeComment(of entry: TOMLTable.Entry) {
    guard let scalars = scalars(at: entry.position) else { return }
    let indent = scalars.prefix(while: \.properties.isWhitespace).count
    lines[entry.position.line - 1].scalars.insert(contentsOf: ["#", " "], at: indent)
  }

  /// Puts comments on lines of their own before a line, counted from 1, as far indented.
  mutating func insertComments(_ texts: [String], before line: Int) {
    guard lines.indices.contains(line - 1) else { return }
    let next = lines[line - 1]
    let indent = next.scalars.prefix(while: \.properties.isWhitespace)
    let comments = texts.map { text in
      Line(scalars: indent + Array("# \(text.singleLine)".unicodeScalars), origin: next.origin)
    }
    lines.insert(contentsOf: comments, at: line - 1)
  }

  /// Replaces the value of a key, if it is a scalar on the key's line.
  mutating func replaceValue(of entry: TOMLTable.Entry, with text: String) {
    guard let range = scalarRange(of: entry) else { return }
    lines[entry.position.line - 1].scalars.replaceSubrange(range, with: text.unicodeScalars)
  }

  /// Replaces a key's name.
  mutating func replaceKey(of entry: TOMLTable.Entry, with text: String) {
    guard let scalars = scalars(at: entry.position) else { return }
    let start = entry.position.column - 1
    let isQuoted = scalars[start] == "\"" || scalars[start] == "'"
    let end = start + entry.key.unicodeScalars.count + (isQuoted ? 2 : 0)
    guard end <= scalars.count else { return }
    lines[entry.position.line - 1].scalars.replaceSubrange(start..<end, with: text.unicodeScalars)
  }

  /// The line of a place; `nil` when there is no such place.
  private func scalars(at place: TOMLPosition) -> [Unicode.Scalar]? {
    guard lines.indices.contains(place.line - 1) else { return nil }
    let scalars = lines[place.line - 1].scalars
    return scalars.indices.contains(place.column - 1) ? scalars : nil
  }

  /// What a scalar takes of its key's line; `nil` for arrays, tables and what spans lines.
  private func scalarRange(of entry: TOMLTable.Entry) -> Range<Int>? {
    guard entry.value.position.line == entry.position.line,
      let scalars = scalars(at: entry.value.position)
    else { return nil }
    let start = entry.value.position.column - 1
    switch entry.value.content {
    case .array, .table, .time: return nil
    case .integer, .float, .boolean:
      let value = scalars[start...].prefix {
        !$0.properties.isWhitespace && !"#,}]".unicodeScalars.contains($0)
      }
      return value.indices
    case .string: return Self.stringRange(in: scalars, from: start)
    }
  }

  private static func stringRange(in scalars: [Unicode.Scalar], from start: Int) -> Range<Int>? {
    let quote = scalars[start]
    guard !scalars[start...].starts(with: [quote, quote, quote]) else { return nil }
    var end = start + 1
    while end < scalars.count, scalars[end] != quote {
      end += scalars[end] == "\\" && quote == "\"" ? 2 : 1
    }
    return end < scalars.count ? start..<(end + 1) : nil
  }
}
