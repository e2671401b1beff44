import Glibc

/// Where a connection waits, unread, until the head of its request is whole.
///
/// libmicrohttpd takes a line feed or a carriage return alone for the end of a line. So the bytes
/// are only looked at here, and a connection whose head is as it must be is handed on. It ends with
/// the answer: a second request on it would not come by here.
struct AdminGate: ~Copyable {
  // No descriptor is as large as these.
  private static let stoppingTag = UInt64.max
  private static let listeningTag = UInt64.max - 1
  /// How long nothing is accepted when the process has no descriptor left, in microseconds.
  private static let pause: UInt32 = 10_000
  private static let refusal = """
    HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 36\r\nConnection: close\r\n\r\nA line does not end as HTTP's lines.
    """

  private let listening: CInt
  private let connections: AdminConnections
  private let admit: @Sendable (CInt) -> Void
  private var poller: Poller
  private var head: [UInt8]
  private var waiting: Set<CInt> = []

  /// Takes over a listening socket; `admit` takes over each descriptor that it is given.
  ///
  /// `stopping` becomes readable when the end has come; `headBytes` that came are handed on unread.
  init(
    _ socket: consuming ListeningSocket, stopping: CInt, headBytes: Int,
    connections: AdminConnections, admit: @escaping @Sendable (CInt) -> Void
  ) throws(StreamerError) {
    let poller = try Poller(capacity: 64)
    try poller.watch(stopping, tag: Self.stoppingTag, for: .readable)
    self.poller = poller
    self.connections = connections
    self.admit = admit
    head = [UInt8](repeating: 0, count: headBytes)
    listening = socket.release()
    _ = fcntl(listening, F_SETFL, fcntl(listening, F_GETFL) | O_NONBLOCK)
  }

  deinit {
    for descriptor in waiting { close(descriptor) }
    close(listening)
  }

  /// Lets connections through until it is told to stop.
  mutating func run() {
    do throws(StreamerError) {
      try poller.watch(listening, tag: Self.listeningTag, for: .readable)
    } catch { return }
    while true {
      do throws(StreamerError) { try poller.wait(timeout: nil) } catch { return }
      for index in 0..<poller.count {
        let event = poller[index]
        switch event.tag {
        case Self.stoppingTag: return leave()
        case Self.listeningTag: accept()
        default: look(at: CInt(event.tag), hasEnded: event.hasPeerEnded)
        }
      }
    }
  }

  private mutating func accept() {
    while true {
      let descriptor = Glibc.accept(listening, nil, nil)
      guard descriptor >= 0 else {
        if errno != EAGAIN, errno != ECONNABORTED, errno != EINTR { usleep(Self.pause) }
        return
      }
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      waiting.insert(descriptor)
      connections.opened(descriptor, now: .now)
      do throws(StreamerError) {
        try poller.watch(descriptor, tag: UInt64(descriptor), for: .readable)
      } catch { drop(descriptor) }
    }
  }

  private mutating func look(at descriptor: CInt, hasEnded: Bool) {
    guard waiting.contains(descriptor) else { return }
    let count = unsafe recv(
      descriptor, &head, head.count, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT))
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count > 0 else { return drop(descriptor) }
    switch RequestHead.judge(head[..<count]) {
    case .whole: pass(descriptor)
    case .malformed: refuse(descriptor)
    case .unfinished where count == head.count: pass(descriptor)
    case .unfinished where hasEnded: drop(descriptor)
    // The next byte wakes, not those that are there.
    case .unfinished: wake(descriptor, after: count + 1)
    }
  }

  private func wake(_ descriptor: CInt, after count: Int) {
    var bytes = CInt(count)
    unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_RCVLOWAT, &bytes, socklen_t(MemoryLayout<CInt>.size))
  }

  private mutating func pass(_ descriptor: CInt) {
    wake(descriptor, after: 1)
    forget(descriptor)
    admit(descriptor)
  }

  private mutating func refuse(_ descriptor: CInt) {
    let text = Self.refusal
    _ = unsafe send(
      descriptor, text, text.utf8.count,
      CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    // What was not read would take the answer back.
    _ = unsafe recv(descriptor, &head, head.count, CInt(MSG_DONTWAIT))
    drop(descriptor)
  }

  private mutating func drop(_ descriptor: CInt) {
    forget(descriptor)
    close(descriptor)
  }

  private mutating func forget(_ descriptor: CInt) {
    poller.forget(descriptor)
    waiting.remove(descriptor)
    connections.closed(descriptor)
  }

  private mutating func leave() {
    for descriptor in waiting { drop(descriptor) }
  }
}
