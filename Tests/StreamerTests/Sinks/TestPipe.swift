import Glibc
import Support
import Synchronization

/// A pipe whose reader reads only when the test says so.
final class TestPipe: Sendable {
  private struct Reading: Sendable {
    var descriptor: CInt
    var bytes: [UInt8] = []
  }

  /// The end that is written to; it blocks, as a program's standard output does.
  let writing: CInt
  private let reading: Mutex<Reading>

  init() throws {
    // As the program does at its start.
    signal(SIGPIPE, SIG_IGN)
    var ends: [CInt] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw SupportError("no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // Two pages (F_SETPIPE_SZ): soon full, and a few lines leave room for more.
    _ = fcntl(ends[1], 1031, 8192)
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    writing = ends[1]
    reading = Mutex(Reading(descriptor: ends[0]))
  }

  deinit {
    closeReading()
    close(writing)
  }

  /// Goes away, as a program does that read enough.
  func closeReading() {
    reading.withLock { reading in
      if reading.descriptor >= 0 { close(reading.descriptor) }
      reading.descriptor = -1
    }
  }

  /// Whether nothing more goes in.
  var isFull: Bool {
    var room = pollfd(fd: writing, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&room, 1, 0) == 0
  }

  /// Fills it up, so that nothing more goes in.
  func fill() {
    while !isFull {
      let filler = [UInt8](repeating: 0x2E, count: 4095) + [0x0A]
      _ = unsafe write(writing, filler, filler.count)
    }
  }

  /// Reads and forgets what is in it.
  func empty() {
    _ = take()
    reading.withLock { $0.bytes = [] }
  }

  /// What has been read so far and is read now.
  @discardableResult func take() -> [UInt8] {
    reading.withLock { reading in
      var block = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = unsafe read(reading.descriptor, &block, block.count)
        guard count > 0 else { return reading.bytes }
        reading.bytes += block.prefix(count)
      }
    }
  }

  /// The lines that have come through, once there are `count` of them.
  func lines(_ count: Int) -> [String] {
    var lines: [String] = []
    try? eventually(every: .milliseconds(1), "\(count) lines") {
      lines = String(decoding: take(), as: UTF8.self).split(separator: "\n").map(String.init)
      return lines.count >= count
    }
    return lines
  }
}
