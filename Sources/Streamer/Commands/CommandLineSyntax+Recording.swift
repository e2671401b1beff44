import PGWire

extension CommandLineSyntax {
  static let record = CommandLineSyntax(
    name: "record",
    summary: "Write what a server sends to a file, for replay and inspect.",
    usage: "(DSN (-p P | -t S.T …) | --config FILE) --output FILE [LIMIT …]",
    discussion: """
      A DSN is read through a temporary slot: nothing stays behind, and losing the connection is the
      end. A configuration's source is read through its own slot, again after a loss, and what is
      durable in the file is acknowledged: nobody else gets those changes.
      The file holds the replication stream as it came, with times, and what the catalog says of its
      tables; rows are in it, passwords are not. It must not exist. Control-C, SIGTERM or a limit
      ends it properly; after a crash or with a full disk it can be read up to its last whole block.
      """,
    optionalOperands: ["DSN"],
    options: [
      CommandLineOption("--output", "-o", value: "FILE", summary: "the recording to create"),
      CommandLineOption("--publication", "-p", value: "P", summary: "a publication that exists"),
      CommandLineOption("--table", "-t", value: "S.T", summary: "a table; may be repeated"),
      configuration,
      CommandLineOption("--source", value: "NAME", summary: "which one, where there are several"),
      CommandLineOption("--duration", value: "D", summary: "end after that time: 30s, 5m"),
      CommandLineOption("--transactions", value: "N", summary: "end after so many transactions"),
      CommandLineOption("--size", value: "S", summary: "end when the file has that size: 100MiB"),
    ],
    examples: [
      (
        "psql-streamer record postgres://streamer@db1/shop -p pub1 --duration 1m -o shop.rec",
        "a minute of a publication"
      ),
      ("psql-streamer record --config shop.toml --transactions 100 -o shop.rec", ""),
    ],
    make: makeRecord)

  static let replay = CommandLineSyntax(
    name: "replay",
    summary: "Drive a pipeline from a recording, with the same events as at first.",
    usage: "FILE [--config FILE [--source NAME]] [--pace full|recorded]",
    discussion: """
      Without a configuration events are printed, one JSON object a line, as tail does. With one its
      source is replaced by the recording, and the source's sinks get the events. No server is asked
      and no position is stored: every replay reads the whole file. It ends when all is delivered.
      """,
    operands: ["FILE"],
    options: [
      configuration,
      CommandLineOption("--source", value: "NAME", summary: "which one, where there are several"),
      lineFormat,
      CommandLineOption(
        "--pace", value: "P", summary: "full (as fast as it goes) or recorded, with its pauses"),
    ],
    examples: [
      ("psql-streamer replay shop.rec | jq .Table", ""),
      ("psql-streamer replay shop.rec --config staging.toml", "into the sinks of a configuration"),
    ],
    make: { (given: CommandLineArguments) throws(StreamerError) -> CommandLineRequest in
      let configuration = try given.value(of: "--config")
      if configuration != nil, given.has("--format") {
        throw given.usageError("--format", "with --config the sinks say how events are written")
      }
      if configuration == nil, given.has("--source") {
        throw given.usageError("--source", "it names a source of a configuration")
      }
      return .replay(
        CommandLineRequest.ReplayOptions(
          path: given.operands[0], configuration: configuration,
          source: try given.value(of: "--source"),
          format: try given.lineFormat(),
          pace: try given.choice("--pace", default: RecordingSourceConfiguration.Pace.full)))
    })

  static let inspect = CommandLineSyntax(
    name: "inspect",
    summary: "Show a recording: every message, counts, or what two configurations make of it.",
    usage: "FILE [--stats] [--from LSN] [--to LSN] | --diff CONFIG_A CONFIG_B FILE",
    discussion: """
      Each line begins with the seconds since the recording began; the rest is a message of the
      server, in the words of its manual, with all values. --stats counts messages, rows by table,
      bytes and transactions instead. --diff gives the recording to two configurations and shows the
      events that only one of them makes (- and +); it exits with 1 when there are any.
      """,
    operands: ["FILE"], optionalOperands: ["CONFIG_B", "FILE"],
    options: [
      CommandLineOption("--stats", summary: "counts instead of messages"),
      CommandLineOption("--from", value: "LSN", summary: "only from that position on"),
      CommandLineOption("--to", value: "LSN", summary: "only up to that position"),
      CommandLineOption("--diff", summary: "compare two configurations"),
      CommandLineOption("--source", value: "NAME", summary: "which source --diff replaces"),
    ],
    examples: [
      ("psql-streamer inspect shop.rec | grep Insert", ""),
      ("psql-streamer inspect shop.rec --stats", ""),
      ("psql-streamer inspect --diff now.toml next.toml shop.rec", "what a change would do"),
    ],
    make: makeInspect)

  @Sendable private static func makeRecord(
    _ given: CommandLineArguments
  ) throws(StreamerError) -> CommandLineRequest {
    let source: CommandLineRequest.RecordOptions.Source
    switch (given.operands.first, try given.value(of: "--config")) {
    case (let dsn?, nil):
      if given.has("--source") {
        throw given.usageError("--source", "it names a source of a configuration")
      }
      source = .server(Secret(dsn), try given.subject())
    case (nil, let path?):
      for option in ["--publication", "--table"] where given.has(option) {
        throw given.usageError(option, "the configuration says what is published")
      }
      source = .configuration(path, source: try given.value(of: "--source"))
    case (nil, nil):
      throw given.usageError(
        "nothing to record", "neither a DSN nor --config is given",
        "Write DSN --publication P, or --config FILE.")
    default:
      throw given.usageError(
        "DSN and --config", "only one of them can say where changes come from",
        "Leave one of them out.")
    }
    var limits = StreamRecorder.Limits()
    if let text = try given.value(of: "--duration") {
      guard let duration = DurationText.parse(text), duration > .zero else {
        throw given.usageError("--duration \(text.singleLine)", "it is no duration", "Such as 30s.")
      }
      limits.duration = duration
    }
    if let text = try given.value(of: "--transactions") {
      guard let count = Int(text), count > 0 else {
        throw given.usageError("--transactions \(text.singleLine)", "it is no count")
      }
      limits.transactions = count
    }
    if let text = try given.value(of: "--size") {
      guard let size = ByteSize(text), size.bytes > 0 else {
        throw given.usageError("--size \(text.singleLine)", "it is no size", "Such as 100MiB.")
      }
      limits.size = size.bytes
    }
    return .record(
      CommandLineRequest.RecordOptions(
        source: source, output: try given.requiredValue(of: "--output", called: "FILE"),
        limits: limits))
  }

  @Sendable private static func makeInspect(
    _ given: CommandLineArguments
  ) throws(StreamerError) -> CommandLineRequest {
    func position(_ option: String) throws(StreamerError) -> LSN? {
      guard let text = try given.value(of: option) else { return nil }
      guard let position = LSN(text) ?? UInt64(text).map({ LSN($0) }) else {
        throw given.usageError(
          "\(option) \(text.singleLine)", "it is no log position", "Such as 16/B374D848.")
      }
      return position
    }
    let view: CommandLineRequest.InspectOptions.View
    if given.has("--diff") {
      guard given.operands.count == 3 else {
        throw given.usageError(
          "--diff", "it takes two configurations and a recording",
          "Write --diff CONFIG_A CONFIG_B FILE.")
      }
      if given.has("--stats") { throw given.usageError("--stats", "it does not go with --diff") }
      view = .difference(
        given.operands[0], given.operands[1], source: try given.value(of: "--source"))
    } else {
      guard given.operands.count == 1 else {
        throw given.usageError("too many arguments", "inspect takes one file")
      }
      if given.has("--source") { throw given.usageError("--source", "it goes with --diff") }
      view = given.has("--stats") ? .statistics : .messages
    }
    return .inspect(
      CommandLineRequest.InspectOptions(
        path: given.operands[given.operands.count - 1], view: view, from: try position("--from"),
        to: try position("--to")))
  }
}

extension CommandLineArguments {
  /// What --publication or --table says is published.
  func subject() throws(StreamerError) -> CommandLineRequest.TailOptions.Subject {
    switch (try value(of: "--publication"), options["--table"]) {
    case (let publication?, nil): return .publication(publication)
    case (nil, let tables?): return .tables(tables)
    case (nil, nil):
      throw usageError(
        "nothing to \(command)", "neither --publication nor --table is given",
        "Write --publication P or --table S.T.")
    default:
      throw usageError(
        "--publication and --table", "only one of them can say what is published",
        "Leave one of them out.")
    }
  }

  /// The format of what is shown.
  func lineFormat() throws(StreamerError) -> FormatConfiguration.Name {
    try choice("--format", default: FormatConfiguration.Name.psqlStreamer)
  }

  /// One of the values that this version knows.
  func choice<Value: RawRepresentable<String> & CaseIterable>(
    _ name: String, default standard: Value
  ) throws(StreamerError) -> Value {
    guard let text = try value(of: name) else { return standard }
    guard let value = Value(rawValue: text) else {
      let list = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw usageError("\(name) \(text.singleLine)", "this version knows \(list)")
    }
    return value
  }
}
