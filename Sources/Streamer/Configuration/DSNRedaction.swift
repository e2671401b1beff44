/// Takes the passwords out of a connection string.
///
/// It reads less exactly than a connection does and hides rather too much than too little.
enum DSNRedaction {
  private static let stars = "***"
  /// What may be shown.
  ///
  /// Every other value is hidden, so that a misspelt "pasword" is too.
  private static let harmlessNames: Set<String> = [
    "host", "hostaddr", "port", "dbname", "user", "application_name", "connect_timeout", "service",
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation", "channel_binding",
    "target_session_attrs", "load_balance_hosts", "require_auth", "passfile", "gssencmode",
  ]

  /// The connection string with stars in the place of its passwords.
  static func redact(_ dsn: String) -> String {
    for scheme in ["postgres://", "postgresql://"] where dsn.lowercased().hasPrefix(scheme) {
      return redactURI(String(dsn.dropFirst(scheme.count)), scheme: scheme)
    }
    return redactKeywords(dsn)
  }

  private static func redactURI(_ text: String, scheme: String) -> String {
    // A password may hold unescaped "/" or "?" by mistake: the last "@" ends it, wherever it is.
    var rest = Substring(text)
    var user = ""
    if let at = rest.lastIndex(of: "@") {
      let credentials = rest[..<at]
      let name = credentials.prefix { $0 != ":" }
      if name.contains("?") {
        // The "@" stands in a parameter: what comes before it may be any of them.
        user = "\(stars)@"
      } else {
        user = name.count < credentials.count ? "\(name):\(stars)@" : "\(name)@"
      }
      rest = rest[rest.index(after: at)...]
    }
    let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return scheme + user + rest }
    let parameters = parts[1].split(separator: "&", omittingEmptySubsequences: false).map { pair in
      let name = pair.prefix { $0 != "=" }
      return harmlessNames.contains(name.lowercased()) ? String(pair) : "\(name)=\(stars)"
    }
    return scheme + user + parts[0] + "?" + parameters.joined(separator: "&")
  }

  private static func redactKeywords(_ text: String) -> String {
    var pairs: [String] = []
    var rest = Substring(text)
    while true {
      rest = rest.drop(while: \.isWhitespace)
      guard !rest.isEmpty else { break }
      guard let equals = rest.firstIndex(of: "=") else {
        // What is no pair may be a piece of a password with a blank in it.
        pairs.append(stars)
        break
      }
      let name = trimmed(rest[..<equals])
      rest = rest[rest.index(after: equals)...].drop(while: \.isWhitespace)
      let value = takeValue(from: &rest)
      let isKnownName = name.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "_") }
      if !isKnownName {
        pairs.append(stars)
      } else {
        pairs.append("\(name)=\(harmlessNames.contains(name.lowercased()) ? value : stars)")
      }
    }
    return pairs.joined(separator: " ")
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.last?.isWhitespace == true { text = text.dropLast() }
    return String(text)
  }

  /// Takes a value as written: up to a blank, or up to the closing quote; `\` escapes.
  private static func takeValue(from rest: inout Substring) -> String {
    let isQuoted = rest.first == "'"
    var value = ""
    if isQuoted { value.append(rest.removeFirst()) }
    while let next = rest.first {
      if !isQuoted, next.isWhitespace { break }
      value.append(rest.removeFirst())
      if next == "\\", let escaped = rest.first {
        value.append(escaped)
        rest.removeFirst()
      } else if isQuoted, next == "'" {
        break
      }
    }
    return value
  }
}
