import CLinux
import Glibc
import Synchronization

/// The look-up of a host name on a thread of its own, which may be left behind.
///
/// getaddrinfo(3) blocks as long as the resolver does and cannot be interrupted. When time is up, the
/// thread goes on alone and throws its result away. A limit on such threads keeps a dead resolver
/// from filling the process with them.
// SAFETY: the name and the port never change, the event descriptor is only written, polled and
// closed by the last owner, and the rest is behind a Mutex.
final class NameLookup: @unchecked Sendable {
  /// What a look-up gave: addresses, or getaddrinfo's status with errno as it was then.
  enum Outcome: Sendable {
    case found([(family: Int32, bytes: [UInt8], numeric: String)])
    case failed(status: Int32, error: Int32)
  }

  private static let running = Atomic<Int>(0)

  private let name: String
  private let port: UInt16
  private let finished: Int32
  private let outcome = Mutex<Outcome?>(nil)
  private let lookUp: @Sendable (String, UInt16) -> Outcome

  /// Looks a name up; nil when time was up first.
  ///
  /// `lookUp` is getaddrinfo except in tests. Throws ``PGError/connect(address:reason:)`` when too
  /// many look-ups are under way.
  static func run(
    _ name: String, port: UInt16, until deadline: Deadline,
    lookUp: @escaping @Sendable (String, UInt16) -> Outcome
  ) throws(PGError) -> Outcome? {
    guard running.add(1, ordering: .relaxed).newValue <= ConnectionLimits.nameLookups else {
      running.subtract(1, ordering: .relaxed)
      throw .connect(
        address: name,
        reason: "\(ConnectionLimits.nameLookups) look-ups of names still wait for the resolver. "
          + "Check the resolver, or give hostaddr")
    }
    guard let lookup = NameLookup(name, port, lookUp), lookup.start() else {
      running.subtract(1, ordering: .relaxed)
      throw .connect(address: name, reason: "no thread to look it up: \(systemError())")
    }
    return lookup.wait(until: deadline)
  }

  private init?(
    _ name: String, _ port: UInt16, _ lookUp: @escaping @Sendable (String, UInt16) -> Outcome
  ) {
    finished = eventfd(0, Int32(EFD_CLOEXEC))
    self.name = name
    self.port = port
    self.lookUp = lookUp
    if finished < 0 { return nil }
  }

  deinit { if finished >= 0 { close(finished) } }

  private func start() -> Bool {
    // SAFETY: the thread takes over the reference that the pointer holds.
    let context = unsafe Unmanaged.passRetained(self).toOpaque()
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<NameLookup>.fromOpaque(context).takeRetainedValue().work()
        }
        return nil
      }, context)
    guard status == 0 else {
      // SAFETY: no thread took the reference.
      unsafe Unmanaged<NameLookup>.fromOpaque(context).release()
      errno = status
      return false
    }
    pthread_detach(thread)
    return true
  }

  private func work() {
    unsafe clinux_name_thread("name-lookup")
    let result = lookUp(name, port)
    outcome.withLock { $0 = result }
    Self.running.subtract(1, ordering: .relaxed)
    var one: UInt64 = 1
    // SAFETY: the value lives for the call and has the size that eventfd(2) wants.
    _ = unsafe write(finished, &one, MemoryLayout<UInt64>.size)
  }

  private func wait(until deadline: Deadline) -> Outcome? {
    var request = pollfd(fd: finished, events: Int16(POLLIN), revents: 0)
    while true {
      let timeout = deadline.pollTimeout
      let count = unsafe poll(&request, 1, timeout)
      if count > 0 { break }
      if count == 0, timeout == 0 || deadline.hasPassed { break }
      if count < 0, errno != EINTR { break }
    }
    return outcome.withLock { $0 }
  }
}
