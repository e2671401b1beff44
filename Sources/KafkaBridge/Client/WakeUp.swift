import CLinux
import CRdKafka
import Glibc

/// A reference to a queue of librdkafka and the descriptor that becomes readable when it fills.
@safe struct WakeUp: ~Copyable {
  /// The queue.
  let queue: OpaquePointer
  /// Readable when something was put into the empty queue; for an epoll set.
  let descriptor: CInt

  /// Takes over a reference to `queue` and makes it signal a new descriptor.
  init(_ queue: OpaquePointer) {
    unsafe self.queue = queue
    descriptor = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    precondition(descriptor >= 0, "the process has no descriptor left for a Kafka client")
    var one: UInt64 = 1
    // SAFETY: librdkafka copies the eight bytes.
    unsafe rd_kafka_queue_io_event_enable(queue, descriptor, &one, 8)
  }

  deinit {
    // Disabling waits for a write in progress, so the descriptor's number cannot be hit later.
    unsafe rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
    unsafe rd_kafka_queue_destroy(queue)
    _ = Glibc.close(descriptor)
  }

  /// Makes the descriptor readable, when something was left in the queue.
  borrowing func signal() {
    var one: UInt64 = 1
    _ = unsafe Glibc.write(descriptor, &one, 8)
  }

  /// Makes the descriptor unreadable; to be called before the queue is drained, never after.
  borrowing func clear() {
    var count: UInt64 = 0
    _ = unsafe Glibc.read(descriptor, &count, 8)
  }
}
