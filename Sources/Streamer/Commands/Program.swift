import Glibc
import Synchronization

/// The program: its arguments to a command, and a command to its exit code.
public enum Program {
  /// Runs the command that the arguments (without the program's name) ask for and gives the
  /// process's exit code: 0 done, 1 failure, 2 usage, 3 preflight failed, 4 fenced,
  /// 5 `verify` found differences.
  public static func run(_ arguments: [String]) -> Int32 {
    // A peer that went away is reported by write's errno, not by killing the process.
    signal(SIGPIPE, SIG_IGN)
    // So is a file that has reached its limit.
    signal(SIGXFSZ, SIG_IGN)
    do {
      let code = try execute(try CommandLineParser.parse(arguments))
      guard let reason = Terminal.outputFailure else { return code }
      Terminal.complain("standard output: \(SystemCall.text(of: reason)). Not all was written.")
      return code == 0 ? StreamerError.Exit.failure.rawValue : code
    } catch {
      Terminal.complain("\(error)")
      return error.exitCode
    }
  }

  private static func execute(_ request: CommandLineRequest) throws(StreamerError) -> Int32 {
    switch request {
    case .help(let text):
      Terminal.print(text)
      return 0
    case .version:
      Terminal.print(Version.text)
      return 0
    case .run(let path, let source):
      return try RunCommand.run(configuration: path, acceptsGap: source)
    case .demo(let format): return try DemoCommand.run(format)
    case .check(let path, let json): return try CheckCommand.run(configuration: path, json: json)
    case .tail(let options): return try TailCommand.run(options)
    case .record(let options): return try RecordCommand.run(options)
    case .replay(let options): return try ReplayCommand.run(options)
    case .inspect(let options): return try InspectCommand.run(options)
    case .status(let url, let path, let watch, let ready):
      return try StatusCommand.run(url: url, configuration: path, watch: watch, ready: ready)
    case .snapshot(let options): return try SnapshotCommand.run(options)
    case .verify(let options): return try VerifyCommand.run(options)
    case .position(let options): return try PositionCommand.run(options)
    case .drop(let options): return try DropCommand.run(options)
    case .migrateConfiguration(let path): return try MigrateCommand.run(path)
    }
  }
}

/// The process's standard streams: data to the one, everything else to the other.
enum Terminal {
  /// Writes a text and a newline, if it lacks one, to standard output.
  static func print(_ text: String) {
    write(text.utf8.last == UInt8(ascii: "\n") ? text : text + "\n", to: STDOUT_FILENO)
  }

  /// Writes a text as it is to standard output.
  ///
  /// Returns false when nobody reads it any more.
  @discardableResult
  static func put(_ text: String) -> Bool { write(text, to: STDOUT_FILENO) }

  /// Writes one line, with the program's name before it, to standard error.
  static func complain(_ line: String) {
    let priority = Journal.isStandardError ? Journal.prefix(.error) : ""
    LiveLine.above {
      _ = write("\(priority)psql-streamer: \(line.singleLine)\n", to: STDERR_FILENO)
    }
  }

  /// Writes a line as it is to standard error.
  static func note(_ line: String) {
    LiveLine.above { _ = write("\(line)\n", to: STDERR_FILENO) }
  }

  // The errno of what standard output refused; a reader that has gone wants no more, which is fine.
  private static let refusal = Atomic<CInt>(0)
  /// Why something could not be written to standard output; nil when nothing was refused.
  static var outputFailure: CInt? {
    let code = refusal.load(ordering: .relaxed)
    return code == 0 ? nil : code
  }

  /// Whether standard output is a terminal.
  static var isInteractive: Bool { isatty(STDOUT_FILENO) == 1 }

  @discardableResult
  private static func write(_ text: String, to descriptor: CInt) -> Bool {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        // SAFETY: written < count.
        unsafe Glibc.write(
          descriptor, buffer.baseAddress.map { unsafe $0 + written }, bytes.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        if descriptor == STDOUT_FILENO, errno != EPIPE { refusal.store(errno, ordering: .relaxed) }
        return false
      }
      written += count
    }
    return true
  }
}
