import CLinux
import Glibc

/// A POSIX thread that is joined exactly once.
///
/// Long blocking work needs a thread of its own: a Task that blocks takes one of the few threads
/// of Swift's pool away from everything else.
struct PosixThread: ~Copyable, Sendable {
  private let handle: pthread_t

  /// Starts a thread that runs `body` under `name` (cut at 15 bytes) and ends with it.
  ///
  /// Throws `StreamerError` when the system has no thread left.
  init(name: String, _ body: @escaping @Sendable () -> Void) throws(StreamerError) {
    // The name and the body travel as one retained object, which the new thread releases.
    let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
    var handle = pthread_t()
    let code = unsafe pthread_create(&handle, nil, runThread, start.toOpaque())
    guard code == 0 else {
      unsafe start.release()
      throw StreamerError(errno: code, "thread \"\(name)\"")
    }
    self.handle = handle
  }

  deinit { pthread_detach(handle) }

  /// Waits until the thread has ended.
  consuming func join() {
    let code = pthread_join(handle, nil)
    precondition(code == 0, "a thread is joined once and never by itself")
    discard self
  }
}

/// What a new thread takes over.
private final class ThreadStart: Sendable {
  let name: String
  let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}

/// The C entry of every thread; a global function belongs to no actor.
private func runThread(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let raw = unsafe raw else { return nil }
  // SAFETY: the pointer is the object retained by PosixThread's initialiser.
  let start = unsafe Unmanaged<ThreadStart>.fromOpaque(raw).takeRetainedValue()
  unsafe clinux_name_thread(start.name)
  start.body()
  return nil
}
