import Glibc

/// Why a file could not be read, in the system's words.
struct FileReadError: Error, Hashable, Sendable {
  /// The system's words: "No such file or directory".
  let reason: String
}

/// Reads a file's first bytes, at most as many as the second argument says.
typealias FileReader = @Sendable (String, Int) throws(FileReadError) -> [UInt8]

/// Reads small files whole.
enum FileReading {
  /// The first `limit` bytes of the file at `path`.
  static func read(_ path: String, limit: Int) throws(FileReadError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .current }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: min(max(limit, 1), 64 << 10))
    while bytes.count < limit {
      let wanted = min(chunk.count, limit - bytes.count)
      // SAFETY: the chunk has room for `wanted` bytes.
      let count = unsafe chunk.withUnsafeMutableBytes {
        unsafe Glibc.read(descriptor, $0.baseAddress, wanted)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .current }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }
}

extension FileReadError {
  /// What `errno` says.
  static var current: FileReadError {
    // SAFETY: strerror's text is copied at once; only start-up calls this.
    FileReadError(reason: unsafe String(cString: strerror(errno)))
  }
}
