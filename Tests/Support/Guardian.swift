import Glibc
import Synchronization

/// The process that cleans up behind the tests, however they end.
///
/// A small shell reads lines from a pipe whose only writer is the test process. When that process
/// is gone (a normal end, a trap, SIGKILL) the shell sees the end of the pipe, kills what is still
/// registered and removes the directories. A test that forgets its clean-up, or never gets to it,
/// therefore leaves no server running and no file behind.
enum Guardian {
  /// What the guardian does at the end.
  enum Duty: Sendable {
    /// Kill the process group of a child that was not reaped yet.
    case kill(pid_t)
    /// The child was reaped: its number may belong to somebody else by now.
    case forget(pid_t)
    /// Kill what `FILE`'s first line names (a postmaster.pid or the kit's pid file).
    case killPIDFile(String)
    /// Remove a directory tree.
    case remove(String)
  }

  private static let script = """
    trap '' INT TERM HUP
    alive=' ' files= trees=
    while read -r verb argument; do
      case $verb in
        kill) alive="$alive$argument " ;;
        forget) alive=$(printf %s "$alive" | sed "s/ $argument / /") ;;
        file) files="$files $argument" ;;
        remove) trees="$trees $argument" ;;
      esac
    done
    for pid in $alive; do kill -KILL -- "-$pid" 2>/dev/null; done
    for file in $files; do
      [ -f "$file" ] && kill -QUIT "$(head -n 1 "$file")" 2>/dev/null
    done
    [ -z "$files" ] || sleep 1
    for file in $files; do
      [ -f "$file" ] && kill -KILL "$(head -n 1 "$file")" 2>/dev/null
    done
    for tree in $trees; do rm -rf -- "$tree"; done
    """

  private static let pipe = Mutex<Int32>(start())

  /// Starts the guardian before the first child that could inherit the writing end of its pipe.
  static func ensureRunning() { pipe.withLock { _ in } }

  /// Registers a duty.
  ///
  /// A duty line is shorter than PIPE_BUF, so writes never mix.
  static func register(_ duty: Duty) {
    let line =
      switch duty {
      case .kill(let pid): "kill \(pid)\n"
      case .forget(let pid): "forget \(pid)\n"
      case .killPIDFile(let path): "file \(path)\n"
      case .remove(let path): "remove \(path)\n"
      }
    pipe.withLock { descriptor in
      _ = FileBytes.write(Array(line.utf8), to: descriptor)
    }
  }

  private static func start() -> Int32 {
    var ends: [Int32] = [-1, -1]
    precondition(unsafe Glibc.pipe(&ends) == 0, "the guardian has no pipe")
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    do {
      _ = try SpawnRequest(
        executable: "/bin/sh", arguments: ["-c", script], environment: [:], ownSession: true,
        standardInput: ends[0], standardOutput: nil, standardError: nil
      ).spawn()
    } catch {
      preconditionFailure("the guardian cannot start: \(error)")
    }
    close(ends[0])
    return ends[1]
  }
}
