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
    // Not through a symbolic link, behind which anybody's file could lie, and no waiting for a pipe.
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let opened = unsafe open(file, flags, 0o600)
    guard opened >= 0 else {
      if errno == ELOOP { throw Self.foreign(file, "it is a symbolic link") }
      throw StreamerError(
        errno: errno, name, hint: "The directory of store must exist and be writable.",
        exit: .preflight)
    }
    guard Self.isOurs(opened) else {
      close(opened)
      throw Self.foreign(file, "it is another program's file")
    }
    guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      defer { close(opened) }
      guard code == EWOULDBLOCK else { throw StreamerError(errno: code, name) }
      throw StreamerError(
        what: name, why: "in use by \(Self.owner(opened))",
        hint: "Stop that process, or give this one a store of its own.", cause: .storeInUse)
    }
    descriptor = opened
    _ = ftruncate(opened, 0)
    let line = "\(getpid())\n"
    // The number only serves the message above, so a full disk is no reason to stop here.
    _ = unsafe pwrite(opened, line, line.utf8.count, 0)
  }

  deinit { close(descriptor) }

  /// Whether it is a file with nothing in it but the process id that an owner leaves there.
  private static func isOurs(_ descriptor: CInt) -> Bool {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return false
    }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
    guard count >= 0, status.st_size == 0 || count < bytes.count else { return false }
    return bytes.prefix(count).allSatisfy { (0x30...0x39).contains($0) || $0 == 0x0A }
  }

  private static func foreign(_ file: String, _ why: String) -> StreamerError {
    StreamerError(
      what: "lock \(file)", why: why, hint: "Move it away, or set store to another path.",
      exit: .preflight)
  }

  private static func owner(_ descriptor: CInt) -> String {
    var digits = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(descriptor, &digits, digits.count, 0)
    let text = String(decoding: digits.prefix(max(count, 0)).prefix { $0 != 10 }, as: UTF8.self)
    return Int32(text).map { "process \($0)" } ?? "another process"
  }
}
