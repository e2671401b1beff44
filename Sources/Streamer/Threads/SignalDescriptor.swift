import CLinux
import Glibc
import Synchronization

/// A signalfd: signals become readable bytes instead of interrupting a thread anywhere.
///
/// It is made before any other thread starts, because new threads inherit the blocked signals
/// of the one that made them.
struct SignalDescriptor: ~Copyable, Sendable {
  /// The descriptor, readable while a signal is pending; it stays this value's own.
  let descriptor: CInt
  /// When something that ends the process came last.
  private let lastEnd = Mutex<ContinuousClock.Instant?>(nil)

  /// Blocks `signals` in the calling thread and collects them here.
  ///
  /// Throws `StreamerError` when the process has no descriptor left.
  init(_ signals: [CInt] = [SIGTERM, SIGINT, SIGHUP]) throws(StreamerError) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    guard code == 0 else { throw StreamerError(errno: code, "blocking signals") }
    let blocked = set
    descriptor = try SystemCall.retrying("signalfd") {
      unsafe withUnsafePointer(to: blocked) { set in
        unsafe signalfd(-1, set, CInt(SFD_CLOEXEC) | CInt(SFD_NONBLOCK))
      }
    }
  }

  deinit { close(descriptor) }

  /// The number of the next pending signal, or nil when none is pending.
  ///
  /// What ends a process may come twice at once, as from timeout(1), which tells the process and then
  /// its group, or from a terminal and a parent: only one that comes ``Limits/sameSignal`` later is
  /// another one.
  func next() -> CInt? {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while true {
      guard unsafe read(descriptor, &info, size) == size else {
        if errno == EINTR { continue }
        return nil
      }
      let signal = CInt(info.ssi_signo)
      if ![SIGTERM, SIGINT].contains(signal) || isAnother(now: .now) { return signal }
    }
  }

  /// Whether a signal to end that comes now is another one than the last.
  func isAnother(now: ContinuousClock.Instant) -> Bool {
    lastEnd.withLock { last in
      if let last, now - last < Limits.sameSignal { return false }
      last = now
      return true
    }
  }
}
