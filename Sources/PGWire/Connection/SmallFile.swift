import Glibc

/// A small plain file that is read as a whole.
enum SmallFile {
  /// What reading gave.
  enum Outcome {
    case missing
    case refused(String)
    case contents([UInt8])
  }

  /// Reads the whole file if it is a plain one of at most `limit` bytes.
  ///
  /// A private one holds a secret: it is refused when anybody but its owner may read it.
  static func read(_ path: String, limit: Int, isPrivate: Bool = false) -> Outcome {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      return errno == ENOENT || errno == ENOTDIR ? .missing : .refused(systemError())
    }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return .refused(systemError()) }
    guard status.st_mode & S_IFMT == S_IFREG else { return .refused("it is no plain file") }
    guard !isPrivate || status.st_mode & 0o077 == 0 else {
      return .refused("others may read it. Run chmod 0600 on it")
    }
    guard status.st_size <= limit else { return .refused("it is larger than \(limit) bytes") }
    var contents: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while contents.count <= limit {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return .refused(systemError()) }
      if count == 0 { return .contents(contents) }
      contents += chunk.prefix(count)
    }
    return .refused("it is larger than \(limit) bytes")
  }
}

/// The text of an error number; by default of the last system call's.
func systemError(_ number: Int32 = errno) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  // SAFETY: strerror_r writes at most the buffer's size and ends it with a zero.
  guard unsafe strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
  let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
  return String(decoding: bytes, as: UTF8.self)
}

/// Whether this process may read the file.
func isReadable(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }
