import PGWire

/// What the command line asks for.
enum CommandLineRequest: Hashable, Sendable {
  /// `run`: run all pipelines of a configuration.
  ///
  /// `acceptsGap` names a source that may go on over a gap at this start.
  case run(configuration: String, acceptsGap: String?)
  /// `demo`: show the whole way with servers of its own.
  case demo(FormatConfiguration.Name)
  /// `check`: examine everything a configuration needs without changing anything.
  case check(configuration: String, json: Bool)
  /// `tail`: print changes as they commit.
  case tail(TailOptions)
  /// `record`: write what a server sends to a file.
  case record(RecordOptions)
  /// `replay`: drive a pipeline from such a file.
  case replay(ReplayOptions)
  /// `inspect`: show such a file as text.
  case inspect(InspectOptions)
  /// `status`: show what a running instance says; `ready` asks also whether changes flow.
  case status(url: String?, configuration: String?, watch: Bool, ready: Bool)
  /// `snapshot`: copies of existing rows of a running instance.
  case snapshot(SnapshotOptions)
  /// `verify`: whether the topics hold what the tables have.
  case verify(VerifyOptions)
  /// `position show|set|reset`: look at stored positions, or move them.
  case position(PositionOptions)
  /// `drop`: the end of a source's life.
  case drop(DropOptions)
  /// `config migrate`: print the Go program's file in today's form.
  case migrateConfiguration(path: String)
  /// `--version`.
  case version
  /// `--help` and `help`: a text for standard output.
  case help(String)

  /// What `snapshot` does.
  struct SnapshotOptions: Hashable, Sendable {
    /// What is asked of the instance.
    enum Action: Hashable, Sendable {
      /// It lists its copies.
      case list
      /// It does something about them.
      case order(CopyCommand)
    }

    /// The configuration file, which says where the instance listens.
    let configuration: String
    /// Of which source; nil for the only one.
    let source: String?
    /// What is asked.
    let action: Action
  }

  /// What `verify` compares.
  struct VerifyOptions: Hashable, Sendable {
    /// The configuration file.
    let configuration: String
    /// The tables, as patterns; empty for all.
    let tables: [String]
    /// Of which source; nil for all.
    let source: String?
    /// Of which sink; nil for all.
    let sink: String?
    /// How many rows and records are read in a second at most; nil for no bound.
    let rate: Int?
    /// How many keys of each table are named.
    let examples: Int
    /// Whether the instance is asked for copies of what the topic lacks.
    let repairs: Bool
    /// The file in which results are kept until all are there; nil for none.
    let resume: String?
    /// Whether JSON is printed.
    let json: Bool
  }

  /// What `position` does.
  struct PositionOptions: Hashable, Sendable {
    /// What is done with them.
    enum Action: Hashable, Sendable {
      /// They are shown.
      case show
      /// They become this one.
      case set(LSN)
      /// They are forgotten.
      case reset
    }

    /// The configuration file.
    let configuration: String
    /// What is done.
    let action: Action
    /// Of which source; nil for the only one.
    let source: String?
    /// Of which sink; nil for all.
    let sink: String?
    /// Whether nobody is asked.
    let isConfirmed: Bool
  }

  /// What `drop` drops.
  struct DropOptions: Hashable, Sendable {
    /// The configuration file.
    let configuration: String
    /// Of which source; nil for the only one.
    let source: String?
    /// Whether nobody is asked.
    let isConfirmed: Bool
  }

  /// What `tail` shows.
  struct TailOptions: Hashable, Sendable {
    /// What is published.
    enum Subject: Hashable, Sendable {
      /// A publication that exists.
      case publication(String)
      /// Tables for which a publication is made.
      case tables([String])
    }

    /// The connection string; it may hold a password.
    let dsn: Secret
    /// What is published.
    let subject: Subject
    /// How events are written.
    let format: FormatConfiguration.Name
    /// Whether existing rows are printed too.
    var copies = false
  }

  /// What `record` records.
  struct RecordOptions: Hashable, Sendable {
    /// Where it comes from.
    enum Source: Hashable, Sendable {
      /// A source of a configuration, by its name or the only one.
      case configuration(String, source: String?)
      /// A server, through a temporary slot; the connection string may hold a password.
      case server(Secret, TailOptions.Subject)
    }

    /// Where it comes from.
    let source: Source
    /// The file to create.
    let output: String
    /// When it ends by itself.
    let limits: StreamRecorder.Limits
  }

  /// What `replay` drives.
  struct ReplayOptions: Hashable, Sendable {
    /// The recording.
    let path: String
    /// The configuration whose sinks get the events; nil prints them.
    let configuration: String?
    /// The source of the configuration that is replaced; nil for the only one.
    let source: String?
    /// How events are written where they are printed.
    let format: FormatConfiguration.Name
    /// How fast the recording is read.
    let pace: RecordingSourceConfiguration.Pace
  }

  /// What `inspect` shows.
  struct InspectOptions: Hashable, Sendable {
    /// How it is shown.
    enum View: Hashable, Sendable {
      /// Every message as a line.
      case messages
      /// Counts.
      case statistics
      /// What two configurations make of it.
      case difference(String, String, source: String?)
    }

    /// The recording.
    let path: String
    /// How it is shown.
    let view: View
    /// Only from that position on.
    let from: LSN?
    /// Only up to that position.
    let to: LSN?
  }
}
