import PGWire

/// A connection string that was read, and may hold a password: whatever prints it prints stars.
///
/// A reference inside it is one value, put in after the string is parsed: nothing in a secret can
/// end its value or set another keyword.
struct DSN: Hashable, Sendable {
  /// What it says, for whoever connects and nobody else.
  let string: ConnectionString

  /// Reads a connection string; throws `PGError.connectionString`.
  init(_ text: String) throws(PGError) { string = try ConnectionString(text) }

  /// Takes what was read.
  init(_ string: ConnectionString) { self.string = string }

  /// Everything needed to connect, with this process' environment.
  func parameters() throws(PGError) -> ConnectionParameters {
    try ConnectionParameters(string, environment: ConnectionParameters.processEnvironment())
  }
}

extension DSN: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Stars.
  var description: String { "***" }
  /// Stars.
  var debugDescription: String { "***" }
  /// Nothing, so that `dump` shows nothing either.
  var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret {
  /// Reads a connection string of the command line; throws an error of use that shows none of it.
  func dsn(for command: String) throws(StreamerError) -> DSN {
    do throws(PGError) {
      let dsn = try DSN(revealed)
      _ = try dsn.parameters()
      return dsn
    } catch {
      throw StreamerError(what: command, why: "\(error)", exit: .usage)
    }
  }
}

extension ConfigurationReader {
  /// Reads a connection string, and finds its mistakes; an empty one when there are any.
  mutating func dsn(_ key: String = "dsn") -> DSN {
    let expected = "a connection string"
    let hint = "Such as \"host=db1 dbname=shop user=streamer\" or \"postgres://streamer@db1/shop\"."
    let nothing = DSN(ConnectionString())
    guard let entry = entry(key) else {
      missing(key, expected: expected, hint: hint)
      return nothing
    }
    guard case .string(let raw) = entry.value.content else {
      fail(key, at: entry.position, found: entry.value.kind, expected: expected)
      return nothing
    }
    let pieces: [SecretExpansion.Piece]
    do throws(SecretExpansion.Failure) { pieces = try context.secrets.pieces(of: raw) } catch {
      fail(
        key, at: entry.position, found: error.found, expected: error.expected, hint: error.hint)
      return nothing
    }
    if pieces.allSatisfy(\.isEmpty) {
      fail(key, at: entry.position, found: TOMLValue.quoted(raw), expected: expected, hint: hint)
      return nothing
    }
    do throws(PGError) {
      let dsn = DSN(try Self.string(pieces, \.inserted))
      if context.connects || !pieces.contains(where: \.isReference) { try check(dsn) }
      return dsn
    } catch {
      guard context.connects || !pieces.contains(where: \.isReference) else { return nothing }
      let error = shown(error, pieces)
      fail(
        key, at: entry.position, found: "a connection string with a mistake",
        expected: "one as libpq reads it", hint: error)
      return nothing
    }
  }

  /// Parses; one reference alone stands for the whole string.
  private static func string(
    _ pieces: [SecretExpansion.Piece],
    _ inserted: (SecretExpansion.Piece) -> ConnectionString.Piece
  ) throws(PGError) -> ConnectionString {
    let all = pieces.filter { !$0.isEmpty }
    if all.count == 1, case .reference(_, let value) = all[0] {
      return try ConnectionString(value)
    }
    return try ConnectionString(all.map(inserted))
  }

  private func check(_ dsn: DSN) throws(PGError) {
    _ = try ConnectionParameters(dsn.string, environment: context.connectionEnvironment)
  }

  /// What is wrong, in words that show nothing that a reference stands for.
  private func shown(_ error: PGError, _ pieces: [SecretExpansion.Piece]) -> String {
    let references = pieces.filter(\.isReference)
    if references.isEmpty { return Self.sentence(error) }
    do throws(PGError) {
      // The same with the references as they are written: most mistakes are still there.
      if references.count < pieces.count(where: { !$0.isEmpty }) {
        try check(DSN(try Self.string(pieces, \.asWritten)))
      }
      return "What its references stand for is wrong there, and is not shown."
    } catch { return Self.sentence(error) }
  }

  private static func sentence(_ error: PGError) -> String {
    guard case .connectionString(let what) = error else { return "\(error)." }
    var hint = what.prefix(1).uppercased() + what.dropFirst() + "."
    let words = what.split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
    if words.count == 3, words[0] == "keyword ",
      let near = NearestName.of(
        String(words[1]), among: ConnectionKeyword.allCases.map(\.rawValue))
    {
      hint = "Keyword \"\(words[1])\" is unknown. Did you mean \"\(near)\"?"
    }
    return hint
  }
}

extension SecretExpansion.Piece {
  /// Whether it is blank and nobody's.
  fileprivate var isEmpty: Bool {
    if case .text(let text) = self { text.allSatisfy(\.isWhitespace) } else { false }
  }

  fileprivate var isReference: Bool { if case .reference = self { true } else { false } }

  /// With what a reference stands for.
  fileprivate var inserted: ConnectionString.Piece {
    switch self {
    case .text(let text): .text(text)
    case .reference(_, let value): .value(value)
    }
  }

  /// With the reference itself.
  fileprivate var asWritten: ConnectionString.Piece {
    switch self {
    case .text(let text): .text(text)
    case .reference(let shown, _): .value(shown)
    }
  }
}

extension ConfigurationReader.Context {
  /// The variables that a connection looks at.
  var connectionEnvironment: [String: String] {
    let more = [
      "HOME", "PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO",
    ]
    var values: [String: String] = [:]
    // References stand for themselves there, and so would variables.
    guard connects else { return values }
    for name in ConnectionKeyword.allCases.compactMap(\.environmentVariable) + more {
      values[name] = secrets.environment(name)
    }
    return values
  }
}
