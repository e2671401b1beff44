import Glibc

/// How a server's bytes reach its client, and how they end.
enum Fault: Hashable, Sendable {
  /// As they come.
  case none
  /// One byte at a time; on a Unix socket the next one only when the last one was read.
  case byteByByte
  /// In pieces of that many bytes with a pause between them, so that the client finds nothing.
  case pieces(of: Int)
  /// After that many bytes the server says no more (FIN) and goes on to listen.
  case end(after: Int)
  /// After that many bytes the connection is reset (RST).
  case reset(after: Int)
  /// After that many bytes nothing comes any more, and nothing ends.
  case silence(after: Int)
  /// After that many bytes come some that nobody sent.
  case garbage([UInt8], after: Int)

  /// How many bytes are delivered before the fault.
  fileprivate var room: Int {
    switch self {
    case .none, .byteByByte, .pieces: .max
    case .end(let count), .reset(let count), .silence(let count), .garbage(_, let count): count
    }
  }
}

/// The sending half of a connected socket, with a fault in it.
struct FaultyStream {
  let descriptor: Int32
  let fault: Fault
  /// How many bytes of the server's have been delivered; of no use behind forged ones.
  private(set) var delivered = 0
  /// Whether the client gets no more.
  private(set) var isOver = false

  init(descriptor: Int32, fault: Fault) {
    self.descriptor = descriptor
    self.fault = fault
    var on: Int32 = 1
    _ = unsafe setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Delivers bytes as the fault wants it.
  mutating func deliver(_ bytes: [UInt8]) {
    guard !isOver else { return }
    let room = fault.room - delivered
    var first = bytes.prefix(room)
    delivered += first.count
    // At the end of the room, not behind it: a fault after n bytes shows although no more follow.
    let isStruck = bytes.count >= room
    // At once, so that the client cannot read the one without the other.
    if isStruck, case .garbage(let garbage, _) = fault { first += garbage }
    send(first)
    guard isStruck else { return }
    strike()
    if !isOver { send(bytes.dropFirst(room)) }
  }

  private mutating func strike() {
    switch fault {
    case .none, .byteByByte, .pieces: return
    case .garbage:
      delivered = .min / 2
      return
    case .end: shutdown(descriptor, Int32(SHUT_WR))
    case .reset:
      var abrupt = linger(l_onoff: 1, l_linger: 0)
      _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, SO_LINGER, &abrupt, socklen_t(MemoryLayout<linger>.size))
    case .silence: break
    }
    isOver = true
  }

  private func send(_ bytes: ArraySlice<UInt8>) {
    switch fault {
    case .byteByByte:
      for byte in bytes {
        sendAll([byte])
        waitUntilRead()
      }
    case .pieces(let size):
      var rest = bytes
      while !rest.isEmpty {
        sendAll(rest.prefix(size))
        rest = rest.dropFirst(size)
        usleep(300)
      }
    default: sendAll(bytes)
    }
  }

  private func sendAll(_ bytes: ArraySlice<UInt8>) { Self.sendAll(bytes, to: descriptor) }

  /// Sends all, or as much as the peer takes until it is gone.
  static func sendAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) {
    var rest = bytes
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// A Unix socket knows whether its peer has read; TCP knows only what was acknowledged.
  private func waitUntilRead() {
    var address = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // SAFETY: the address is as large as said.
    let status = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe getsockname(
        descriptor, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &size)
    }
    guard status == 0, address.ss_family == sa_family_t(AF_UNIX) else { return }
    for _ in 0..<100_000 {
      var unread: Int32 = 0
      guard unsafe ioctl(descriptor, UInt(TIOCOUTQ), &unread) == 0, unread > 0 else { return }
      usleep(10)
    }
  }
}
