/// An option that a command takes.
struct CommandLineOption: Hashable, Sendable {
  /// Its names, the first one for help and errors: "--config", "-c".
  let names: [String]
  /// What its value is called in help: "FILE"; `nil` when it takes none.
  let value: String?
  /// What it does, in one line.
  let summary: String

  /// Makes an option.
  init(_ names: String..., value: String? = nil, summary: String) {
    precondition(!names.isEmpty, "an option has a name")
    self.names = names
    self.value = value
    self.summary = summary
  }

  /// Its first name.
  var name: String { names[0] }

  /// The names that help tells, the short one first: the seed's "-config" is understood and not
  /// advertised.
  var shownNames: [String] {
    names.filter { $0.hasPrefix("--") || $0.count == 2 }.sorted { $0.count < $1.count }
  }
}

/// A command as a value: help is generated from it, and parsing is driven by it.
struct CommandLineSyntax: Sendable {
  /// Its words: "run", "config migrate".
  let name: String
  /// What it does, in one line.
  let summary: String
  /// What follows its name, in one line: "--config FILE".
  let usage: String
  /// What there is to know beyond the options, as whole lines.
  var discussion = ""
  /// The names of its operands, all of them needed.
  var operands: [String] = []
  /// The names of operands that may follow.
  var optionalOperands: [String] = []
  /// Its options beside --help.
  var options: [CommandLineOption] = []
  /// Commands to copy, each with what it does.
  var examples: [(command: String, does: String)] = []
  /// Makes the command of what was given.
  let make: @Sendable (CommandLineArguments) throws(StreamerError) -> CommandLineRequest
}

/// What was given to a command, by the names of its options.
struct CommandLineArguments: Hashable, Sendable {
  /// The command's name.
  let command: String
  /// The operands, as many as the command has.
  var operands: [String] = []
  /// The options with their values in the order given; an option without a value has "".
  var options: [String: [String]] = [:]

  /// Whether an option was given.
  func has(_ name: String) -> Bool { options[name] != nil }

  /// The value of an option that is given at most once; `nil` when it is not given.
  func value(of name: String) throws(StreamerError) -> String? {
    guard let values = options[name] else { return nil }
    guard values.count == 1, let value = values.first else {
      throw usageError("\(name)", "it is given \(values.count) times", "Give it once.")
    }
    return value
  }

  /// The value of an option that must be given.
  func requiredValue(of name: String, called value: String) throws(StreamerError) -> String {
    guard let given = try self.value(of: name) else {
      throw usageError("no \(name)", "\(command) needs it", "Write \(name) \(value).")
    }
    return given
  }

  /// An error of the command line that names the command's help.
  func usageError(_ what: String, _ why: String, _ hint: String = "") -> StreamerError {
    let help = "See psql-streamer \(command) --help."
    return StreamerError(
      what: what, why: why, hint: hint.isEmpty ? help : "\(hint) \(help)", exit: .usage)
  }
}
