/// Writes HTML: markup stands in the program, and whatever comes from elsewhere is escaped.
struct HTMLText {
  /// The text written so far.
  private(set) var text = ""

  /// Writes an element with what `body` writes in it.
  ///
  /// Names are literals, so that none can come from a configuration or a server.
  mutating func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
    _ body: (inout HTMLText) -> Void
  ) {
    text += "<\(name)"
    for (attribute, value) in attributes { text += " \(attribute)=\"\(Self.escaped(value))\"" }
    text += ">"
    body(&self)
    text += "</\(name)>"
  }

  /// Writes an element with text in it.
  mutating func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
    text content: String
  ) {
    element(name, attributes) { $0.put(content) }
  }

  /// Writes text.
  mutating func put(_ content: String) { text += Self.escaped(content) }

  /// The text without what HTML would take for markup, in elements and in quoted attributes.
  ///
  /// What is hidden, or changes the order in which characters are shown, is escaped as in JSON.
  static func escaped(_ content: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in content.unicodeScalars {
      switch scalar {
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      case "'": result.append(contentsOf: "&#39;".unicodeScalars)
      case _ where scalar.isHidden: result.append(contentsOf: scalar.escape.unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}
