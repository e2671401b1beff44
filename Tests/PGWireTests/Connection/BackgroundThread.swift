import Glibc
import Synchronization

/// A thread beside the test's own, for what must happen while that one waits.
final class BackgroundThread: Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: Mutex<pthread_t?>

  init(_ run: @escaping @Sendable () -> Void) {
    var new = pthread_t()
    // SAFETY: the thread takes over the reference that the pointer holds.
    let context = unsafe Unmanaged.passRetained(Body(run)).toOpaque()
    let status = unsafe pthread_create(
      &new, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(status == 0, "a thread can be started")
    thread = Mutex(new)
  }

  /// Waits for its end.
  func join() {
    if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
  }

  deinit { join() }
}
