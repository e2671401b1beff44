import CLinux
import Glibc

/// An epoll set: one thread waits here for all its descriptors at once.
///
/// It is level-triggered: what is not read or written now is reported again by the next wait.
@safe struct Poller: ~Copyable {
  /// What a descriptor is watched for.
  struct Interest: OptionSet, Sendable {
    let rawValue: UInt32
    /// Bytes, a connection, or the end of the stream can be read.
    static let readable = Interest(rawValue: EPOLLIN.rawValue | EPOLLRDHUP.rawValue)
    /// Bytes can be written.
    static let writable = Interest(rawValue: EPOLLOUT.rawValue)
  }

  /// What one descriptor is ready for.
  struct Event: Hashable, Sendable {
    /// The tag given to ``watch(_:tag:for:)``.
    let tag: UInt64
    /// epoll's own bits.
    let bits: UInt32

    private static let failed = EPOLLERR.rawValue | EPOLLHUP.rawValue
    /// Whether a read will not block; an error counts, since the read tells which one.
    var isReadable: Bool { bits & (Interest.readable.rawValue | Self.failed) != 0 }
    /// Whether the peer sends nothing more.
    var hasPeerEnded: Bool { bits & (EPOLLRDHUP.rawValue | Self.failed) != 0 }
    /// Whether a write will not block; an error counts, since the write tells which one.
    var isWritable: Bool { bits & (Interest.writable.rawValue | Self.failed) != 0 }
  }

  private let descriptor: CInt
  private let events: UnsafeMutablePointer<epoll_event>
  private let capacity: Int
  /// How many events the last wait has found.
  private(set) var count = 0
  // Linux below 5.11 lacks epoll_pwait2; then timeouts are rounded up to milliseconds.
  private var hasNanoseconds = true

  /// Makes an empty set that reports up to `capacity` events in one wait.
  ///
  /// Throws `StreamerError` when the process has no descriptor left.
  init(capacity: Int = 16) throws(StreamerError) {
    precondition(capacity > 0, "a poller reports at least one event at a time")
    descriptor = try SystemCall.retrying("epoll") { epoll_create1(CInt(EPOLL_CLOEXEC)) }
    self.capacity = capacity
    unsafe events = .allocate(capacity: capacity)
    unsafe events.initialize(repeating: epoll_event(), count: capacity)
  }

  deinit {
    close(descriptor)
    unsafe events.deallocate()
  }

  /// Watches a descriptor from now on, or changes what it is watched for.
  ///
  /// No interest takes it out of the set: otherwise a peer that hangs up while its bytes are not
  /// wanted would be reported by every wait.
  ///
  /// Throws `StreamerError` when the kernel refuses the descriptor.
  func watch(_ watched: CInt, tag: UInt64, for interest: Interest) throws(StreamerError) {
    if interest.isEmpty { return forget(watched) }
    if control(EPOLL_CTL_MOD, watched, tag: tag, interest) { return }
    let code = errno
    if code == ENOENT, control(EPOLL_CTL_ADD, watched, tag: tag, interest) { return }
    throw StreamerError(errno: errno, "watching descriptor \(watched)")
  }

  /// Takes a descriptor out of the set; one that is not in it is fine.
  ///
  /// To be called before the descriptor is closed.
  func forget(_ watched: CInt) { _ = control(EPOLL_CTL_DEL, watched, tag: 0, []) }

  private func control(
    _ operation: CInt, _ watched: CInt, tag: UInt64, _ interest: Interest
  ) -> Bool {
    var event = unsafe clinux_epoll_event(interest.rawValue, tag)
    return unsafe epoll_ctl(descriptor, operation, watched, &event) == 0
  }

  /// Sleeps until a descriptor is ready or the time is over, and says how many are ready.
  ///
  /// nil waits for ever, zero or less does not wait. A signal ends the wait with 0.
  /// The events are read with the subscript until the next wait.
  ///
  /// Throws `StreamerError` only for a broken set.
  @discardableResult
  mutating func wait(timeout: Duration?) throws(StreamerError) -> Int {
    count = 0
    var found = hasNanoseconds ? waitPrecisely(timeout) : waitMilliseconds(timeout)
    if found < 0, errno == ENOSYS, hasNanoseconds {
      hasNanoseconds = false
      found = waitMilliseconds(timeout)
    }
    guard found >= 0 else {
      let code = errno
      if code == EINTR { return 0 }
      throw StreamerError(errno: code, "waiting for descriptors")
    }
    count = Int(found)
    return count
  }

  private func waitPrecisely(_ timeout: Duration?) -> CInt {
    guard let timeout else {
      return unsafe epoll_pwait2(descriptor, events, CInt(capacity), nil, nil)
    }
    let (seconds, attoseconds) = max(timeout, .zero).components
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    return unsafe epoll_pwait2(descriptor, events, CInt(capacity), &time, nil)
  }

  private func waitMilliseconds(_ timeout: Duration?) -> CInt {
    unsafe epoll_wait(descriptor, events, CInt(capacity), Self.milliseconds(timeout))
  }

  /// epoll_wait's timeout: -1 for ever, else milliseconds rounded up, so as never to spin.
  static func milliseconds(_ timeout: Duration?) -> CInt {
    guard let timeout else { return -1 }
    let (seconds, attoseconds) = max(timeout, .zero).components
    let part = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    return overflow ? CInt.max : CInt(clamping: whole &+ part)
  }

  /// One of the events that the last wait has found.
  subscript(index: Int) -> Event {
    precondition(index >= 0 && index < count, "an event lies outside of what was found")
    // SAFETY: index < count ≤ capacity, and the kernel has written that many.
    return unsafe Event(
      tag: clinux_epoll_data(events + index), bits: events[index].events)
  }
}
