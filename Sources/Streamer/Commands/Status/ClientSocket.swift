import Glibc

/// A TCP connection to a server nearby; every wait ends at a deadline.
struct ClientSocket: ~Copyable {
  private let descriptor: CInt
  private let name: String

  /// Connects to the first address of the host that answers.
  ///
  /// Throws `StreamerError` when none does.
  init(
    _ location: HTTPLocation, until deadline: ContinuousClock.Instant
  ) throws(StreamerError) {
    name = "\(location)"
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(location.host, "\(location.port)", &hints, &list)
    guard code == 0 else {
      throw StreamerError(what: name, why: unsafe String(cString: gai_strerror(code)))
    }
    // SAFETY: the list is freed after the last address was used.
    defer { unsafe freeaddrinfo(list) }
    var reason = ECONNREFUSED
    var next = unsafe list
    while let address = unsafe next {
      let opened = unsafe Self.connect(address.pointee, until: deadline)
      if case .success(let descriptor) = opened {
        self.descriptor = descriptor
        return
      }
      if case .failure(let error) = opened { reason = error.code }
      unsafe next = address.pointee.ai_next
    }
    throw StreamerError(
      what: name, why: SystemCall.text(of: reason),
      hint: "Is psql-streamer running, and does its `http` say this address?")
  }

  deinit { close(descriptor) }

  private struct Errno: Error { let code: CInt }

  @unsafe private static func connect(
    _ address: addrinfo, until deadline: ContinuousClock.Instant
  ) -> Result<CInt, Errno> {
    let kind =
      unsafe address.ai_socktype | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    let descriptor = unsafe socket(address.ai_family, kind, address.ai_protocol)
    guard descriptor >= 0 else { return .failure(Errno(code: errno)) }
    var code: CInt = 0
    if unsafe Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) != 0 {
      code = errno
      if code == EINPROGRESS {
        var size = socklen_t(MemoryLayout<CInt>.size)
        code = ETIMEDOUT
        if wait(descriptor, for: POLLOUT, until: deadline) {
          _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        }
      }
    }
    if code == 0 { return .success(descriptor) }
    close(descriptor)
    return .failure(Errno(code: code))
  }

  /// Waits until the socket can be read or written; false at the deadline.
  private static func wait(
    _ descriptor: CInt, for events: CInt, until deadline: ContinuousClock.Instant
  ) -> Bool {
    while true {
      let (seconds, attoseconds) = (deadline - .now).components
      let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
      guard milliseconds > 0 else { return false }
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      if unsafe poll(&entry, 1, CInt(clamping: milliseconds)) > 0 { return true }
    }
  }

  /// Sends all bytes.
  func send(_ bytes: [UInt8], until deadline: ContinuousClock.Instant) throws(StreamerError) {
    var sent = 0
    while sent < bytes.count {
      let rest = Array(bytes[sent...])
      let count = unsafe Glibc.send(descriptor, rest, rest.count, CInt(MSG_NOSIGNAL))
      if count > 0 { sent += count } else { try again(errno, POLLOUT, until: deadline) }
    }
  }

  /// Receives until the server closes.
  func receiveAll(
    limit: Int, until deadline: ContinuousClock.Instant
  ) throws(StreamerError) -> [UInt8] {
    var received: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while received.count < limit {
      let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
      if count == 0 { return received }
      if count > 0 {
        received += chunk[..<count]
      } else {
        try again(errno, POLLIN, until: deadline)
      }
    }
    throw StreamerError(what: name, why: "its answer is longer than \(ByteSize(limit))")
  }

  /// Waits when that helps; throws what stands in the way otherwise.
  private func again(
    _ code: CInt, _ events: CInt, until deadline: ContinuousClock.Instant
  ) throws(StreamerError) {
    guard code == EAGAIN || code == EINTR else {
      throw StreamerError(what: name, why: SystemCall.text(of: code))
    }
    guard Self.wait(descriptor, for: events, until: deadline) else {
      throw StreamerError(what: name, why: "no answer in time")
    }
  }
}
