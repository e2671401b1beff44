import Glibc

/// One call of posix_spawnp: what a child gets and nothing else.
struct SpawnRequest {
  let executable: String
  let arguments: [String]
  /// Added to the environment of this process, from which PostgreSQL's own variables are removed.
  let environment: [String: String]
  /// A session of its own instead of a process group of its own: no terminal signal reaches it.
  var ownSession = false
  /// Descriptors for the child's 0, 1, 2; nil is /dev/null.
  let standardInput: Int32?
  let standardOutput: Int32?
  let standardError: Int32?

  /// Starts the child with default signal dispositions and no other descriptor of ours.
  ///
  /// - Throws: `SupportError` when the program cannot be started.
  func spawn() throws -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (target, descriptor) in [(0, standardInput), (1, standardOutput), (2, standardError)] {
      if let descriptor {
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(target))
      } else {
        unsafe posix_spawn_file_actions_addopen(&actions, Int32(target), "/dev/null", O_RDWR, 0)
      }
    }
    // The Glibc module lacks addclosefrom_np. Closing what is not open is no error here, and a test
    // process has few descriptors.
    for descriptor in Int32(3)..<256 {
      unsafe posix_spawn_file_actions_addclose(&actions, descriptor)
    }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe posix_spawnattr_setsigmask(&attributes, &signals)
    unsafe sigfillset(&signals)
    unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
    let setSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which the Glibc module does not show
    let group = ownSession ? setSession : Int32(POSIX_SPAWN_SETPGROUP)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(group | Int32(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)))

    // SAFETY: the copies of strdup live until the defer below, after the call has used them.
    let argv = unsafe CStrings([executable] + arguments)
    let envp = unsafe CStrings(environmentLines())
    defer { unsafe argv.free(); unsafe envp.free() }
    var child: pid_t = 0
    let failure = unsafe posix_spawnp(
      &child, executable, &actions, &attributes, argv.pointers, envp.pointers)
    guard failure == 0 else {
      throw SupportError("cannot start \(executable): \(unsafe String(cString: strerror(failure)))")
    }
    return child
  }

  private func environmentLines() -> [String] {
    var result = TestEnvironment.all.filter { name, _ in
      !name.hasPrefix("PG") || name == "PG_BIN"
    }
    result["LC_ALL"] = "C"
    result.merge(environment) { _, new in new }
    return result.map { "\($0.key)=\($0.value)" }
  }
}

/// The environment of this process.
public enum TestEnvironment {
  /// Every variable.
  public static var all: [String: String] {
    var result: [String: String] = [:]
    guard let text = try? FileBytes.environment() else { return result }
    for line in text.split(separator: 0) {
      guard let mark = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let name = String(decoding: line[..<mark], as: UTF8.self)
      result[name] = String(decoding: line[line.index(after: mark)...], as: UTF8.self)
    }
    return result
  }

  /// One variable; nil when it is not set or empty.
  public static subscript(name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    return text.isEmpty ? nil : text
  }
}

extension FileBytes {
  fileprivate static func environment() throws -> [UInt8] {
    let descriptor = unsafe open("/proc/self/environ", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SupportError("cannot read the environment") }
    defer { close(descriptor) }
    return contents(of: descriptor)
  }
}

/// A NULL-terminated array of C strings.
@unsafe private struct CStrings {
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ strings: [String]) {
    unsafe pointers = unsafe strings.map { unsafe strdup($0) } + [nil]
  }

  func free() {
    unsafe pointers.forEach { unsafe Glibc.free($0) }
  }
}
