import PGWire

/// Names tables: "orders", "public.orders", "public.*", "audit_*", "\"a.b\".c".
///
/// A name without a schema stands for that table in every schema. `*` stands for any characters.
/// A part may be quoted as SQL quotes it, and must be where it has a point or a star of its own.
struct TablePattern: Hashable, Sendable {
  /// One part, a schema's or a table's.
  struct Part: Hashable, Sendable {
    /// The name, or its pattern.
    let text: String
    /// Whether its stars stand for any characters.
    let hasWildcards: Bool

    /// A part that is that name.
    init(name: String) {
      text = name
      hasWildcards = false
    }

    /// Reads a whole part, quoted or not; `nil` when it is empty or its quotes are not as SQL's.
    init?(_ source: Substring) {
      if source.utf8.first == Part.quote {
        guard let (name, rest) = Part.unquote(source), rest.isEmpty, !name.isEmpty else {
          return nil
        }
        text = name
        hasWildcards = false
      } else {
        guard !source.isEmpty else { return nil }
        text = String(source)
        hasWildcards = source.utf8.contains(UInt8(ascii: "*"))
      }
    }

    fileprivate static let quote = UInt8(ascii: "\"")

    /// The name in the quotes with which a text begins, and what follows them.
    fileprivate static func unquote(_ source: Substring) -> (name: String, rest: Substring)? {
      var name: [UInt8] = []
      let bytes = source.utf8
      var place = bytes.index(after: bytes.startIndex)
      while place < bytes.endIndex {
        let byte = bytes[place]
        place = bytes.index(after: place)
        if byte == quote {
          guard place < bytes.endIndex, bytes[place] == quote else {
            return (String(decoding: name, as: UTF8.self), source[place...])
          }
          place = bytes.index(after: place)
        }
        name.append(byte)
      }
      return nil
    }
  }

  /// The schema's pattern; `nil` stands for every schema.
  let schema: Part?
  /// The table's pattern.
  let table: Part
  /// A regular expression instead, which "schema.table" matches as a whole in any letter case.
  private(set) var regex: String?

  /// What an error asks for instead of what cannot be read.
  static let expected =
    "\"table\" or \"schema.table\", with * for any characters and parts quoted as in SQL, or "
    + "\"re:\" and a regular expression"

  /// Reads a pattern, or a regular expression behind "re:"; nil when it is neither.
  static func reading(_ text: String) -> TablePattern? {
    guard text.hasPrefix("re:") else { return TablePattern(text) }
    let source = String(text.dropFirst(3))
    guard !source.isEmpty, (try? Regex(source)) != nil else { return nil }
    var pattern = TablePattern(schema: nil, table: Part(name: text))
    pattern.regex = source
    return pattern
  }

  /// A pattern of these parts.
  init(schema: Part?, table: Part) {
    self.schema = schema
    self.table = table
  }

  /// Reads the parts one by one, as TOML's own quotes have parted them; `nil` like ``init(_:)``.
  init?(schema: String, table: String) {
    guard let schema = Part(schema[...]), let table = Part(table[...]) else { return nil }
    self.init(schema: schema, table: table)
  }

  /// Reads a pattern, parted at its first point outside of quotes; `nil` when a part is empty, or
  /// quoted in another way than SQL's.
  init?(_ text: String) {
    var first = text[...]
    var second: Substring?
    if text.utf8.first == Part.quote {
      guard let (_, rest) = Part.unquote(first) else { return nil }
      if !rest.isEmpty {
        guard rest.utf8.first == UInt8(ascii: ".") else { return nil }
        first = text[..<rest.startIndex]
        second = text[text.utf8.index(after: rest.startIndex)...]
      }
    } else if let point = text.utf8.firstIndex(of: UInt8(ascii: ".")) {
      first = text[..<point]
      second = text[text.utf8.index(after: point)...]
    }
    guard let part = Part(first) else { return nil }
    guard let second else {
      self.init(schema: nil, table: part)
      return
    }
    guard let table = Part(second) else { return nil }
    self.init(schema: part, table: table)
  }

  /// Whether it names one table and no more, of one schema or of each.
  var isExact: Bool { regex == nil && !table.hasWildcards && schema?.hasWildcards != true }

  /// Whether the pattern covers a table.
  func matches(schema: String, table: String) -> Bool {
    if regex != nil { return matchesRegex("\(schema).\(table)") }
    return Compiled(self).matches(schema: Array(schema.utf8), table: Array(table.utf8))
  }

  /// Whether a table's qualified name matches the regular expression; for once in each table's life.
  fileprivate func matchesRegex(_ name: String) -> Bool {
    guard let regex, let expression = try? Regex(regex).ignoresCase() else { return false }
    return (try? expression.wholeMatch(in: name)) != nil
  }

  /// How closely the pattern names what it covers: the more closely one wins over the other.
  ///
  /// An exact name with its schema, then an exact name, then patterns with a schema, then the rest.
  var precision: Int { (isExact ? 2 : 0) + (schema != nil ? 1 : 0) }
}

extension TablePattern {
  /// A pattern as bytes, for one that is asked about many tables.
  struct Compiled: Hashable, Sendable {
    private struct Part: Hashable {
      let bytes: [UInt8]
      let hasWildcards: Bool

      init(_ part: TablePattern.Part) {
        bytes = Array(part.text.utf8)
        hasWildcards = part.hasWildcards
      }

      func matches(_ name: [UInt8]) -> Bool {
        hasWildcards ? Compiled.matches(bytes, name) : bytes == name
      }
    }

    private let schema: Part?
    private let table: Part
    /// The pattern itself, where it is a regular expression.
    private let regex: TablePattern?

    /// Takes a pattern apart.
    init(_ pattern: TablePattern) {
      schema = pattern.schema.map(Part.init)
      table = Part(pattern.table)
      regex = pattern.regex == nil ? nil : pattern
    }

    /// Whether the pattern covers a table.
    func matches(schema: [UInt8], table: [UInt8]) -> Bool {
      if let regex {
        return regex.matchesRegex(
          String(decoding: schema, as: UTF8.self) + "." + String(decoding: table, as: UTF8.self))
      }
      return matchesParts(schema: schema, table: table)
    }

    private func matchesParts(schema: [UInt8], table: [UInt8]) -> Bool {
      self.table.matches(table) && self.schema?.matches(schema) != false
    }

    /// Matches greedily and steps back only to the last `*`: linear in practice, never exponential.
    private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
      let star = UInt8(ascii: "*")
      var p = 0
      var n = 0
      var retry: (p: Int, n: Int)?
      while n < name.count {
        if p < pattern.count, pattern[p] == star {
          retry = (p + 1, n)
          p += 1
        } else if p < pattern.count, pattern[p] == name[n] {
          p += 1
          n += 1
        } else if let (after, from) = retry {
          p = after
          n = from + 1
          retry = (after, from + 1)
        } else {
          return false
        }
      }
      return pattern[p...].allSatisfy { $0 == star }
    }
  }
}

extension TablePattern: CustomStringConvertible {
  /// The pattern as it may be written.
  var description: String {
    if let regex { return "re:\(regex)" }
    return schema.map { "\($0).\(table)" } ?? "\(table)"
  }
}

extension TablePattern.Part: CustomStringConvertible {
  /// The part as it may be written: in quotes where it would be read as something else.
  var description: String {
    let isSpecial = text.utf8.contains {
      $0 == UInt8(ascii: ".") || ($0 == UInt8(ascii: "*") && !hasWildcards)
    }
    let isPlain = text.utf8.first != Self.quote && !isSpecial
    return isPlain ? text : ReplicationCommand.identifier(text)
  }
}
