/// Turns the arguments of the process into a command.
///
/// Options stand anywhere after the command, as `--name value` or `--name=value`; `--` ends them.
/// The seed's form, `psql-streamer -config FILE`, is `run`.
enum CommandLineParser {
  /// Parses the arguments without the program's own name.
  ///
  /// Throws an error with exit code 2 that says what was probably meant.
  static func parse(_ arguments: [String]) throws(StreamerError) -> CommandLineRequest {
    guard let first = arguments.first else {
      throw StreamerError(
        what: "no command", why: "psql-streamer needs one", hint: seeHelp, exit: .usage)
    }
    switch first {
    case "--help", "-h", "-help": return .help(CommandLineHelp.overview)
    case "--version", "-V", "-version", "version": return .version
    case "help": return try help(Array(arguments.dropFirst()))
    default: break
    }
    if isSeedForm(first) {
      return try parse(try command(named: ["run"]).syntax, arguments[...])
    }
    guard !first.hasPrefix("-") else { throw unknownOption(first, among: ["--help", "--version"]) }
    let group = commands(of: first)
    if !group.isEmpty, arguments.count == 1 || ["--help", "-h"].contains(arguments[1]) {
      return .help(CommandLineHelp.overview(of: first, group))
    }
    let (syntax, words) = try command(named: arguments)
    return try parse(syntax, arguments.dropFirst(words))
  }

  private static let seeHelp = "See psql-streamer --help."

  /// Whether the first argument is the option that alone stood on the seed's command line.
  private static func isSeedForm(_ argument: String) -> Bool {
    let name = argument.prefix { $0 != "=" }
    return ["-config", "--config", "-c"].contains(name)
  }

  /// The commands of two words that begin with `word`.
  private static func commands(of word: String) -> [CommandLineSyntax] {
    CommandLineSyntax.all.filter { $0.name.hasPrefix("\(word) ") }
  }

  /// Finds a command by its one or two words and says how many they were.
  private static func command(
    named words: [String]
  ) throws(StreamerError) -> (syntax: CommandLineSyntax, words: Int) {
    for count in [2, 1] where words.count >= count {
      let name = words.prefix(count).joined(separator: " ")
      if let syntax = CommandLineSyntax.all.first(where: { $0.name == name }) {
        return (syntax, count)
      }
    }
    let group = words.first.map(commands(of:)) ?? []
    let name = (group.isEmpty ? words.prefix(1) : words.prefix(2)).joined(separator: " ")
    if CommandLineSyntax.later.contains(name) {
      throw StreamerError(
        what: "command \(name)", why: "it comes with a later version", hint: seeHelp, exit: .usage)
    }
    let near = NearestName.of(name, among: CommandLineSyntax.all.map(\.name))
    throw StreamerError(
      what: "unknown command \(TOMLValue.quoted(name))", why: "there is none of this name",
      hint: near.map { "Did you mean \"\($0)\"?" } ?? seeHelp, exit: .usage)
  }

  private static func help(_ words: [String]) throws(StreamerError) -> CommandLineRequest {
    guard let first = words.first, !["--help", "-h"].contains(first) else {
      return .help(CommandLineHelp.overview)
    }
    if words == ["--man"] { return .help(ManualPage.text) }
    let group = commands(of: first)
    if words.count == 1, !group.isEmpty {
      return .help(CommandLineHelp.overview(of: first, group))
    }
    return .help(CommandLineHelp.text(of: try command(named: words).syntax))
  }

  /// Parses what follows the command's name.
  private static func parse(
    _ syntax: CommandLineSyntax, _ arguments: ArraySlice<String>
  ) throws(StreamerError) -> CommandLineRequest {
    var given = CommandLineArguments(command: syntax.name)
    var rest = arguments
    var areOptionsOver = false
    while let argument = rest.popFirst() {
      if areOptionsOver || !argument.hasPrefix("-") || argument == "-" {
        given.operands.append(argument)
      } else if argument == "--" {
        areOptionsOver = true
      } else if argument == "--help" || argument == "-h" {
        return .help(CommandLineHelp.text(of: syntax))
      } else {
        try take(argument, from: &rest, for: syntax, into: &given)
      }
    }
    if given.operands.count < syntax.operands.count {
      let name = syntax.operands[given.operands.count]
      throw given.usageError("no \(name)", "\(syntax.name) needs it")
    }
    let most = syntax.operands.count + syntax.optionalOperands.count
    if given.operands.count > most {
      if most == 0, syntax.options.contains(where: { $0.names.contains("--config") }) {
        throw given.usageError(
          "too many arguments", "the file is named with --config",
          "Write psql-streamer \(syntax.name) --config FILE.")
      }
      // It may be a piece of a connection string: it is not shown.
      throw given.usageError(
        "too many arguments", "\(syntax.name) takes \(most) beside its options",
        "Put quotation marks around an argument with blanks.")
    }
    return try syntax.make(given)
  }

  /// Takes one option and, when it has one, its value.
  private static func take(
    _ argument: String, from rest: inout ArraySlice<String>, for syntax: CommandLineSyntax,
    into given: inout CommandLineArguments
  ) throws(StreamerError) {
    let name = String(argument.prefix { $0 != "=" })
    guard let option = syntax.options.first(where: { $0.names.contains(name) }) else {
      throw unknownOption(name, among: syntax.options.flatMap(\.names) + ["--help"])
    }
    var value = ""
    if name.count < argument.count {
      guard option.value != nil else {
        throw given.usageError("\(name)", "it takes no value")
      }
      value = String(argument.dropFirst(name.count + 1))
    } else if let called = option.value {
      guard let next = rest.popFirst() else {
        throw given.usageError("\(name)", "its value is missing", "Write \(name) \(called).")
      }
      value = next
    }
    if option.value != nil, value.isEmpty {
      throw given.usageError("\(name)", "its value is empty")
    }
    given.options[option.name, default: []].append(value)
  }

  private static func unknownOption(_ name: String, among names: [String]) -> StreamerError {
    let shown = String(name.prefix { $0 != "=" })
    let near = NearestName.of(shown, among: names)
    return StreamerError(
      what: "unknown option \(shown.singleLine)", why: "there is none of this name",
      hint: near.map { "Did you mean \($0)?" } ?? seeHelp, exit: .usage)
  }
}
