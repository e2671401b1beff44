import Glibc
import PGWire

/// A PostgreSQL of its own in a fresh directory, reachable by a Unix socket in there only.
///
/// Servers refuse to run as root: then this one runs as the user `postgres`. A class, so that one
/// `defer` undoes everything however the demo ends: ``remove()``.
final class ThrowAwayServer {
  /// The directory that holds everything.
  let directory: String
  private let programs: ServerPrograms
  private let account: (user: uid_t, group: gid_t)?
  private var process: ChildProcess?
  private var isRemoved = false

  /// Makes the directory, below TMPDIR or /tmp.
  ///
  /// Throws `StreamerError` when that fails.
  init(_ programs: ServerPrograms) throws(StreamerError) {
    self.programs = programs
    account = geteuid() == 0 ? try Self.account(of: "postgres") : nil
    // A socket's path has at most 107 bytes.
    let named = ProcessEnvironment.value(of: "TMPDIR") ?? ""
    let root = named.isEmpty || named.utf8.count > 60 ? "/tmp" : named
    var template = Array("\(root)/psql-streamer-demo-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw StreamerError(
        errno: errno, "a directory below \(root)", hint: "Let TMPDIR name one that is writable.")
    }
    directory = unsafe template.withUnsafeBytes {
      unsafe String(decoding: $0.dropLast(), as: UTF8.self)
    }
  }

  /// The data directory, which also holds the socket: nobody else may enter it.
  private var data: String { "\(directory)/data" }

  /// The connection string of one of its databases.
  func dsn(database: String) -> String { "host=\(data) port=5432 user=postgres dbname=\(database)" }

  /// Initialises the cluster, starts it and waits until it answers.
  func start(_ interruption: borrowing Interruption) throws(StreamerError) {
    // Root's directory has to let the other user through.
    guard unsafe mkdir(data, 0o700) == 0,
      unsafe chmod(directory, account == nil ? 0o700 : 0o711) == 0,
      account.map({ unsafe chown(data, $0.user, $0.group) }) ?? 0 == 0
    else { throw StreamerError(errno: errno, "directory \(data)") }
    let log = unsafe open("\(directory)/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard log >= 0 else { throw StreamerError(errno: errno, "file \(directory)/log") }
    defer { close(log) }
    do {
      var initdb = try launch(
        "initdb",
        [
          "-D", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
          "--no-sync",
        ], output: log)
      try initdb.wait(within: .seconds(60), interruption)
      process = try launch(
        "postgres", ["-D", data] + Self.settings(socketDirectory: data), output: log)
      try awaitAnswer(interruption)
    } catch { throw explained(error) }
  }

  /// Runs a program as the user it wants; it ends with us even when we are killed.
  private func launch(
    _ program: String, _ arguments: [String], output: CInt
  ) throws(StreamerError) -> ChildProcess {
    var words = ["--pdeathsig", "QUIT"]
    if let account {
      words += ["--reuid", "\(account.user)", "--regid", "\(account.group)", "--clear-groups"]
    }
    return try ChildProcess(
      "setpriv", words + ["--", programs.path(program)] + arguments, output: output)
  }

  private static func settings(socketDirectory: String) -> [String] {
    [
      "wal_level=logical", "listen_addresses=", "port=5432",
      "unix_socket_directories=\(socketDirectory)", "fsync=off", "max_wal_senders=4",
      "max_replication_slots=4", "max_connections=20", "shared_buffers=32MB", "autovacuum=off",
    ].flatMap { ["-c", $0] }
  }

  private func awaitAnswer(_ interruption: borrowing Interruption) throws(StreamerError) {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do throws(PGError) {
        let connection = try Self.connect(dsn(database: "postgres"))
        connection.close()
        return
      } catch {
        guard process?.poll() == nil, .now < deadline else {
          throw StreamerError(what: "program postgres", why: "it did not start: \(error)")
        }
      }
      try interruption.pause(.milliseconds(10))
    }
  }

  /// A connection by one of its connection strings; `PG*` variables have no say in it.
  static func connect(_ dsn: String) throws(PGError) -> Connection {
    try Connection.open(ConnectionParameters(ConnectionString(dsn)), timeout: .seconds(10))
  }

  /// Stops the server at once and removes everything; more calls do nothing.
  func remove() {
    guard !isRemoved else { return }
    isRemoved = true
    process?.stop(SIGQUIT, within: .seconds(5))
    process = nil
    FileTree.remove(directory)
  }

  /// An error with the last line of the server's log, which knows more.
  private func explained(_ error: StreamerError) -> StreamerError {
    guard let bytes = try? FileReading.read("\(directory)/log", limit: 1 << 20) else {
      return error
    }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard error.what != "interrupted", let line = lines.last(where: { !$0.isEmpty }) else {
      return error
    }
    return StreamerError(what: error.what, why: "\(error.why); its log ends with: \(line)")
  }

  private static func account(of name: String) throws(StreamerError) -> (user: uid_t, group: gid_t)
  {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    // SAFETY: the entry's strings lie in the buffer and are not used.
    guard unsafe getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, unsafe found != nil
    else {
      throw StreamerError(
        what: "user \(name)", why: "there is none, and PostgreSQL does not run as root",
        hint: "Run the demo as another user.", exit: .preflight)
    }
    return unsafe (entry.pw_uid, entry.pw_gid)
  }
}
