/// Names in one text column: each one is ended by a line feed, and a name's own line feeds and
/// backslashes are escaped, so that every list has exactly one text.
enum NameList {
  /// The text of a list of names.
  static func text(_ names: [String]) -> String {
    var text = ""
    for name in names {
      for character in name.unicodeScalars {
        switch character {
        case "\\": text += "\\\\"
        case "\n": text += "\\n"
        default: text.unicodeScalars.append(character)
        }
      }
      text += "\n"
    }
    return text
  }

  /// The names in a text made by ``text(_:)``.
  static func names(_ text: String) -> [String] {
    var names: [String] = []
    var name = String.UnicodeScalarView()
    var isEscaped = false
    for character in text.unicodeScalars {
      if isEscaped {
        name.append(character == "n" ? "\n" : character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == "\n" {
        names.append(String(name))
        name = .init()
      } else {
        name.append(character)
      }
    }
    return names
  }
}
