import Glibc

/// The lock that keeps a second process from moving the same positions.
///
/// It is a file beside the store with the owner's process id in it. The lock itself is the
/// kernel's: it goes with the process, however that ends, and so a stale file does no harm.
struct StoreLock: ~Copyable, Sendable {
  private let descriptor: CInt

  /// Takes the lock of the store at `path`, or fails at once.
  ///
  /// Throws `StreamerError` when another process has it, or when the file cannot be made because
  /// its directory is missing or closed to us.
  init(of path: String, name: String) throws(StreamerError) {
    let file = path + ".lock"
    let opened = unsafe open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard opened >= 0 else {
      throw StreamerError(
        errno: errno, name, hint: "The directory of store must exist and be writable.",
        exit: .preflight)
    }
    guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      defer { close(opened) }
      guard code == EWOULDBLOCK else { throw StreamerError(errno: code, name) }
      throw StreamerError(
        what: name, why: "in use by \(Self.owner(opened))",
        hint: "Stop that process, or give this one a store of its own.", exit: .preflight)
    }
    descriptor = opened
    _ = ftruncate(opened, 0)
    let line = "\(getpid())\n"
    // The number only serves the message above, so a full disk is no reason to stop here.
    _ = unsafe pwrite(opened, line, line.utf8.count, 0)
  }

  deinit { close(descriptor) }

  private static func owner(_ descriptor: CInt) -> String {
    var digits = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(descriptor, &digits, digits.count, 0)
    let text = String(decoding: digits.prefix(max(count, 0)).prefix { $0 != 10 }, as: UTF8.self)
    return Int32(text).map { "process \($0)" } ?? "another process"
  }
}
