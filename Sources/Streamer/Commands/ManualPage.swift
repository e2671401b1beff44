/// The manual page, psql-streamer(1), written from the same values as help.
///
/// In the macros of man(7), which every `man` reads.
enum ManualPage {
  /// The page as roff.
  static var text: String {
    var lines = [
      #".TH PSQL\-STREAMER 1 "" "psql\-streamer \#(Version.number)" "User Commands""#,
      ".nh", ".SH NAME",
      #"psql\-streamer \- stream the changes committed in PostgreSQL into Kafka"#,
      ".SH SYNOPSIS", #".B psql\-streamer"#, ".I COMMAND", "[OPTIONS]",
      ".SH DESCRIPTION", escaped(CommandLineHelp.summary),
      ".SH COMMANDS",
    ]
    for command in CommandLineSyntax.all { lines += section(of: command) }
    lines += [".SH OPTIONS"] + CommandLineHelp.general.flatMap(paragraph)
    lines.append(".SH EXIT STATUS")
    for (code, meaning) in CommandLineHelp.exitCodes {
      lines += [".TP", ".B \(code)", escaped(meaning)]
    }
    lines += [".SH FILES"]
    for (file, what) in files { lines += [".TP", ".I \(escaped(file))", escaped(what)] }
    lines += [".SH SEE ALSO", ".BR psql (1),", ".BR systemd.exec (5)"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static let files = [
    ("/etc/psql-streamer.toml", "The configuration that the service reads."),
    ("/var/lib/psql-streamer", "Where the service keeps its positions."),
    ("/usr/share/doc/psql-streamer", "The documentation: every key, every metric, the events."),
  ]

  private static func section(of command: CommandLineSyntax) -> [String] {
    let usage = command.usage.isEmpty ? "" : " \(command.usage)"
    var lines = [
      ".SS \"\(escaped(command.name))\"", escaped(command.summary), ".PP",
      ".B \(escaped(command.name + usage))",
    ]
    if !command.discussion.isEmpty {
      lines.append(".PP")
      lines += command.discussion.split(separator: "\n").map { escaped(String($0)) }
    }
    return lines + command.options.flatMap(paragraph) + command.examples.flatMap(example)
  }

  private static func paragraph(_ option: CommandLineOption) -> [String] {
    let names = option.shownNames.map { "\\fB\(escaped($0))\\fR" }.joined(separator: ", ")
    let value = option.value.map { " \\fI\(escaped($0))\\fR" } ?? ""
    return [".TP", names + value, escaped(option.summary)]
  }

  private static func example(_ example: (command: String, does: String)) -> [String] {
    let does = example.does.isEmpty ? "Example:" : "Example, \(example.does):"
    return [".PP", escaped(does), ".PP", ".EX", "    \(escaped(example.command))", ".EE"]
  }

  /// A line of text that roff prints as it is.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      case "'": result += "\\(aq"
      case "\"": result += "\\(dq"
      case "`": result += "\\(ga"
      case "^": result += "\\(ha"
      case "~": result += "\\(ti"
      case _ where scalar.isASCII: result.unicodeScalars.append(scalar)
      default:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\[u\(String(repeating: "0", count: max(4 - digits.count, 0)))\(digits)]"
      }
    }
    // A dot at the beginning would be a macro.
    return result.hasPrefix(".") ? "\\&" + result : result
  }
}
