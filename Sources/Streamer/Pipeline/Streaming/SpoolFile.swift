import CLinux
import Glibc

/// The file of all open transactions of a connection, in blocks of ``Limits/spoolBlockBytes`` that are
/// used again: one descriptor, however many transactions are open.
///
/// It has no name, so it is gone with the process however that ends. What is given back goes back to
/// the disk at once where the file system can punch holes, and elsewhere when the last block does.
///
/// A class because the transactions share it; the pipeline's thread alone uses it.
final class SpoolFile {
  fileprivate let descriptor: CInt
  private var free: [Int] = []
  private var count = 0

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

  /// The number of a block that nobody uses.
  fileprivate func takeBlock() -> Int {
    if let block = free.popLast() { return block }
    count += 1
    return count - 1
  }

  /// Takes blocks back, and lets the disk have them.
  fileprivate func giveBack(_ blocks: some Sequence<Int>) {
    let sorted = blocks.sorted(by: >)
    free += sorted
    var run = 0
    for (index, block) in sorted.enumerated() {
      run += 1
      if index + 1 < sorted.count, sorted[index + 1] == block - 1 { continue }
      let size = Limits.spoolBlockBytes
      // Where it is refused the blocks are there for the next.
      _ = clinux_punch_hole(descriptor, off_t(block * size), off_t(run * size))
      run = 0
    }
  }

  /// How many bytes are free for files in a directory; nil when it cannot be said.
  static func freeBytes(in directory: String) -> Int? {
    var info = statvfs()
    guard unsafe statvfs(directory, &info) == 0 else { return nil }
    return Int(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
  }
}

/// What one open transaction has in the spool's file: its blocks go back with it.
@safe struct SpoolExtent: ~Copyable {
  private let file: SpoolFile
  private var blocks: [Int] = []
  /// How many bytes it is.
  private(set) var length = 0

  /// Makes an empty one.
  init(in file: SpoolFile) {
    self.file = file
    // Enough for all but large transactions, so that these alone allocate as they grow.
    blocks.reserveCapacity(16)
  }

  deinit { file.giveBack(blocks) }

  /// Where a byte lies in the file, and how many follow it there in the same block.
  private func place(of offset: Int) -> (at: off_t, room: Int) {
    let size = Limits.spoolBlockBytes
    let (block, rest) = offset.quotientAndRemainder(dividingBy: size)
    return (off_t(blocks[block] * size + rest), size - rest)
  }

  /// Writes bytes behind those that are there.
  mutating func append(_ bytes: RawSpan) throws(SpoolFault) {
    let end = length + bytes.byteCount
    while blocks.count * Limits.spoolBlockBytes < end { blocks.append(file.takeBlock()) }
    var done = 0
    while done < bytes.byteCount {
      let (at, room) = place(of: length + done)
      let rest = bytes.extracting(done..<min(done + room, bytes.byteCount))
      let written = unsafe rest.withUnsafeBytes { buffer in
        unsafe pwrite(file.descriptor, buffer.baseAddress, buffer.count, at)
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw .write(written < 0 ? errno : ENOSPC) }
      done += written
    }
    length = end
  }

  /// Reads up to as many bytes as there is room for, at least one.
  func read(
    into room: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(SpoolFault) -> Int {
    let (at, rest) = place(of: offset)
    while true {
      let count = unsafe pread(file.descriptor, room.baseAddress, min(room.count, rest), at)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .read(count < 0 ? errno : EIO) }
      return count
    }
  }

  /// Cuts it off at a length.
  mutating func truncate(to length: Int) {
    let kept = (length + Limits.spoolBlockBytes - 1) / Limits.spoolBlockBytes
    file.giveBack(blocks[kept...])
    blocks.removeSubrange(kept...)
    self.length = length
  }
}
