import CLinux
import Glibc

/// A signalfd: signals become readable bytes instead of interrupting a thread anywhere.
///
/// It is made before any other thread starts, because new threads inherit the blocked signals
/// of the one that made them.
struct SignalDescriptor: ~Copyable, Sendable {
  /// The descriptor, readable while a signal is pending; it stays this value's own.
  let descriptor: CInt

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
  func next() -> CInt? {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while true {
      if unsafe read(descriptor, &info, size) == size { return CInt(info.ssi_signo) }
      if errno != EINTR { return nil }
    }
  }
}
