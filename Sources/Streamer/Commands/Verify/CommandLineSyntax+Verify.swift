extension CommandLineSyntax {
  static let verify = CommandLineSyntax(
    name: "verify",
    summary: "Compare what the topics hold with what the tables have.",
    usage: "--config FILE [-t S.T …] [--resume FILE] [--repair] [--json]",
    discussion: """
      It reads the topics of the Kafka sinks to their ends, record by record, and the tables through
      the same rules and format, and tells of each key that the topic lacks, has beyond the table,
      or has with other values; also while the configuration's instance streams. Nothing is written
      but a heartbeat. What it has read is kept in files without a name in `spool.dir`.
      --repair asks the instance for copies of the rows that are missing or differ (see `snapshot`),
      and for deletes of the keys that only the topic has.
      --resume keeps what was found of each table in a file: after a run that was cut off the same
      command goes on, and tells of all tables. At the end the file is removed.
      Exits with 0 when all agree, with 5 when something differs, with 1 when it cannot be said now,
      with 3 when nothing can be compared (docs/VERIFY.md).
      """,
    options: [
      configuration,
      CommandLineOption(
        "--table", "-t", value: "S.T",
        summary: "tables to compare, with * for any characters, ! before those left out"),
      CommandLineOption("--source", value: "NAME", summary: "of this source only"),
      CommandLineOption("--sink", value: "NAME", summary: "of this sink only"),
      CommandLineOption(
        "--rate", value: "N", summary: "rows and records to read in a second at most"),
      CommandLineOption("--examples", value: "N", summary: "keys to name of each table (10)"),
      CommandLineOption(
        "--resume", value: "FILE",
        summary: "keep results there until all are told, and go on with those that it has"),
      CommandLineOption("--repair", summary: "have rows copied that are missing or differ"),
      CommandLineOption("--json", summary: "print one JSON object"),
    ],
    examples: [
      ("psql-streamer verify --config shop.toml", ""),
      ("psql-streamer verify -c shop.toml -t \"public.*\" --rate 20000 --json", ""),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .verify(
        CommandLineRequest.VerifyOptions(
          configuration: try given.requiredValue(of: "--config", called: "FILE"),
          tables: given.options["--table"] ?? [], source: try given.value(of: "--source"),
          sink: try given.value(of: "--sink"), rate: try given.number(of: "--rate", from: 1),
          examples: try given.number(of: "--examples", from: 0) ?? 10,
          repairs: given.has("--repair"), resume: try given.value(of: "--resume"),
          json: given.has("--json")))
    })
}

extension CommandLineArguments {
  /// The whole number that an option has; nil when it is not given.
  fileprivate func number(of name: String, from least: Int) throws(StreamerError) -> Int? {
    guard let text = try value(of: name) else { return nil }
    guard let number = Int(text), number >= least else {
      throw usageError("\(name) \(text.singleLine)", "it is no whole number from \(least) on")
    }
    return number
  }
}
