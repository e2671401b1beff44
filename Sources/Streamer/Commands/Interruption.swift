import Glibc
import PGWire

/// Signals that end a command early, in order: it throws, and what it made is undone on the way.
///
/// To be made before any other thread starts, like ``SignalDescriptor``.
struct Interruption: ~Copyable {
  private let signals: SignalDescriptor

  /// Collects SIGTERM, SIGINT and SIGHUP.
  init() throws(StreamerError) { signals = try SignalDescriptor() }

  /// Readable once a signal has come; it stays this value's own.
  var descriptor: CInt { signals.descriptor }

  /// Takes a signal that has come; nil when none has.
  func next() -> CInt? { signals.next() }

  /// Ends waits for a server as long as a signal has come that was not taken.
  var breaker: WaitBreaker {
    WaitBreaker { [descriptor] in
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      return unsafe poll(&entry, 1, 0) > 0
    }
  }

  /// Throws when a signal has come.
  func check() throws(StreamerError) {
    guard let signal = signals.next() else { return }
    throw StreamerError(what: "interrupted", why: "signal \(signal) came")
  }

  /// Sleeps, and throws as soon as a signal comes.
  func pause(_ duration: Duration) throws(StreamerError) {
    var entry = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
    let (seconds, attoseconds) = duration.components
    let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
    _ = unsafe poll(&entry, 1, CInt(clamping: milliseconds))
    try check()
  }
}
