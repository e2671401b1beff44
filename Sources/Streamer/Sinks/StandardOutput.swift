import Glibc
import Synchronization

/// Standard output as lines are written to it, without ever being stuck in a write.
///
/// A pipe that nobody reads lets a write block for ever. Setting O_NONBLOCK would change it for
/// everybody who shares the pipe, so a pipe is opened once more for ourselves. Where that is not
/// possible, pieces are written that a pipe takes whole once it says that it takes something.
struct StandardOutput: Sendable {
  /// Whether what was written last ended inside a line; whoever writes next ends it.
  final class Line: Sendable {
    /// The process' own.
    static let shared = Line()
    fileprivate let isCut = Mutex(false)
  }

  private let line: Line
  private let shared: CInt
  // Opened by us alone; negative when there is none.
  private var own: CInt = -1

  /// Standard output, or for tests another descriptor, which stays its owner's.
  init(_ descriptor: CInt = STDOUT_FILENO, _ line: Line = .shared) {
    shared = descriptor
    self.line = line
  }

  /// Makes it ready.
  mutating func open() {
    var status = stat()
    guard unsafe fstat(shared, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
    own = unsafe Glibc.open("/proc/self/fd/\(shared)", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
  }

  /// Lets go of what it has opened.
  func close() { if own >= 0 { Glibc.close(own) } }

  /// Writes all of `lines`, unless `abandoned` becomes readable; says what went wrong.
  mutating func write(_ lines: [UInt8], unless abandoned: CInt) -> StreamerError? {
    let lines = line.isCut.withLock { $0 } ? [UInt8(ascii: "\n")] + lines : lines
    let descriptor = own >= 0 ? own : shared
    let piece = own >= 0 ? Int.max : Int(PIPE_BUF)
    var written = 0
    defer {
      if written > 0 {
        line.isCut.withLock { $0 = lines[written - 1] != UInt8(ascii: "\n") }
      }
    }
    while written < lines.count {
      guard descriptor.waitUntilWritable(unless: abandoned) else { return LineOutput.givenUp }
      let count = unsafe lines[written...].prefix(piece).withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
      }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        // Somebody read from a pipe and has gone: no trying again brings him back.
        if errno == EPIPE { return .readerGone }
        return LineFile.fault("cannot write to standard output", errno)
      }
      written += count
    }
    return nil
  }
}
