/// Writes help from the commands' values, so that it never says less than the parser knows.
enum CommandLineHelp {
  /// What psql-streamer does, in one sentence.
  static let summary =
    "Streams the changes committed in PostgreSQL into Kafka: in order and without losing one."

  /// What the process ends with.
  static let exitCodes: [(code: String, meaning: String)] = [
    ("0", "done"),
    (
      "1",
      "what may pass by itself: a server out of reach, a port or slot in use, a full disk"
    ),
    ("2", "wrong command line or configuration"),
    ("3", "what the file or a person must change"),
  ]

  /// The options of psql-streamer as a whole.
  static let general = [
    CommandLineOption("--help", "-h", summary: "show help and exit"),
    CommandLineOption(
      "--version", "-V", summary: "show the versions of psql-streamer and its libraries"),
  ]

  /// Help of psql-streamer as a whole.
  static var overview: String {
    let commands = CommandLineSyntax.all.map { ($0.name, $0.summary) }
    return """
      \(summary)

      Usage: psql-streamer COMMAND [OPTIONS]

      Commands:
      \(columns(commands))

      Options:
      \(columns(general.map(row)))

      Examples:
        psql-streamer demo
        psql-streamer check --config psql-streamer.toml
        psql-streamer run --config psql-streamer.toml

      Exit codes:
      \(columns(exitCodes.map { ($0.code, $0.meaning) }))

      `psql-streamer help COMMAND` tells more about a command; `help --man` is the manual page.

      """
  }

  /// Help of several commands that share their first word.
  static func overview(of group: String, _ commands: [CommandLineSyntax]) -> String {
    """
    Usage: psql-streamer \(group) COMMAND [OPTIONS]

    Commands:
    \(columns(commands.map { ($0.name, $0.summary) }))

    """
  }

  /// Help of one command.
  static func text(of command: CommandLineSyntax) -> String {
    let options = command.options + [general[0]]
    var text = command.summary + "\n\nUsage: psql-streamer \(command.name)"
    text += command.usage.isEmpty ? "\n" : " \(command.usage)\n"
    if !command.discussion.isEmpty { text += "\n\(command.discussion)\n" }
    text += "\nOptions:\n\(columns(options.map(row)))\n"
    if !command.examples.isEmpty {
      text += "\nExamples:\n"
      for example in command.examples {
        if !example.does.isEmpty { text += "  # \(example.does)\n" }
        text += "  \(example.command)\n"
      }
    }
    return text
  }

  private static func row(_ option: CommandLineOption) -> (String, String) {
    let names = option.shownNames.joined(separator: ", ")
    return (option.value.map { "\(names) \($0)" } ?? names, option.summary)
  }

  private static func columns(_ rows: [(String, String)]) -> String {
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { name, summary in
      "  \(name)\(String(repeating: " ", count: width - name.count + 2))\(summary)"
    }.joined(separator: "\n")
  }
}
