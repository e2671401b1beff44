extension ConfigurationReader {
  /// Expands a string of this table, or records why it cannot be.
  mutating func expand(_ text: String, of key: String, at place: TOMLPosition) -> Text? {
    do throws(SecretExpansion.Failure) {
      let (value, isReference) = try context.secrets.expand(text)
      return Text(
        value: value, shown: TOMLValue.quoted(text), isReference: isReference, position: place)
    } catch {
      fail(key, at: place, found: error.found, expected: error.expected, hint: error.hint)
      return nil
    }
  }

  /// Reads a text; `nil` when it is not set or wrong.
  mutating func text(_ key: String, expected: String = "a string") -> Text? {
    guard let entry = entry(key) else { return nil }
    guard case .string(let text) = entry.value.content else {
      fail(key, at: entry.position, found: entry.value.kind, expected: expected)
      return nil
    }
    return expand(text, of: key, at: entry.position)
  }

  /// Reads a text that must be set and not be empty; the empty string when it is wrong.
  mutating func requiredString(_ key: String, expected: String, hint: String = "") -> String {
    guard has(key) else {
      missing(key, expected: expected, hint: hint)
      return ""
    }
    guard let text = text(key, expected: expected) else { return "" }
    if text.value.isEmpty {
      fail(key, at: text.position, found: text.shown, expected: expected, hint: hint)
    }
    return text.value
  }

  /// Reads true or false, also as a string that a reference gave.
  mutating func boolean(_ key: String, default fallback: Bool) -> Bool {
    guard let entry = entry(key) else { return fallback }
    switch entry.value.content {
    case .boolean(let flag): return flag
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return fallback }
      if let flag = Bool(text.value) { return flag }
    default: break
    }
    fail(key, at: entry.position, found: entry.value.summary, expected: "true or false")
    return fallback
  }

  /// Reads a whole number within `range`, also as a string that a reference gave.
  mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
    guard let entry = entry(key) else { return fallback }
    var number: Int?
    switch entry.value.content {
    case .integer(let value): number = Int(value)
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return fallback }
      number = Int(text.value)
    default: break
    }
    if let number, range.contains(number) { return number }
    let expected =
      number == nil
      ? "an integer"
      : range.upperBound == .max
        ? "an integer of at least \(range.lowerBound)"
        : "an integer from \(range.lowerBound) to \(range.upperBound)"
    fail(key, at: entry.position, found: entry.value.summary, expected: expected)
    return fallback
  }

  /// Reads a duration: "10s", or an integer in nanoseconds, as the seed read it.
  ///
  /// An integer of less than a millisecond is an error: somebody meant seconds.
  mutating func duration(
    _ key: String, default fallback: Duration, zero isZeroAllowed: Bool = false
  ) -> Duration {
    guard let entry = entry(key) else { return fallback }
    let expected = "a duration such as \"\(isZeroAllowed ? "10s\" or 0" : "100ms\"")"
    var hint = ""
    var duration: Duration?
    switch entry.value.content {
    case .integer(let count) where count == 0 || count >= 1_000_000:
      duration = .nanoseconds(count)
      if count != 0 { note(key, "an integer counts nanoseconds, as it always did") }
    case .integer: hint = "An integer counts nanoseconds; write the unit."
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return fallback }
      duration = DurationText.parse(text.value)
      if duration == nil { hint = "Units are ms, s, m and h." }
    default: break
    }
    if let duration, duration > .zero || (isZeroAllowed && duration == .zero) { return duration }
    fail(key, at: entry.position, found: entry.value.summary, expected: expected, hint: hint)
    return fallback
  }

  /// Reads an amount of bytes: an integer or "64MiB".
  mutating func size(
    _ key: String, default fallback: ByteSize, from smallest: ByteSize = ByteSize(0)
  ) -> ByteSize {
    guard let entry = entry(key) else { return fallback }
    var size: ByteSize?
    switch entry.value.content {
    case .integer(let count): size = ByteSize(Int(count))
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return fallback }
      size = ByteSize(text.value)
    default: break
    }
    if let size, size >= smallest { return size }
    let least = smallest.bytes > 0 ? " of at least \(smallest)" : ""
    fail(
      key, at: entry.position, found: entry.value.summary,
      expected: "a size\(least), in bytes or such as \"64MiB\"")
    return fallback
  }

  /// Reads one of the names that `Choice` has.
  ///
  /// `later` are the names that a later version will have, `spellings` other ones of today's.
  mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, default fallback: Choice, later: [String] = [],
    spellings: [String: Choice] = [:]
  ) -> Choice {
    guard let entry = entry(key) else { return fallback }
    let names = Choice.allCases.map(\.rawValue)
    let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
    let expected = names.count == 1 ? list : "one of \(list)"
    guard case .string(let raw) = entry.value.content else {
      fail(key, at: entry.position, found: entry.value.summary, expected: expected)
      return fallback
    }
    guard let text = expand(raw, of: key, at: entry.position) else { return fallback }
    if let choice = Choice(rawValue: text.value) ?? spellings[text.value] { return choice }
    var hint = ""
    if later.contains(text.value) {
      hint = "\(text.shown) comes with a later version."
    } else if names.count > 1, let near = NearestName.of(text.value, among: names) {
      hint = "Did you mean \"\(near)\"?"
    }
    fail(key, at: entry.position, found: text.shown, expected: expected, hint: hint)
    return fallback
  }
}
