/// Reads the keys of one table and collects everything that is wrong with them.
///
/// Each `read` of a wrong or missing value gives the default and records an error, so that one run
/// finds all errors. The keys asked for are the keys known: ``finish(later:)`` makes an error of
/// every other one. Keys are found in any letter case, as the seed found them.
struct ConfigurationReader {
  /// What a reader needs to know of the outside.
  struct Context: Sendable {
    /// The file, as it was named on the command line.
    let file: String
    /// Environment and secret files.
    let secrets: SecretExpansion
    /// Whether somebody is going to connect: only then do connection strings have to be right.
    let connects: Bool
  }

  /// A text of the file, expanded.
  struct Text: Hashable, Sendable {
    /// What it says, after expansion.
    let value: String
    /// How an error shows it: as written, in quotation marks, so never what a reference stands for.
    let shown: String
    /// Whether a reference gave some of it.
    let isReference: Bool
    /// Where it stands.
    let position: TOMLPosition
  }

  /// The dotted path of the table; empty for the top of the file.
  let path: String
  /// What the table describes, with its article: "a Kafka sink".
  let subject: String
  /// The table.
  let table: TOMLTable
  /// Where the table begins.
  let position: TOMLPosition
  /// The outside.
  let context: Context

  /// What is wrong so far.
  var errors: [ConfigurationError] = []
  /// What is worth saying so far.
  var notes: [ConfigurationNote] = []
  /// The keys asked for, as they are spelled in the documentation.
  private(set) var keys: [String] = []
  /// The keys asked for in every table below, by what the table describes.
  private(set) var keysBySubject: [String: [String]] = [:]

  /// Makes a reader of a table.
  init(
    path: String, subject: String, table: TOMLTable, position: TOMLPosition, context: Context
  ) {
    self.path = path
    self.subject = subject
    self.table = table
    self.position = position
    self.context = context
  }

  /// The dotted path of a key; one that is no bare key stands in quotation marks, as in TOML.
  func path(of key: String) -> String {
    let isBare =
      !key.isEmpty
      && key.unicodeScalars.allSatisfy {
        $0.isASCII
          && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "-" || $0 == "_")
      }
    let name = isBare ? key : "\"\(key.singleLine)\""
    return path.isEmpty ? name : "\(path).\(name)"
  }

  /// Whether the file sets `key`; asking makes the key known.
  mutating func has(_ key: String) -> Bool { entry(key) != nil }

  /// The entry of `key`; asking makes the key known.
  mutating func entry(_ key: String) -> TOMLTable.Entry? {
    if !keys.contains(key) { keys.append(key) }
    let wanted = key.lowercased()
    return table.entries.first { $0.key.lowercased() == wanted }
  }

  /// Records an error at a place of this table.
  mutating func fail(
    _ key: String? = nil, at place: TOMLPosition? = nil, found: String, expected: String,
    hint: String = ""
  ) {
    errors.append(
      ConfigurationError(
        file: context.file, line: (place ?? position).line, path: key.map { path(of: $0) } ?? path,
        found: found, expected: expected, hint: hint))
  }

  /// Records a note on a key that the file sets.
  mutating func note(_ key: String, _ text: String) {
    guard let entry = entry(key) else { return }
    notes.append(
      ConfigurationNote(
        file: context.file, line: entry.position.line, path: path(of: key), text: text))
  }

  /// Records that a key that must be set is missing.
  mutating func missing(_ key: String, expected: String, hint: String = "") {
    fail(key, found: "nothing", expected: expected, hint: hint)
  }

  /// Takes over what the reader of a table below has found.
  mutating func absorb(_ below: consuming ConfigurationReader) {
    errors += below.errors
    notes += below.notes
    keysBySubject.merge(below.keysBySubject) { mine, theirs in
      mine + theirs.filter { !mine.contains($0) }
    }
    let mine = keysBySubject[below.subject] ?? []
    keysBySubject[below.subject] = mine + below.keys.filter { !mine.contains($0) }
  }

  /// Records an error for every key that nobody asked for and every one that stands twice.
  ///
  /// `later` are the keys that a later version of psql-streamer will have here.
  mutating func finish(later: [String] = []) {
    var seen: Set<String> = []
    for entry in table.entries {
      let folded = entry.key.lowercased()
      if !seen.insert(folded).inserted {
        fail(
          entry.key, at: entry.position, found: "the same key a second time",
          expected: "each key once", hint: "Keys are the same in any letter case.")
      } else if later.contains(where: { $0.lowercased() == folded }) {
        fail(
          entry.key, at: entry.position, found: "a key that comes with a later version",
          expected: "a key of \(subject)", hint: "Remove it.")
      } else if !keys.contains(where: { $0.lowercased() == folded }) {
        let near = NearestName.of(entry.key, among: keys)
        let list = keys.sorted().joined(separator: ", ")
        fail(
          entry.key, at: entry.position, found: ConfigurationError.unknownKey,
          expected: "a key of \(subject)",
          hint: near.map { "Did you mean \"\($0)\"?" } ?? "They are: \(list).")
      }
    }
  }
}
