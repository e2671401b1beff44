import Glibc

/// The socket on which systemd hears how the service is (sd_notify(3)), without its library.
///
/// A class, because the socket is closed once.
final class ServiceManager {
  private let descriptor: CInt
  private let address: sockaddr_un
  private let length: socklen_t
  /// Assignments for which the manager's queue had no room.
  private var unsent: [String] = []
  /// After what time of silence the manager takes this process for dead; nil for never.
  let watchdog: Duration?

  /// The manager of this process; nil when none has named a socket.
  convenience init?() {
    guard let path = ProcessEnvironment.value(of: "NOTIFY_SOCKET") else { return nil }
    self.init(
      path: path, watchdog: ProcessEnvironment.value(of: "WATCHDOG_USEC"),
      watched: ProcessEnvironment.value(of: "WATCHDOG_PID"))
  }

  /// A manager at a path, or at an abstract name that begins with "@"; nil when it is neither.
  init?(path: String, watchdog: String?, watched: String?) {
    guard path.hasPrefix("/") || path.hasPrefix("@") else { return nil }
    var bytes = Array(path.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    // SAFETY: the bytes are fewer than the field has, which is zero behind them.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    // An abstract name ends where the address ends.
    length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    self.address = address
    descriptor = socket(
      AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    let isMeant = watched.map { $0 == "\(getpid())" } ?? true
    let microseconds = isMeant ? watchdog.flatMap(Int64.init) ?? 0 : 0
    self.watchdog = microseconds > 0 ? .microseconds(microseconds) : nil
  }

  deinit { close(descriptor) }

  /// Sends assignments, one a line, and those that could not be sent before; nil adds none.
  ///
  /// It never waits: a manager whose queue is full hears them with the next call. One that does not
  /// listen is none of our trouble.
  func send(_ message: String?) {
    for line in (message ?? "").split(separator: "\n") {
      // Of each name only the newest assignment matters, so these stay few.
      let name = line.prefix { $0 != "=" }
      unsent.removeAll { $0.prefix { $0 != "=" } == name }
      unsent.append(String(line))
    }
    guard !unsent.isEmpty else { return }
    let bytes = Array(unsent.joined(separator: "\n").utf8)
    var address = address
    // SAFETY: a sockaddr_un is read as the sockaddr that it begins with, for its own length.
    let sent = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        unsafe sendto(
          descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT), pointer, length)
      }
    }
    if sent >= 0 || errno != EAGAIN { unsent = [] }
  }
}
