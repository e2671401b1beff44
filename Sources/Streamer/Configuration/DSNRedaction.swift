/// Takes the passwords out of a connection string.
///
/// It reads less exactly than a connection does and hides rather too much than too little. It goes by
/// Unicode scalars, as the connection goes by bytes: an "@" with a combining mark behind it is one
/// `Character`, and an "@" for the connection.
enum DSNRedaction {
  private typealias Piece = Substring.UnicodeScalarView

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
    let scalars = Substring(dsn).unicodeScalars
    for scheme in ["postgres://", "postgresql://"] {
      let length = scheme.unicodeScalars.count
      guard text(scalars.prefix(length)).lowercased() == scheme else { continue }
      return redactURI(scalars.dropFirst(length), scheme: scheme)
    }
    return redactKeywords(scalars)
  }

  private static func text(_ piece: Piece) -> String { String(Substring(piece)) }

  private static func redactURI(_ uri: Piece, scheme: String) -> String {
    // A password may hold unescaped "/" or "?" by mistake: the last "@" ends it, wherever it is.
    var rest = uri
    var user = ""
    if let at = rest.lastIndex(of: "@") {
      let credentials = rest[..<at]
      let name = credentials.prefix { $0 != ":" }
      if name.contains("?") {
        // The "@" stands in a parameter: what comes before it may be any of them.
        user = "\(stars)@"
      } else {
        user = name.count < credentials.count ? "\(text(name)):\(stars)@" : "\(text(name))@"
      }
      rest = rest[rest.index(after: at)...]
    }
    let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return scheme + user + text(rest) }
    let parameters = parts[1].split(separator: "&", omittingEmptySubsequences: false).map { pair in
      let name = text(pair.prefix { $0 != "=" })
      return harmlessNames.contains(name.lowercased()) ? text(pair) : "\(name)=\(stars)"
    }
    return scheme + user + text(parts[0]) + "?" + parameters.joined(separator: "&")
  }

  private static func redactKeywords(_ keywords: Piece) -> String {
    var pairs: [String] = []
    var rest = keywords
    while true {
      rest = rest.drop(while: \.properties.isWhitespace)
      guard !rest.isEmpty else { break }
      guard let equals = rest.firstIndex(of: "=") else {
        // What is no pair may be a piece of a password with a blank in it.
        pairs.append(stars)
        break
      }
      let name = trimmed(rest[..<equals])
      rest = rest[rest.index(after: equals)...].drop(while: \.properties.isWhitespace)
      let value = takeValue(from: &rest)
      let isKnownName = name.unicodeScalars.allSatisfy {
        $0.isASCII && $0.properties.isAlphabetic || $0 == "_"
      }
      if !isKnownName {
        pairs.append(stars)
      } else {
        pairs.append("\(name)=\(harmlessNames.contains(name.lowercased()) ? value : stars)")
      }
    }
    return pairs.joined(separator: " ")
  }

  private static func trimmed(_ piece: Piece) -> String {
    var piece = piece
    while piece.last?.properties.isWhitespace == true { piece = piece.dropLast() }
    return text(piece)
  }

  /// Takes a value as written: up to a blank, or up to the closing quote; `\` escapes.
  private static func takeValue(from rest: inout Piece) -> String {
    let isQuoted = rest.first == "'"
    var value = String.UnicodeScalarView()
    if isQuoted { value.append(rest.removeFirst()) }
    while let next = rest.first {
      if !isQuoted, next.properties.isWhitespace { break }
      value.append(rest.removeFirst())
      if next == "\\", let escaped = rest.first {
        value.append(escaped)
        rest.removeFirst()
      } else if isQuoted, next == "'" {
        break
      }
    }
    return String(value)
  }
}
