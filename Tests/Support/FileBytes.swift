public import Glibc

/// Whole files and descriptors as bytes and text, for tests.
public enum FileBytes {
  /// The text of a file.
  ///
  /// - Throws: `SupportError` when it cannot be opened.
  public static func text(of path: String) throws -> String {
    String(decoding: try bytes(of: path), as: UTF8.self)
  }

  /// The bytes of a file.
  ///
  /// - Throws: `SupportError` when it cannot be opened.
  public static func bytes(of path: String) throws -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SupportError("cannot read \(path): \(lastError())") }
    defer { close(descriptor) }
    return contents(of: descriptor)
  }

  /// Writes a file anew, with the mode given.
  ///
  /// - Throws: `SupportError` when it cannot be written.
  public static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    try write(bytes: Array(text.utf8), to: path, mode: mode)
  }

  /// Writes bytes as a file anew, with the mode given.
  ///
  /// - Throws: `SupportError` when it cannot be written.
  public static func write(bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw SupportError("cannot write \(path): \(lastError())") }
    defer { close(descriptor) }
    guard write(bytes, to: descriptor) else {
      throw SupportError("cannot write \(path): \(lastError())")
    }
  }

  /// How many bytes a file has; none where there is no file.
  public static func size(of path: String) -> Int {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Whether something exists at a path.
  public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Everything a regular file holds by now, whatever its offset.
  static func contents(of descriptor: Int32) -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe pread(descriptor, &chunk, chunk.count, off_t(all.count))
      guard count > 0 else { return all }
      all += chunk[..<count]
    }
  }

  /// Writes all bytes; false when the other side is gone.
  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

/// What went wrong in the test's own equipment.
public struct SupportError: Error, CustomStringConvertible {
  /// One sentence.
  public let description: String

  /// An error with that sentence.
  public init(_ description: String) { self.description = description }
}

/// The text of the last failed system call of this thread.
func lastError() -> String { unsafe String(cString: strerror(errno)) }
