/// What somebody writes as a condition, before it goes into the program's own SQL.
///
/// The server judges it. What is kept out is what would not be a part of our statement: its end, and
/// another one behind it.
enum SQLCondition {
  /// Why a text cannot be one expression; nil when it may be.
  static func fault(in text: String) -> String? {
    var rest = text.utf8[...]
    var depth = 0
    var isEmpty = true
    func begins(_ prefix: String) -> Bool { rest.starts(with: prefix.utf8) }
    while let byte = rest.first {
      if begins("--") || begins("/*") { return "has a comment" }
      switch byte {
      case 0: return "has a zero byte"
      case UInt8(ascii: ";"): return "has a semicolon outside of quotes"
      case UInt8(ascii: "("): depth += 1
      case UInt8(ascii: ")"): depth -= 1
      case UInt8(ascii: "'"), UInt8(ascii: "\""):
        // Where a backslash stands for something depends on settings.
        guard let end = rest.dropFirst().firstIndex(of: byte) else { return "has an open quote" }
        if rest[..<end].last == UInt8(ascii: "\\") { return "has a backslash before a quote" }
        rest = rest[end...]
      case UInt8(ascii: "$"):
        // A dollar within a name, or a quote as $tag$…$tag$.
        return "has a dollar sign outside of quotes"
      default: break
      }
      if depth < 0 { return "closes a parenthesis that it has not opened" }
      if byte > UInt8(ascii: " ") { isEmpty = false }
      rest = rest.dropFirst()
    }
    if depth > 0 { return "leaves a parenthesis open" }
    return isEmpty ? "is empty" : nil
  }
}
