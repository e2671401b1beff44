import Glibc
import PGWire

/// A file for one open transaction: it has no name, so it is gone with the process however that ends.
@safe struct SpoolFile: ~Copyable {
  private let descriptor: CInt

  /// Makes an empty file in a directory.
  init(in directory: String) throws(SpoolFault) {
    var template = Array("\(directory)/psql-streamer-spool-XXXXXX".utf8CString)
    // SAFETY: mkstemp writes into the array, which ends with a zero byte.
    descriptor = unsafe template.withUnsafeMutableBufferPointer { name in
      guard let name = name.baseAddress else { return -1 }
      let descriptor = unsafe mkstemp(name)
      if descriptor >= 0 {
        _ = unsafe unlink(name)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      }
      return descriptor
    }
    guard descriptor >= 0 else { throw .open(directory, errno) }
  }

  deinit { _ = close(descriptor) }

  /// Writes bytes at an offset.
  func write(_ bytes: RawSpan, at offset: Int) throws(SpoolFault) {
    var done = 0
    while done < bytes.byteCount {
      let rest = bytes.extracting(done..<bytes.byteCount)
      let written = unsafe rest.withUnsafeBytes { buffer in
        unsafe pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(offset + done))
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw .write(written < 0 ? errno : ENOSPC) }
      done += written
    }
  }

  /// Reads up to as many bytes as there is room for, at least one.
  func read(
    into room: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(SpoolFault) -> Int {
    while true {
      let count = unsafe pread(descriptor, room.baseAddress, room.count, off_t(offset))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .read(count < 0 ? errno : EIO) }
      return count
    }
  }

  /// Cuts the file off at a length.
  func truncate(to length: Int) throws(SpoolFault) {
    guard ftruncate(descriptor, off_t(length)) == 0 else { throw .write(errno) }
  }

  /// How many bytes are free for files in a directory; nil when it cannot be said.
  static func freeBytes(in directory: String) -> Int? {
    var info = statvfs()
    guard unsafe statvfs(directory, &info) == 0 else { return nil }
    return Int(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
  }
}
