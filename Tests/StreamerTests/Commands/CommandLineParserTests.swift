import PGWire
import Testing

@testable import Streamer

@Suite struct CommandLineParserTests {
  private static func parse(_ line: String) throws(StreamerError) -> CommandLineRequest {
    try CommandLineParser.parse(line.split(separator: " ").map(String.init))
  }

  private static func tail(
    _ subject: CommandLineRequest.TailOptions.Subject
  ) -> CommandLineRequest {
    .tail(.init(dsn: Secret("DSN"), subject: subject, format: .psqlStreamer))
  }

  static let good: [(line: String, request: CommandLineRequest)] = [
    ("run -c a.toml --accept-gap db", .run(configuration: "a.toml", acceptsGap: "db")),
    (
      "position set 0/10 -c a --source s --yes",
      .position(
        .init(
          configuration: "a", action: .set(LSN(16)), source: "s", sink: nil, isConfirmed: true))
    ),
    ("drop -c a s", .drop(.init(configuration: "a", source: "s", isConfirmed: false))),
    ("run --config a.toml", .run(configuration: "a.toml", acceptsGap: nil)),
    ("run --config=a=b.toml", .run(configuration: "a=b.toml", acceptsGap: nil)),
    ("run -c a.toml", .run(configuration: "a.toml", acceptsGap: nil)),
    ("-config a.toml", .run(configuration: "a.toml", acceptsGap: nil)),
    ("-config=a.toml", .run(configuration: "a.toml", acceptsGap: nil)),
    ("--config a.toml", .run(configuration: "a.toml", acceptsGap: nil)),
    ("demo", .demo(.psqlStreamer)), ("demo --format avro", .demo(.avro)),
    ("check -c a.toml", .check(configuration: "a.toml", json: false)),
    ("check --json --config a.toml", .check(configuration: "a.toml", json: true)),
    ("tail DSN --publication p", tail(.publication("p"))),
    ("tail --table a.b DSN -t=c.d", tail(.tables(["a.b", "c.d"]))),
    ("tail --table a.b --format psql-streamer -- DSN", tail(.tables(["a.b"]))),
    (
      "record DSN -p p -o f --duration 1m --size 2MiB",
      .record(
        .init(
          source: .server(Secret("DSN"), .publication("p")), output: "f",
          limits: .init(duration: .seconds(60), size: 2 << 20)))
    ),
    (
      "record --config c --source s --transactions 3 --output f",
      .record(
        .init(
          source: .configuration("c", source: "s"), output: "f", limits: .init(transactions: 3)))
    ),
    (
      "replay f",
      .replay(
        .init(path: "f", configuration: nil, source: nil, format: .psqlStreamer, pace: .full))
    ),
    (
      "replay f -c c --source s --pace recorded",
      .replay(
        .init(path: "f", configuration: "c", source: "s", format: .psqlStreamer, pace: .recorded))
    ),
    ("inspect f", .inspect(.init(path: "f", view: .messages, from: nil, to: nil))),
    (
      "inspect --stats f --from 1/A --to 16",
      .inspect(.init(path: "f", view: .statistics, from: LSN(1 << 32 | 10), to: LSN(16)))
    ),
    (
      "inspect --diff a b f",
      .inspect(
        .init(path: "f", view: .difference("a", "b", source: nil), from: nil, to: nil))
    ),
    ("status", .status(url: nil, configuration: nil, watch: false, ready: false)),
    (
      "status --watch --url http://db1:1",
      .status(url: "http://db1:1", configuration: nil, watch: true, ready: false)
    ),
    (
      "snapshot -c f shop -t a.b --table c.* --where v>0",
      .snapshot(
        CommandLineRequest.SnapshotOptions(
          configuration: "f", source: "shop",
          action: .order(.copy(tables: ["a.b", "c.*"], filter: "v>0"))))
    ),
    (
      "snapshot -c f --list",
      .snapshot(
        CommandLineRequest.SnapshotOptions(configuration: "f", source: nil, action: .list))
    ),
    (
      "snapshot shop 3 --stop -c f",
      .snapshot(
        CommandLineRequest.SnapshotOptions(
          configuration: "f", source: "shop", action: .order(.stop(3))))
    ),
    (
      "snapshot -c f --pause",
      .snapshot(
        CommandLineRequest.SnapshotOptions(
          configuration: "f", source: nil, action: .order(.pause(nil))))
    ),
    (
      "status -c a.toml", .status(url: nil, configuration: "a.toml", watch: false, ready: false)
    ),
    ("status --ready", .status(url: nil, configuration: nil, watch: false, ready: true)),
    ("config migrate old.toml", .migrateConfiguration(path: "old.toml")),
    ("config migrate -- -old.toml", .migrateConfiguration(path: "-old.toml")),
    ("--version", .version),
    ("version", .version),
  ]

  @Test(arguments: good)
  func understands(_ line: String, _ request: CommandLineRequest) throws {
    #expect(try Self.parse(line) == request)
  }

  static let bad: [(line: String, description: String)] = [
    ("", "no command: psql-streamer needs one. See psql-streamer --help."),
    (
      "rum --config a",
      "unknown command \"rum\": there is none of this name. Did you mean \"run\"?"
    ),
    (
      "frobnicate",
      "unknown command \"frobnicate\": there is none of this name. See psql-streamer --help."
    ),
    (
      "config migrat x",
      "unknown command \"config migrat\": there is none of this name. "
        + "Did you mean \"config migrate\"?"
    ),
    ("slot", "command slot: it comes with a later version. See psql-streamer --help."),
    (
      "record -o f",
      "nothing to record: neither a DSN nor --config is given. "
        + "Write DSN --publication P, or --config FILE. See psql-streamer record --help."
    ),
    (
      "record DSN -p p -o f --duration soon",
      "--duration soon: it is no duration. Such as 30s. See psql-streamer record --help."
    ),
    (
      "record DSN -p p -o f --transactions 0",
      "--transactions 0: it is no count. See psql-streamer record --help."
    ),
    (
      "record -c f -p p -o f",
      "--publication: the configuration says what is published. See psql-streamer record --help."
    ),
    (
      "replay f --source s",
      "--source: it names a source of a configuration. See psql-streamer replay --help."
    ),
    (
      "replay f --pace slow",
      "--pace slow: this version knows full, recorded. See psql-streamer replay --help."
    ),
    (
      "inspect f g",
      "too many arguments: inspect takes one file. See psql-streamer inspect --help."
    ),
    (
      "inspect f --from here",
      "--from here: it is no log position. Such as 16/B374D848. See psql-streamer inspect --help."
    ),
    (
      "inspect --diff f",
      "--diff: it takes two configurations and a recording. "
        + "Write --diff CONFIG_A CONFIG_B FILE. See psql-streamer inspect --help."
    ),
    ("run", "no --config: run needs it. Write --config FILE. See psql-streamer run --help."),
    (
      "run --confg a.toml",
      "unknown option --confg: there is none of this name. Did you mean --config?"
    ),
    (
      "run --config",
      "--config: its value is missing. Write --config FILE. See psql-streamer run --help."
    ),
    ("run --config=", "--config: its value is empty. See psql-streamer run --help."),
    (
      "run -c a -c b",
      "--config: it is given 2 times. Give it once. See psql-streamer run --help."
    ),
    (
      "run a.toml -c b",
      "too many arguments: the file is named with --config. "
        + "Write psql-streamer run --config FILE. See psql-streamer run --help."
    ),
    ("check -c a --json=yes", "--json: it takes no value. See psql-streamer check --help."),
    ("tail --publication p", "no DSN: tail needs it. See psql-streamer tail --help."),
    (
      "tail DSN",
      "nothing to tail: neither --publication nor --table is given. "
        + "Write --publication P or --table S.T. See psql-streamer tail --help."
    ),
    (
      "tail DSN -p a -t b",
      "--publication and --table: only one of them can say what is published. "
        + "Leave one of them out. See psql-streamer tail --help."
    ),
    (
      "snapshot -c f",
      "nothing to do: one of --table, --list, --pause, --resume and --stop says what is done. "
        + "See psql-streamer snapshot --help."
    ),
    (
      "snapshot -c f --list --where a",
      "--where: it goes with --table. Write --table S.T beside it. "
        + "See psql-streamer snapshot --help."
    ),
    (
      "status --url ftp://x",
      "--url ftp://x: it is no http address. Such as http://127.0.0.1:12080. "
        + "See psql-streamer status --help."
    ),
    (
      "--verison",
      "unknown option --verison: there is none of this name. Did you mean --version?"
    ),
    ("help rnu", "unknown command \"rnu\": there is none of this name. Did you mean \"run\"?"),
  ]

  @Test(arguments: bad)
  func refuses(_ line: String, _ description: String) {
    let error = #expect(throws: StreamerError.self) { try Self.parse(line) }
    #expect(error?.description == description)
    #expect(error?.exitCode == 2)
  }

  @Test(arguments: ["--help", "-h", "help", "help --help"])
  func overviewNamesEveryCommand(_ line: String) throws {
    guard case .help(let text) = try Self.parse(line) else {
      Issue.record("\(line) gives no help")
      return
    }
    for command in CommandLineSyntax.all {
      #expect(text.contains("  \(command.name) "))
      #expect(text.contains(command.summary))
    }
  }

  @Test(arguments: CommandLineSyntax.all.map(\.name))
  func helpOfACommandNamesEveryOption(_ name: String) throws {
    let request = try Self.parse("\(name) --help")
    #expect(try Self.parse("help \(name)") == request)
    #expect(try Self.parse("\(name) -h") == request)
    guard case .help(let text) = request,
      let command = CommandLineSyntax.all.first(where: { $0.name == name })
    else {
      Issue.record("\(name) has no help")
      return
    }
    #expect(text.contains("Usage: psql-streamer \(name)"))
    #expect(text.contains("Examples:"), "every command shows how it is used")
    for option in command.options {
      #expect(text.contains(option.name))
      #expect(text.contains(option.summary))
    }
    #expect(!text.contains("  -config"), "the seed's option is understood, not advertised")
    for line in text.split(separator: "\n") {
      #expect(line.count <= 100, "help fits a terminal: \(line)")
    }
  }

  @Test func groupOfCommandsHasHelp() throws {
    for line in ["config", "config --help", "help config"] {
      guard case .help(let text) = try Self.parse(line) else {
        Issue.record("\(line) gives no help")
        continue
      }
      #expect(text.contains("config migrate"))
    }
  }

  @Test func connectionStringIsNeverShown() throws {
    let dsn = "postgres://u:geheim@db1/shop"
    let request = try CommandLineParser.parse(["tail", dsn, "-p", "pub1"])
    #expect(!"\(request)".contains("geheim"))
    #expect(!String(reflecting: request).contains("geheim"))
    var dumped = ""
    dump(request, to: &dumped)
    #expect(!dumped.contains("geheim"))
    let error = #expect(throws: StreamerError.self) {
      try CommandLineParser.parse(["tail", "host=db1", "password=geheim", "-p", "pub1"])
    }
    #expect(error?.description.contains("geheim") == false)
  }

  @Test func errorsAreOneLine() {
    let error = StreamerError(
      what: "source db1", why: "server says\nno\r\n\tmore", hint: "Try again.", retryable: true)
    #expect(error.description == "source db1: server says no more. Try again.")
    #expect(error.exitCode == 1)
    #expect(error.isRetryable)
    #expect(StreamerError(what: "all is lost").description == "all is lost")
  }
}
