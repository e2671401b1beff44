import Glibc
import Synchronization

/// Asks a thread to end, which may wait for something else meanwhile.
///
/// A class, because the thread and whoever ends it share it.
final class StopRequest: Sendable {
  private let descriptor: EventDescriptor
  private let flag = Atomic<Bool>(false)

  /// Throws when the system has no descriptor left.
  init() throws(StreamerError) { descriptor = try EventDescriptor() }

  /// Asks; waits end at once from now on.
  func make() {
    flag.store(true, ordering: .releasing)
    descriptor.signal()
  }

  /// Whether it was made.
  var isMade: Bool { flag.load(ordering: .acquiring) }

  /// Waits, until it is made at most.
  func wait(_ pause: Duration) {
    var entry = pollfd(fd: descriptor.descriptor, events: Int16(POLLIN), revents: 0)
    _ = unsafe poll(&entry, 1, CInt(clamping: Int(pause.inSeconds * 1_000)))
  }
}
