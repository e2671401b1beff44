import CLinux
import Glibc

/// An eventfd: a counter that one thread raises and another waits for.
struct EventDescriptor: ~Copyable, Sendable {
  /// The descriptor, readable while the counter is above zero; it stays this value's own.
  let descriptor: CInt

  /// Makes a counter at zero.
  ///
  /// Throws `StreamerError` when the process has no descriptor left.
  init() throws(StreamerError) {
    descriptor = try SystemCall.retrying("eventfd") {
      eventfd(0, CInt(EFD_CLOEXEC) | CInt(EFD_NONBLOCK))
    }
  }

  deinit { close(descriptor) }

  /// Raises the counter by one; any thread may call it.
  func signal() {
    var one: UInt64 = 1
    // Only a full counter could refuse (EAGAIN), and then the reader wakes up anyway.
    while unsafe write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  /// Sets the counter back to zero; true when it was above.
  @discardableResult func drain() -> Bool {
    var count: UInt64 = 0
    while true {
      if unsafe read(descriptor, &count, 8) == 8 { return true }
      if errno != EINTR { return false }
    }
  }

  /// Blocks until the counter is above zero and sets it back.
  func wait() {
    while !drain() {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      _ = unsafe poll(&entry, 1, -1)
    }
  }
}
