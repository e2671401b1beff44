public import Glibc
import Synchronization

/// A child process with captured output.
///
/// Output goes to unlinked files, not pipes: a child never blocks on a reader, and what it wrote so
/// far can be read at any time. The child has a process group of its own; it is killed when the
/// object goes away or the test process ends.
public final class Subprocess: Sendable {
  /// How a process ended.
  public enum Termination: Equatable, Sendable {
    /// It returned this code.
    case exited(Int32)
    /// This signal killed it.
    case signalled(Int32)
  }

  /// What a finished process left.
  public struct Output: Sendable {
    /// How it ended.
    public let termination: Termination
    /// All it wrote to descriptor 1.
    public let standardOutput: String
    /// All it wrote to descriptor 2.
    public let standardError: String
  }

  /// The number of the process, which is that of its group too.
  public let processID: pid_t
  private let executable: String
  private let outputFile: Int32
  private let errorFile: Int32
  private let inputPipe: Mutex<Int32>
  private let termination = Mutex<Termination?>(nil)

  /// Starts a program, looked up in PATH.
  ///
  /// - Parameters:
  ///   - executable: a path or a name.
  ///   - arguments: without the program's name.
  ///   - environment: added to that of this process (whose PG* variables are not passed on).
  ///   - input: all of its standard input; nil is an empty one.
  ///   - interactive: standard input is a pipe for `write(_:)`; `input` is ignored.
  /// - Throws: `SupportError` when it cannot be started.
  public init(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
    input: String? = nil, interactive: Bool = false
  ) throws {
    Guardian.ensureRunning()
    self.executable = executable
    outputFile = try Self.anonymousFile()
    errorFile = try Self.anonymousFile()
    var childInput: Int32?
    var ends: [Int32] = [-1, -1]
    if interactive {
      guard unsafe pipe(&ends) == 0 else { throw SupportError("no pipe: \(lastError())") }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      childInput = ends[0]
    } else if let input {
      let file = try Self.anonymousFile()
      _ = FileBytes.write(Array(input.utf8), to: file)
      lseek(file, 0, SEEK_SET)
      childInput = file
    }
    inputPipe = Mutex(ends[1])
    defer { if let childInput { close(childInput) } }
    processID = try SpawnRequest(
      executable: executable, arguments: arguments, environment: environment,
      standardInput: childInput, standardOutput: outputFile, standardError: errorFile
    ).spawn()
    Guardian.register(.kill(processID))
  }

  deinit {
    if isRunning { kill(-processID, SIGKILL); _ = try? wait(within: .seconds(10)) }
    closeInput()
    close(outputFile)
    close(errorFile)
  }

  /// Runs a program to its end.
  ///
  /// - Throws: `SupportError` when it cannot be started or does not end in time (it is killed then).
  public static func run(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
    input: String? = nil, within limit: Duration = .seconds(120)
  ) throws -> Output {
    let process = try Subprocess(
      executable, arguments, environment: environment, input: input)
    let termination = try process.wait(within: limit)
    return Output(
      termination: termination, standardOutput: process.standardOutput,
      standardError: process.standardError)
  }

  /// Runs a program that must succeed and returns what it printed.
  ///
  /// - Throws: `SupportError` with its standard error when the exit code is not 0.
  @discardableResult public static func check(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
    input: String? = nil, within limit: Duration = .seconds(120)
  ) throws -> String {
    let output = try run(
      executable, arguments, environment: environment, input: input, within: limit)
    guard output.termination == .exited(0) else {
      let line = ([executable] + arguments).joined(separator: " ")
      throw SupportError(
        "\(line): \(output.termination)\n\(output.standardOutput)\(output.standardError)")
    }
    return output.standardOutput
  }

  /// What it wrote to descriptor 1 so far.
  public var standardOutput: String {
    String(decoding: FileBytes.contents(of: outputFile), as: UTF8.self)
  }

  /// What it wrote to descriptor 2 so far.
  public var standardError: String {
    String(decoding: FileBytes.contents(of: errorFile), as: UTF8.self)
  }

  /// Whether it has not ended yet.
  public var isRunning: Bool { poll() == nil }

  /// How it ended; nil while it runs.
  public func poll() -> Termination? {
    termination.withLock { known in
      if known != nil { return known }
      var status: Int32 = 0
      guard unsafe waitpid(processID, &status, WNOHANG) == processID else { return nil }
      let signal = status & 0x7f
      known = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
      Guardian.register(.forget(processID))
      return known
    }
  }

  /// Sends a signal to the process alone.
  public func send(_ signal: Int32) {
    termination.withLock { if $0 == nil { _ = kill(processID, signal) } }
  }

  /// Waits for the end.
  ///
  /// - Throws: `SupportError` when it does not end in time; the whole process group is killed then.
  @discardableResult public func wait(within limit: Duration = .seconds(60)) throws -> Termination {
    let deadline = ContinuousClock.now + limit
    while true {
      if let ended = poll() { return ended }
      if ContinuousClock.now >= deadline { break }
      usleep(5_000)
    }
    kill(-processID, SIGKILL)
    while poll() == nil { usleep(5_000) }
    throw SupportError(
      "\(executable) did not end within \(limit); it was killed. Its standard error:\n\(standardError)"
    )
  }

  /// Writes to the standard input of an interactive child.
  public func write(_ text: String) {
    inputPipe.withLock { if $0 >= 0 { _ = FileBytes.write(Array(text.utf8), to: $0) } }
  }

  /// Ends the standard input of an interactive child.
  public func closeInput() {
    inputPipe.withLock {
      if $0 >= 0 { close($0) }
      $0 = -1
    }
  }

  /// A file without a name, open for both sides.
  private static func anonymousFile() throws -> Int32 {
    let path = TemporaryDirectory.freshPath(prefix: "output")
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SupportError("cannot create \(path): \(lastError())") }
    unsafe unlink(path)
    return descriptor
  }
}
