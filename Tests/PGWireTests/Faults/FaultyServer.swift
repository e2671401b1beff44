import Glibc
import Support
import Synchronization

/// A server that plays the same script to every client, one after the other, each time with another
/// fault in the stream.
///
/// It gives up after a minute without the client doing what the script expects.
final class FaultyServer: Sendable {
  /// One step of a script.
  enum Turn: Sendable {
    /// Receives a packet without a tag: StartupMessage or SSLRequest.
    case packet
    /// Receives a message with a tag.
    case message
    /// Receives that many bytes, slowly.
    case bytes(Int)
    /// Does nothing until the flag is set.
    case wait(Flag)
    /// Sends.
    case send([UInt8])
    /// Sends what depends on the messages received so far, tags and lengths included.
    case answer(@Sendable (_ received: [[UInt8]]) -> [UInt8])
  }

  /// Where the server listens.
  enum Place: Sendable {
    /// TCP on 127.0.0.1.
    case tcp
    /// A Unix socket, on which the server sees what the client has read.
    case unix
  }

  /// The connection string's keywords that lead here.
  let address: String
  private let listener: FaultyListener
  private let script: [Turn]
  private let faults: [Fault]
  private let conversations = Mutex<[[[UInt8]]]>([])
  private let thread = Mutex<Thread?>(nil)

  init(_ script: [Turn], faults: [Fault] = [.none], place: Place = .tcp) throws {
    listener = try FaultyListener(place)
    address = listener.address
    self.script = script
    self.faults = faults
    thread.withLock { $0 = Thread { [self] in run() } }
  }

  /// Waits until every client is gone and says what each of them sent, message by message.
  func finish() -> [[[UInt8]]] {
    thread.withLock { $0.take() }?.join()
    return conversations.withLock { $0 }
  }

  private func run() {
    for fault in faults {
      guard let peer = listener.accept() else { return }
      var stream = FaultyStream(descriptor: peer, fault: fault)
      let received = play(&stream)
      conversations.withLock { $0.append(received) }
      if case .reset = fault, stream.isOver {} else { Self.drain(peer) }
      close(peer)
    }
  }

  private func play(_ stream: inout FaultyStream) -> [[UInt8]] {
    var received: [[UInt8]] = []
    for turn in script where !stream.isOver {
      switch turn {
      case .packet: received.append(Self.receiveMessage(stream.descriptor, headerSize: 4))
      case .message: received.append(Self.receiveMessage(stream.descriptor, headerSize: 5))
      case .bytes(let count): received.append(Self.receive(count, stream.descriptor, slowly: true))
      case .wait(let flag): while !flag.isSet { usleep(100) }
      case .send(let bytes): stream.deliver(bytes)
      case .answer(let answer): stream.deliver(answer(received))
      }
    }
    return received
  }

  private static func receiveMessage(_ peer: Int32, headerSize: Int) -> [UInt8] {
    let head = receive(headerSize, peer)
    guard head.count == headerSize else { return head }
    let length = head.suffix(4).reduce(0) { $0 << 8 | Int($1) }
    return head + receive(length - 4, peer)
  }

  /// Receives that many bytes, fewer when the client closes.
  private static func receive(_ count: Int, _ peer: Int32, slowly: Bool = false) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: slowly ? 100_000 : 4096)
    while bytes.count < count {
      if slowly { usleep(200) }
      let got = unsafe recv(peer, &chunk, min(chunk.count, count - bytes.count), 0)
      guard got > 0 else { break }
      bytes += chunk.prefix(got)
    }
    return bytes
  }

  /// Receives until the client is gone, so that closing does not become a reset.
  static func drain(_ peer: Int32) {
    var chunk = [UInt8](repeating: 0, count: 4096)
    while unsafe recv(peer, &chunk, chunk.count, 0) > 0 {}
  }
}

/// A listening socket on 127.0.0.1 or in a directory of its own.
final class FaultyListener: Sendable {
  /// The connection string's keywords that lead here.
  let address: String
  private let descriptor: Int32
  private let directory: TemporaryDirectory?

  init(_ place: FaultyServer.Place, backlog: Int32 = 64) throws {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    switch place {
    case .tcp:
      directory = nil
      let descriptor = socket(AF_INET, type, 0)
      self.descriptor = descriptor
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      try Self.listen(descriptor, &name, backlog)
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      // SAFETY: the name is as large as said.
      _ = unsafe withUnsafeMutablePointer(to: &name) {
        unsafe getsockname(
          descriptor, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &size)
      }
      address = "host=127.0.0.1 port=\(UInt16(bigEndian: name.sin_port))"
    case .unix:
      let directory = try TemporaryDirectory("faults")
      self.directory = directory
      descriptor = socket(AF_UNIX, type, 0)
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      let path = directory.file(".s.PGSQL.1")
      // SAFETY: a temporary directory's name is much shorter than a socket's may be.
      unsafe withUnsafeMutableBytes(of: &name.sun_path) { room in
        for (index, byte) in path.utf8.enumerated() where index < room.count - 1 {
          unsafe room[index] = byte
        }
      }
      try Self.listen(descriptor, &name, backlog)
      address = "host=\(directory.path) port=1"
    }
  }

  deinit { close(descriptor) }

  private static func listen<Name>(
    _ descriptor: Int32, _ name: inout Name, _ backlog: Int32
  ) throws {
    // SAFETY: the name is a sockaddr of its own size.
    let status = unsafe withUnsafeMutablePointer(to: &name) {
      unsafe bind(
        descriptor, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<Name>.size))
    }
    guard status == 0, Glibc.listen(descriptor, backlog) == 0 else {
      throw SupportError("cannot listen: errno \(errno)")
    }
  }

  /// The next client; nil when none comes within a minute.
  ///
  /// It is given up when it does nothing for as long.
  func accept() -> Int32? {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while true {
      let count = unsafe poll(&request, 1, 60_000)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { return nil }
      break
    }
    let peer = Glibc.accept(descriptor, nil, nil)
    guard peer >= 0 else { return nil }
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    _ = unsafe setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    return peer
  }
}

/// A flag between two threads.
final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

/// A thread that can be joined.
struct Thread: Sendable {
  private let handle: pthread_t

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  init(_ body: @escaping @Sendable () -> Void) {
    var new = pthread_t()
    // SAFETY: the thread takes over the reference that the pointer holds.
    let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    let status = unsafe pthread_create(
      &new, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(status == 0, "a thread can be started")
    handle = new
  }

  /// Sends a signal to it; it must not have been joined.
  func signal(_ number: Int32) { pthread_kill(handle, number) }

  func join() { pthread_join(handle, nil) }
}
