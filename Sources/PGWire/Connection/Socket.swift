import CLinux
import Glibc

/// A connected, non-blocking stream socket; it is closed when its owner lets it go.
struct Socket: ~Copyable {
  let descriptor: Int32

  /// Takes over a descriptor and makes it non-blocking.
  init(adopting descriptor: Int32) {
    self.descriptor = descriptor
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
  }

  deinit { close(descriptor) }

  /// Connects to one address, waiting no longer than the deadline.
  static func connect(
    to address: SocketAddress, options: SocketOptions, until deadline: Deadline
  ) throws(PGError) -> Socket {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.family, type, 0)
    guard descriptor >= 0 else {
      throw .connect(address: address.description, reason: systemError())
    }
    let new = Socket(adopting: descriptor)
    if !address.isUnixSocket { options.apply(to: descriptor) }
    // SAFETY: the bytes are a sockaddr of their own length.
    let status = unsafe address.bytes.withUnsafeBytes { bytes in
      unsafe Glibc.connect(
        descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
        socklen_t(bytes.count))
    }
    if status == 0 { return new }
    guard errno == EINPROGRESS || errno == EINTR else {
      throw failure(address, errno)
    }
    guard try new.wait(for: Int16(POLLOUT), until: deadline, phase: .connecting) else {
      throw .timeout("connecting to \(address)")
    }
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: both outlive the call; SO_ERROR is an int.
    guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0, error == 0 else {
      throw failure(address, error == 0 ? errno : error)
    }
    return new
  }

  private static func failure(_ address: SocketAddress, _ number: Int32) -> PGError {
    let hint =
      switch number {
      case ECONNREFUSED, ENOENT: ". Is the server running there and listening?"
      case EACCES: ". Check the permissions of the socket's directory"
      case EAGAIN: ". The server's queue of connections is full"
      default: ""
      }
    return .connect(address: address.description, reason: systemError(number) + hint)
  }

  /// Checks that the server behind a Unix socket runs as the user that `requirepeer` names.
  func checkPeer(_ required: String, _ address: SocketAddress) throws(PGError) {
    var user: uid_t = 0
    // SAFETY: the number lives for the call.
    guard unsafe clinux_peer_user(descriptor, &user) == 0 else {
      throw .authentication("the user of the server at \(address) is unknown: \(systemError())")
    }
    let name = ConnectionParameters.operatingSystemUser(user) ?? "\(user)"
    guard name == required else {
      throw .authentication(
        "requirepeer specifies \"\(required)\", but the user of the server at \(address) is "
          + "\"\(name)\". Check who runs it")
    }
  }

  /// Waits until poll(2) reports one of the events, an error or a hang-up; false when time is up.
  func wait(
    for events: Int16, until deadline: Deadline, phase: ConnectionPhase
  ) throws(PGError) -> Bool {
    var request = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let timeout = deadline.pollTimeout
      let count = unsafe poll(&request, 1, timeout)
      if count > 0 { return true }
      if count == 0 {
        // The longest wait of poll(2) is shorter than a far deadline.
        if timeout == 0 || deadline.hasPassed { return false }
      } else if errno != EINTR {
        throw .transport(reason: systemError(), phase: phase)
      }
    }
  }

  /// Reads what is there, at most as much as the buffer holds.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, phase: ConnectionPhase
  ) throws(PGError) -> Transport.Progress {
    while true {
      // SAFETY: the kernel writes at most the buffer's size.
      let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .done(count) }
      if count == 0 { return .closed }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wants(.readable)
      default: throw .transport(reason: systemError(), phase: phase)
      }
    }
  }

  /// Writes what the kernel takes at once.
  func write(_ bytes: RawSpan, phase: ConnectionPhase) throws(PGError) -> Transport.Progress {
    while true {
      // SAFETY: the pointer does not leave the closure. MSG_NOSIGNAL: a peer that is gone is an
      // error here, no SIGPIPE.
      let count = unsafe bytes.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 { return .done(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wants(.writable)
      case EPIPE, ECONNRESET: return .closed
      default: throw .transport(reason: systemError(), phase: phase)
      }
    }
  }
}
