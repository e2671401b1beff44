import Glibc
import PGWire

/// A program that this one has started, with nothing of ours but its output's descriptor.
///
/// It has a process group of its own, so that Control-C at the terminal reaches only us, who then
/// end it in order. When the value goes away, so does the process.
struct ChildProcess: ~Copyable {
  /// How a process ended.
  enum End: Equatable {
    /// With an exit code.
    case exited(CInt)
    /// By a signal.
    case killed(CInt)
  }

  private let program: String
  private let pid: pid_t
  private var end: End?

  /// Starts `program`, searched in PATH when it has no slash, with `output` as its standard output
  /// and standard error.
  ///
  /// Throws `StreamerError` when it cannot be started.
  init(_ program: String, _ arguments: [String], output: CInt) throws(StreamerError) {
    self.program = program
    pid = try Self.spawn([program] + arguments, output: output)
  }

  deinit {
    guard end == nil else { return }
    kill(pid, SIGKILL)
    _ = waitpid(pid, nil, 0)
  }

  /// How it ended; nil while it runs.
  mutating func poll() -> End? {
    if let end { return end }
    var status: CInt = 0
    guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
    let signal = status & 0x7F
    end = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal)
    return end
  }

  /// Waits until it has ended by itself.
  ///
  /// Throws `StreamerError` when it fails or takes longer than `limit`, and when a signal asks us
  /// to end; the process ends with the value then.
  mutating func wait(
    within limit: Duration, _ interruption: borrowing Interruption
  ) throws(StreamerError) {
    let deadline = ContinuousClock.now + limit
    while true {
      switch poll() {
      case .exited(0): return
      case .exited(let code): throw failure("it exited with code \(code)")
      case .killed(let signal): throw failure("signal \(signal) ended it")
      case nil: break
      }
      guard .now < deadline else { throw failure("it did not end within \(limit)") }
      try interruption.pause(.milliseconds(5))
    }
  }

  /// Asks it to end by `signal`, and kills it when it has not ended after `limit`.
  mutating func stop(_ signal: CInt, within limit: Duration) {
    if poll() == nil { kill(pid, signal) }
    let deadline = ContinuousClock.now + limit
    while poll() == nil {
      if .now >= deadline { kill(pid, SIGKILL) }
      usleep(2000)
    }
  }

  private func failure(_ why: String) -> StreamerError {
    StreamerError(what: "program \(program)", why: why)
  }

  private static func spawn(_ words: [String], output: CInt) throws(StreamerError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
    // Libraries open some descriptors without O_CLOEXEC; closing what is not open is no error.
    for descriptor in CInt(3)..<256 {
      unsafe posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    // Our blocked and ignored signals are not for the child.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe posix_spawnattr_setsigmask(&attributes, &signals)
    unsafe sigfillset(&signals)
    unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
    unsafe posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    // What PG* variables say is meant for other servers.
    var environment = ConnectionParameters.processEnvironment()
    for name in environment.keys where name.hasPrefix("PG") { environment[name] = nil }
    environment["LC_ALL"] = "C"
    // SAFETY: the copies live until the defer, after the call has used them.
    let argv = unsafe words.map { unsafe strdup($0) } + [nil]
    let envp = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (argv + envp).forEach { unsafe free($0) } }
    var pid: pid_t = 0
    let code = unsafe posix_spawnp(&pid, words[0], &actions, &attributes, argv, envp)
    guard code == 0 else { throw StreamerError(errno: code, "starting \(words[0])") }
    return pid
  }
}
