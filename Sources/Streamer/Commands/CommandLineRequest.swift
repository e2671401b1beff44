/// What the command line asks for.
enum CommandLineRequest: Hashable, Sendable {
  /// `run`: run all pipelines of a configuration.
  case run(configuration: String)
  /// `demo`: show the whole way with servers of its own.
  case demo
  /// `check`: examine everything a configuration needs without changing anything.
  case check(configuration: String, json: Bool)
  /// `tail`: print changes as they commit.
  case tail(TailOptions)
  /// `status`: show what a running instance says.
  case status(url: String, watch: Bool)
  /// `config migrate`: print the Go program's file in today's form.
  case migrateConfiguration(path: String)
  /// `--version`.
  case version
  /// `--help` and `help`: a text for standard output.
  case help(String)

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
  }
}
