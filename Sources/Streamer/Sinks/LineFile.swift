import Glibc

/// A file of JSON lines: recognised, cut to whole lines, appended to, rotated.
///
/// Its owner alone may read it unless its mode says otherwise, since it holds what the tables hold.
struct LineFile: Sendable {
  private let path: String
  private let rotateSize: Int?
  private let mode: mode_t
  private let sync: @Sendable (CInt) -> CInt
  private var descriptor: CInt = -1
  private var size = 0

  /// The file at `path`; `sync` stands in for fsync in tests.
  init(
    path: String, rotateSize: Int?, mode: mode_t = 0o600,
    sync: @escaping @Sendable (CInt) -> CInt = { fsync($0) }
  ) {
    self.mode = mode
    self.path = path
    self.rotateSize = rotateSize
    self.sync = sync
  }

  /// Opens the file for appending, and makes it when it is not there.
  ///
  /// A line that a crash left unfinished was never acknowledged and comes again, so it is cut off.
  /// Throws `StreamerError` for whatever is not a file of such lines: nothing of it is changed.
  mutating func open() throws(StreamerError) {
    // Not through a symbolic link, behind which anybody's file could lie, and no waiting for a pipe.
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let opened = unsafe Glibc.open(path, flags, mode)
    guard opened >= 0 else {
      if errno == ELOOP { throw foreign("it is a symbolic link") }
      throw Self.fault("cannot open \(path)", errno)
    }
    do throws(StreamerError) {
      size = try recover(opened)
      // A file that has just been made must be found after a power cut as well.
      if size == 0 { try syncFolder() }
    } catch {
      Glibc.close(opened)
      throw error
    }
    descriptor = opened
  }

  /// Lets go of the file.
  func close() { if descriptor >= 0 { Glibc.close(descriptor) } }

  /// Writes all of `lines` and makes them durable, unless `abandoned` becomes readable; says what
  /// went wrong.
  mutating func write(_ lines: [UInt8], unless abandoned: CInt) -> StreamerError? {
    guard descriptor >= 0 else { return Self.fault("cannot write to \(path)", EBADF) }
    var written = 0
    while written < lines.count {
      guard descriptor.waitUntilWritable(unless: abandoned) else { return LineOutput.givenUp }
      let count = unsafe lines[written...].withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return Self.fault("cannot write to \(path)", errno)
      }
      written += count
    }
    size += lines.count
    guard sync(descriptor) == 0 else { return Self.fault("cannot fsync \(path)", errno) }
    do throws(StreamerError) {
      try rotateIfLarge()
      return nil
    } catch { return error }
  }

  /// Renames a large file and begins the next one; both names are on disk before its lines count.
  private mutating func rotateIfLarge() throws(StreamerError) {
    guard let rotateSize, size >= rotateSize else { return }
    var number = 1
    while unsafe access("\(path).\(number)", F_OK) == 0 { number += 1 }
    guard unsafe rename(path, "\(path).\(number)") == 0 else {
      throw Self.fault("cannot rotate \(path)", errno)
    }
    Glibc.close(descriptor)
    descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    size = 0
    guard descriptor >= 0 else { throw Self.fault("cannot open \(path)", errno) }
    try syncFolder()
  }

  private func syncFolder() throws(StreamerError) {
    let folder = FileAccess.directory(of: path)
    let opened = unsafe Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard opened >= 0 else { throw Self.fault("cannot open \(folder)", errno) }
    defer { Glibc.close(opened) }
    guard sync(opened) == 0 else { throw Self.fault("cannot fsync \(folder)", errno) }
  }
}

extension LineFile {
  /// Cuts the file to whole lines and goes to its end; gives its size.
  private func recover(_ descriptor: CInt) throws(StreamerError) -> Int {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw unreadable }
    guard status.st_mode & S_IFMT == S_IFREG else { throw foreign("it is no ordinary file") }
    var end = Int(status.st_size)
    if end > 0 {
      guard try bytes(descriptor, 0..<1).first == UInt8(ascii: "{") else {
        throw foreign("it does not begin with a JSON event")
      }
      let lineStart = try startOfLastLine(descriptor, end)
      if lineStart < end {
        var line = UnfinishedLine()
        for start in stride(from: lineStart, to: end, by: Limits.lineBlockBytes) {
          line.read(try bytes(descriptor, start..<min(end, start + Limits.lineBlockBytes)))
        }
        guard line.isOurs else { throw foreign("its last line is not part of a JSON event") }
        // Only the line's end is missing: the event stays, and comes again after it.
        if line.isWhole {
          guard unsafe pwrite(descriptor, "\n", 1, off_t(end)) == 1 else { throw unreadable }
          end += 1
        } else {
          guard ftruncate(descriptor, off_t(lineStart)) == 0 else { throw unreadable }
          end = lineStart
        }
      }
    }
    guard lseek(descriptor, off_t(end), SEEK_SET) == end else { throw unreadable }
    return end
  }

  /// Behind the last line feed; `end` itself when the file ends with one.
  private func startOfLastLine(_ descriptor: CInt, _ end: Int) throws(StreamerError) -> Int {
    var end = end
    while end > 0 {
      let start = max(0, end - Limits.lineBlockBytes)
      let block = try bytes(descriptor, start..<end)
      if let place = block.lastIndex(of: UInt8(ascii: "\n")) { return start + place + 1 }
      end = start
    }
    return 0
  }

  private func bytes(_ descriptor: CInt, _ range: Range<Int>) throws(StreamerError) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: range.count)
    let count = unsafe pread(descriptor, &block, range.count, off_t(range.lowerBound))
    guard count == range.count else { throw unreadable }
    return block
  }

  private var unreadable: StreamerError { Self.fault("cannot prepare \(path)", errno) }

  private func foreign(_ why: String) -> StreamerError {
    StreamerError(
      what: "file \(path)", why: why, hint: "Set path to a file of its own, or move this one away.",
      exit: .preflight)
  }

  /// What a system call's failure means for a sink that writes.
  static func fault(_ what: String, _ code: CInt) -> StreamerError {
    StreamerError(
      what: what, why: SystemCall.text(of: code),
      hint: "Mend that; nothing is lost, it goes on where it stood.", retryable: true)
  }
}

/// A last line without its line feed, read block by block: whether we may have begun it, and
/// whether it lacks nothing else.
struct UnfinishedLine {
  private var isStarted = false
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  /// Whether it begins as an event does and holds no byte that JSON text cannot hold.
  private(set) var isOurs = true
  /// Whether the event is complete.
  private(set) var isWhole = false

  /// Reads on.
  mutating func read(_ bytes: [UInt8]) {
    for byte in bytes {
      if !isStarted {
        isStarted = true
        isOurs = byte == UInt8(ascii: "{")
      }
      // Behind its closing brace nothing of an event follows.
      if byte < 0x20 || isWhole { isOurs = false }
      if isEscaped {
        isEscaped = false
      } else if isInString {
        isEscaped = byte == UInt8(ascii: "\\")
        if byte == UInt8(ascii: "\"") { isInString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          depth -= 1
          isWhole = depth == 0
        default: break
        }
      }
    }
  }
}
