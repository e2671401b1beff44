/// One thing that is wrong with a configuration file.
struct ConfigurationError: Hashable, Sendable {
  /// The file, as it was named on the command line.
  let file: String
  /// The line, from 1; 0 when the error is of the file as a whole.
  let line: Int
  /// The dotted path of the key; empty when there is none.
  let path: String
  /// What was found.
  let found: String
  /// What was expected.
  let expected: String
  /// The remedy, as whole sentences; may be empty.
  let hint: String

  /// What is found where a key stands that does not exist.
  static let unknownKey = "an unknown key"
}

extension ConfigurationError: CustomStringConvertible {
  /// One line: `config.toml:12: sink.k1.batchSize: found "x", expected an integer. HINT`.
  var description: String {
    let place = line > 0 ? "\(file):\(line)" : file
    let subject = path.isEmpty ? place : "\(place): \(path)"
    let statement = "\(subject): found \(found), expected \(expected)."
    return (hint.isEmpty ? statement : "\(statement) \(hint)").singleLine
  }
}

/// Everything that is wrong with a configuration file, in the order of its lines.
struct ConfigurationErrors: Error, Hashable, Sendable {
  /// The errors, at least one.
  let errors: [ConfigurationError]

  /// Sorts them by line; those of the same line stay in the order in which they were found.
  init(_ errors: [ConfigurationError]) {
    precondition(!errors.isEmpty, "a configuration without errors does not throw")
    let sorted = errors.enumerated().sorted {
      ($0.element.line, $0.offset) < ($1.element.line, $1.offset)
    }
    self.errors = sorted.map(\.element)
  }

  /// How the process ends: 2.
  var exit: StreamerError.Exit { .usage }
}

extension ConfigurationErrors: CustomStringConvertible {
  /// One line each, as they go to standard error: `psql-streamer: FILE:LINE: KEY: …`.
  var description: String {
    errors.map { "psql-streamer: \($0)" }.joined(separator: "\n")
  }
}

/// Something worth saying about a configuration that is used all the same.
struct ConfigurationNote: Hashable, Sendable {
  /// The file, as it was named on the command line.
  let file: String
  /// The line, from 1.
  let line: Int
  /// The dotted path of the key.
  let path: String
  /// What there is to say, as a clause in lower case.
  let text: String
}

extension ConfigurationNote: CustomStringConvertible {
  /// One line: `config.toml:12: sink.k1.maxAttempts: TEXT`.
  var description: String { "\(file):\(line): \(path): \(text)".singleLine }
}
