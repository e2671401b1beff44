extension CommandLineSyntax {
  static let snapshot = CommandLineSyntax(
    name: "snapshot",
    summary: "Copy existing rows of tables while the configuration's instance streams.",
    usage: "--config FILE [SOURCE] (-t S.T … [--where SQL] | --list | --stop [ID])",
    discussion: """
      It asks the instance that runs FILE, at the address that `http` says there, with its httpToken;
      nothing is read or stored by the command itself. Copies are made one after the other, beside
      the changes, and go on after a restart. --where is one expression of SQL that the server puts
      into its SELECT; it needs httpToken to be set. Without an ID --pause, --resume and --stop are
      for all that have not ended.
      Exits with 1 when the instance cannot be reached or does not take it now, with 2 when it refuses.
      """,
    optionalOperands: ["SOURCE", "ID"],
    options: [
      configuration,
      CommandLineOption(
        "--table", "-t", value: "S.T",
        summary: "tables to copy, with * for any characters, ! before those left out"),
      CommandLineOption("--where", value: "SQL", summary: "only rows that meet it"),
      CommandLineOption("--list", "-l", summary: "show the copies"),
      CommandLineOption("--pause", summary: "let one wait, or all"),
      CommandLineOption("--resume", summary: "let it go on"),
      CommandLineOption("--stop", summary: "end it"),
    ],
    examples: [
      ("psql-streamer snapshot --config shop.toml --table public.orders", ""),
      (
        "psql-streamer snapshot -c shop.toml -t \"public.*\" --where \"created > now() - interval '1 day'\"",
        "what is new of all tables that have such a column"
      ),
      ("psql-streamer snapshot -c shop.toml --stop 3", ""),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .snapshot(try given.snapshotOptions())
    })
}

extension CommandLineArguments {
  fileprivate func snapshotOptions() throws(StreamerError) -> CommandLineRequest.SnapshotOptions {
    let chosen = ["--table", "--list", "--pause", "--resume", "--stop"].filter(has)
    guard chosen.count == 1, let action = chosen.first else {
      throw usageError(
        chosen.isEmpty ? "nothing to do" : chosen.joined(separator: " and "),
        "one of --table, --list, --pause, --resume and --stop says what is done")
    }
    guard action == "--table" || !has("--where") else {
      throw usageError("--where", "it goes with --table", "Write --table S.T beside it.")
    }
    var names = operands
    let takesNumber = action != "--table" && action != "--list"
    let number = takesNumber ? names.last.flatMap { Int($0) } : nil
    if number != nil { names.removeLast() }
    guard names.count < 2 else {
      throw usageError(names[1].singleLine, "it is one operand too many")
    }
    let order: CommandLineRequest.SnapshotOptions.Action =
      switch action {
      case "--list": .list
      case "--pause": .order(.pause(number))
      case "--resume": .order(.resume(number))
      case "--stop": .order(.stop(number))
      default:
        .order(.copy(tables: options["--table"] ?? [], filter: try value(of: "--where")))
      }
    return CommandLineRequest.SnapshotOptions(
      configuration: try requiredValue(of: "--config", called: "FILE"), source: names.first,
      action: order)
  }
}
