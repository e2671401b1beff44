extension CommandLineSyntax {
  /// Every command of this version, in the order of the help.
  static let all: [CommandLineSyntax] = [
    run, demo, check, tail, record, replay, inspect, status, snapshot, verify, positionShow,
    positionSet, positionReset, drop, migrateConfiguration, completions,
  ]

  /// Commands that a later version will have.
  static let later = [
    "slot", "publication", "import-debezium",
  ]

  static let configuration = CommandLineOption(
    "--config", "-c", "-config", value: "FILE", summary: "the configuration, in TOML")

  private static let run = CommandLineSyntax(
    name: "run",
    summary: "Run all pipelines of a configuration until SIGTERM or SIGINT.",
    usage: "--config FILE [--accept-gap SOURCE]",
    discussion: """
      The first signal delivers what is in flight and saves the positions; a second one exits at
      once. SIGHUP reads FILE again: what can change without a restart does, the rest is named in the
      log. `psql-streamer -config FILE` is the same command. --accept-gap lets that source go on
      over a gap once, at this start, where onGap = "accept" would do so each time.
      """,
    options: [
      configuration,
      CommandLineOption("--accept-gap", value: "SOURCE", summary: "go on over a gap, this once"),
    ],
    examples: [
      ("psql-streamer run --config /etc/psql-streamer.toml", "stream"),
      ("PGPASS=… psql-streamer run -c shop.toml", "with a password that the file calls ${PGPASS}"),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .run(
        configuration: try given.requiredValue(of: "--config", called: "FILE"),
        acceptsGap: try given.value(of: "--accept-gap"))
    })

  private static let demo = CommandLineSyntax(
    name: "demo",
    summary: "Show the whole way with a PostgreSQL and a Kafka of its own.",
    usage: "[--format F]",
    discussion: """
      It starts a throw-away PostgreSQL found on this machine and an embedded Kafka broker, makes a
      small load, shows the records and their rate, and cleans up behind itself. Records in Avro,
      Protobuf or JSON with a schema are shown as JSON: it counts their schemas itself, as a registry
      would.
      """,
    options: [lineFormat],
    examples: [
      ("psql-streamer demo", "needs no configuration and no network"),
      ("psql-streamer demo --format debezium", ""),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .demo(try given.lineFormat())
    })

  /// How what is shown is written, psql-streamer if nothing is said; what names a schema is shown as JSON.
  static let lineFormat = CommandLineOption(
    "--format", value: "F",
    summary: "psql-streamer, text, debezium, flat, cloudevents, avro, protobuf, json-schema")

  private static let check = CommandLineSyntax(
    name: "check",
    summary: "Examine all that a configuration needs, without changing anything.",
    usage: "--config FILE [--json]",
    discussion: """
      Exits with 0 when nothing failed, with 1 when all that failed may pass by itself (a server that
      cannot be reached), with 2 when the file is wrong, with 3 when a server refuses what it asks
      for. With --json each finding has the exit code that it leads to, and mistakes of the file are
      findings too (docs/check.schema.json).
      """,
    options: [
      configuration, CommandLineOption("--json", summary: "print an array of JSON objects"),
    ],
    examples: [
      ("psql-streamer check --config shop.toml", "a table of ok, warn and fail with the remedies"),
      ("psql-streamer check -c shop.toml --json | jq '.[] | select(.result != \"ok\")'", ""),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .check(
        configuration: try given.requiredValue(of: "--config", called: "FILE"),
        json: given.has("--json"))
    })

  private static let tail = CommandLineSyntax(
    name: "tail",
    summary: "Print changes as they commit, one JSON object a line.",
    usage: "DSN (--publication P | --table S.T …) [--format F] [--snapshot]",
    discussion: """
      A temporary slot is used, so nothing stays behind and nothing is acknowledged for others.
      With --snapshot existing rows are printed beside the changes, each in front of the changes that
      it does not have; a logical message is written into the server's log meanwhile.
      With --table a publication is made and dropped again; of a table without replica identity it
      shows inserts and truncates only. Names are taken as the catalog spells them.
      Control-C and a reader that has gone (tail … | head) end it with 0; losing the connection
      ends it with 1 and the last position on standard error, where pg_recvlogical would go on: a
      temporary slot is gone with its connection.
      """,
    operands: ["DSN"],
    options: [
      CommandLineOption("--publication", "-p", value: "P", summary: "a publication that exists"),
      CommandLineOption("--table", "-t", value: "S.T", summary: "a table; may be repeated"),
      lineFormat,
      CommandLineOption("--snapshot", summary: "existing rows too, once, as of their place"),
    ],
    examples: [
      ("psql-streamer tail postgres://streamer@db1/shop --publication pub1", ""),
      (
        "psql-streamer tail \"host=db1 dbname=shop\" --table public.orders --table public.items",
        "two tables"
      ),
    ],
    make: makeTail)

  @Sendable private static func makeTail(
    _ given: CommandLineArguments
  ) throws(StreamerError) -> CommandLineRequest {
    let format = try given.lineFormat()
    return .tail(
      CommandLineRequest.TailOptions(
        dsn: Secret(given.operands[0]), subject: try given.subject(), format: format,
        copies: given.has("--snapshot")))
  }

  private static let status = CommandLineSyntax(
    name: "status",
    summary: "Show what a running psql-streamer says of its sources and sinks.",
    usage: "[--url URL | --config FILE] [--watch] [--ready]",
    discussion: """
      Exits with 1 when it says that something is not ok, or cannot be reached: what a container's
      health check wants to know. With --ready also when not all changes flow yet, or a standby waits.
      """,
    options: [
      CommandLineOption(
        "--url", "-u", value: "URL", summary: "where it listens (http://127.0.0.1:12080)"),
      CommandLineOption(
        "--config", "-c", value: "FILE", summary: "its configuration, whose `http` says where"),
      CommandLineOption("--watch", "-w", summary: "show it again every two seconds"),
      CommandLineOption("--ready", "-r", summary: "exit with 1 also while /ready is not 200"),
    ],
    examples: [
      ("psql-streamer status", "of this machine"),
      ("psql-streamer status --url http://db1:12080 --watch", "of another one, again and again"),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      let url = try given.value(of: "--url")
      if let url, !url.hasPrefix("http://") || url.count == 7 {
        throw given.usageError(
          "--url \(url.singleLine)", "it is no http address", "Such as http://127.0.0.1:12080.")
      }
      let path = try given.value(of: "--config")
      guard url == nil || path == nil else {
        throw given.usageError("--url and --config", "both say where it listens")
      }
      return .status(
        url: url, configuration: path, watch: given.has("--watch"), ready: given.has("--ready"))
    })

  private static let migrateConfiguration = CommandLineSyntax(
    name: "config migrate",
    summary: "Print the Go program's configuration in today's form, with comments.",
    usage: "OLD",
    discussion: "The file itself is only read; the new one goes to standard output.",
    operands: ["OLD"],
    examples: [("psql-streamer config migrate old.toml > new.toml", "")],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      .migrateConfiguration(path: given.operands[0])
    })
  private static let completions = CommandLineSyntax(
    name: "completions",
    summary: "Print what a shell needs to complete psql-streamer's command line.",
    usage: "bash|zsh|fish",
    discussion: "Debian's package and `make install` have put it where the shells look for it.",
    operands: ["SHELL"],
    examples: [
      (
        "psql-streamer completions bash > ~/.local/share/bash-completion/completions/psql-streamer",
        ""
      )
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      guard let shell = Completions.Shell(rawValue: given.operands[0]) else {
        let shells = Completions.Shell.allCases.map(\.rawValue).joined(separator: ", ")
        throw given.usageError(given.operands[0].singleLine, "there are completions for \(shells)")
      }
      return .help(Completions(shell: shell).text)
    })
}
