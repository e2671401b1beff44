/// A place in a file; both count from 1, 0 is unknown.
struct TOMLPosition: Hashable, Comparable, Sendable {
  /// The line.
  var line: Int
  /// The column, in characters.
  var column: Int

  /// Orders as a reader meets them.
  static func < (a: TOMLPosition, b: TOMLPosition) -> Bool {
    (a.line, a.column) < (b.line, b.column)
  }
}

/// A value of a TOML document and where it stands.
struct TOMLValue: Hashable, Sendable {
  /// What TOML can say.
  enum Content: Hashable, Sendable {
    /// Text, not yet expanded.
    case string(String)
    /// A whole number.
    case integer(Int64)
    /// A number with a point, or inf, nan.
    case float(Double)
    /// true or false.
    case boolean(Bool)
    /// A date, a time or both: no key takes one.
    case time
    /// Values in order.
    case array([TOMLValue])
    /// Keys and values.
    case table(TOMLTable)
  }

  /// What it says.
  let content: Content
  /// Where it begins.
  let position: TOMLPosition

  /// What was found, for an error: a scalar as it would be written, on one line and not too long.
  var summary: String {
    switch content {
    case .string(let text): Self.quoted(text)
    case .integer(let number): "\(number)"
    case .float(let number): "\(number)"
    case .boolean(let flag): "\(flag)"
    case .time, .array, .table: kind
    }
  }

  /// What kind of value was found, for an error that must not show the value itself.
  var kind: String {
    switch content {
    case .string: "a string"
    case .integer: "an integer"
    case .float: "a float"
    case .boolean: "a boolean"
    case .time: "a date or time"
    case .array: "an array"
    case .table: "a table"
    }
  }

  /// A text in quotation marks as an error shows it: on one line, cut to 60 characters.
  static func quoted(_ text: String) -> String {
    let limit = 60
    let shown = text.count > limit ? String(text.prefix(limit)) + "…" : text
    return "\"\(shown.singleLine)\""
  }
}

/// A table of a TOML document, its members in the order of the file.
struct TOMLTable: Hashable, Sendable {
  /// A key and its value.
  struct Entry: Hashable, Sendable {
    /// The key as written.
    let key: String
    /// Where the key stands.
    let position: TOMLPosition
    /// What it is set to.
    let value: TOMLValue
  }

  /// The members.
  var entries: [Entry] = []
}
