/// What becomes of topics' names that a regular expression matches: `topicRegex`.
///
/// As Kafka Connect's RegexRouter has it: a name that matches as a whole is replaced, and `$1` stands
/// for what the first group has matched; another name stays.
struct TopicRegex: Hashable, Sendable {
  /// The regular expression.
  let pattern: String
  /// What stands for a name that matches.
  let replacement: String

  /// Keeps both; nil when the pattern is no regular expression or the replacement names a group that
  /// it has not.
  init?(pattern: String, replacement: String) {
    guard let regex = try? Regex(pattern) else { return nil }
    self.pattern = pattern
    self.replacement = replacement
    // The groups are counted in a match, and an alternative with nothing in it always matches.
    guard let groups = (try? Regex("(?:" + pattern + ")|").firstMatch(in: ""))?.output.count,
      Self.expand(replacement, { $0 < groups ? "" : nil }) != nil
    else { return nil }
    _ = regex
  }

  /// The name after it.
  func replace(_ name: String) -> String {
    guard let match = try? Regex(pattern).wholeMatch(in: name) else { return name }
    let output = match.output
    return Self.expand(replacement) { group in
      group < output.count ? output[group].substring.map(String.init) ?? "" : nil
    } ?? name
  }

  /// Puts the groups in: `$1`; `\\` has the next character stand for itself.
  private static func expand(_ text: String, _ group: (Int) -> String?) -> String? {
    var result = ""
    var rest = Substring(text)
    while let first = rest.popFirst() {
      switch first {
      case "\\":
        guard let next = rest.popFirst() else { return nil }
        result.append(next)
      case "$":
        guard let digit = rest.popFirst()?.wholeNumberValue, let value = group(digit) else {
          return nil
        }
        result += value
      default: result.append(first)
      }
    }
    return result
  }
}

extension ConfigurationReader {
  /// Reads `topicRegex`.
  mutating func topicRegex() -> TopicRegex? {
    guard var section = section("topicRegex", subject: "a rule for topics' names") else {
      return nil
    }
    let hadErrors = section.errors.count
    let pattern = section.requiredString("pattern", expected: "a regular expression")
    let replacement = section.requiredString(
      "replacement", expected: "a topic's name such as \"$1\"")
    var regex: TopicRegex?
    if section.errors.count == hadErrors {
      regex = TopicRegex(pattern: pattern, replacement: replacement)
      if regex == nil {
        let isRegex = (try? Regex(pattern)) != nil
        section.fail(
          isRegex ? "replacement" : "pattern",
          at: section.entry(isRegex ? "replacement" : "pattern")?.position,
          found: TOMLValue.quoted(isRegex ? replacement : pattern),
          expected: isRegex ? "groups that the pattern has, as $1 to $9" : "a regular expression")
      }
    }
    section.finish()
    absorb(section)
    return regex
  }
}
