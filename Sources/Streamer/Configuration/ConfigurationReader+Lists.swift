extension ConfigurationReader {
  /// Reads a list of texts; one string is split at its blanks, as the seed did.
  mutating func texts(_ key: String) -> [Text] {
    guard let entry = entry(key) else { return [] }
    switch entry.value.content {
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return [] }
      return text.value.split(whereSeparator: \.isWhitespace).map {
        let shown = text.isReference ? text.shown : TOMLValue.quoted(String($0))
        return Text(
          value: String($0), shown: shown, isReference: text.isReference, position: text.position)
      }
    case .array(let members):
      var texts: [Text] = []
      for member in members {
        if case .string(let raw) = member.content {
          if let text = expand(raw, of: key, at: member.position) { texts.append(text) }
        } else {
          fail(
            key, at: member.position, found: "\(member.kind) in the list", expected: "only strings")
        }
      }
      return texts
    default:
      fail(key, at: entry.position, found: entry.value.kind, expected: "a list of strings")
      return []
    }
  }

  /// Reads a list of texts that must not be empty, nor have empty members or one twice.
  mutating func requiredTexts(_ key: String, expected: String) -> [Text] {
    let hadErrors = errors.count
    let texts = texts(key)
    guard !texts.isEmpty else {
      if let entry = entry(key) {
        if errors.count == hadErrors {
          fail(key, at: entry.position, found: "an empty list", expected: expected)
        }
      } else {
        missing(key, expected: expected)
      }
      return []
    }
    var seen: Set<String> = []
    for text in texts {
      if text.value.isEmpty {
        fail(key, at: text.position, found: "an empty string in the list", expected: expected)
      } else if !seen.insert(text.value).inserted {
        fail(key, at: text.position, found: "\(text.shown) twice", expected: "each one once")
      }
    }
    return texts
  }

  /// Makes a reader of the table that `key` is set to; `nil` when it is not set or no table.
  mutating func section(_ key: String, subject: String) -> ConfigurationReader? {
    guard let entry = entry(key) else { return nil }
    return section(entry, subject: subject)
  }

  /// Makes a reader of a member of this table; `nil` when it is no table.
  mutating func section(_ entry: TOMLTable.Entry, subject: String) -> ConfigurationReader? {
    guard case .table(let table) = entry.value.content else {
      fail(entry.key, at: entry.position, found: entry.value.kind, expected: "a table")
      return nil
    }
    // A header's own line is better than that of the first key that mentions the table.
    let place = entry.value.position.line > 0 ? entry.value.position : entry.position
    return ConfigurationReader(
      path: path(of: entry.key), subject: subject, table: table, position: place, context: context)
  }

  /// Reads `hosts`, each "host:port".
  mutating func hosts() -> [String] {
    let expected = "a list of brokers such as [\"kafka1:9092\"]"
    let texts = requiredTexts("hosts", expected: expected)
    for text in texts where !text.value.isEmpty && !Self.isHostAndPort(text.value) {
      fail("hosts", at: text.position, found: text.shown, expected: "\"host:port\"")
    }
    return texts.map(\.value)
  }

  /// Whether a text is a host name or address and a port; the port may be left out (9092).
  static func isHostAndPort(_ text: String) -> Bool {
    guard !text.contains("//"), !text.contains(where: { $0.isWhitespace || $0 == "," }) else {
      return false
    }
    guard let address = HTTPAddress(text) else {
      return !text.contains(":") || (text.hasPrefix("[") && text.hasSuffix("]"))
    }
    return !address.host.isEmpty && address.port > 0
  }
}
