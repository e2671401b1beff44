import Glibc
import Synchronization

/// A server that follows a script, one for each connection it accepts, on a thread of its own.
///
/// It gives up after a minute without the client doing what the script expects.
final class ScriptedServer: Sendable {
  /// One step of a script.
  enum Step: Sendable {
    /// Sends the bytes at once.
    case send([UInt8])
    /// Sends the bytes one by one.
    case trickle([UInt8])
    /// Receives a packet without a tag: StartupMessage or SSLRequest.
    case receivePacket
    /// Receives a message with a tag.
    case receiveMessage
    /// Waits until the client has closed.
    case waitForEnd
    /// Sends the bytes again and again until the client has closed.
    case flood([UInt8])
    /// Leaves the connection open and goes on with the next one.
    case handOver
  }

  let port: UInt16
  private let listener: Listener
  private let scripts: [[Step]]
  private let state = Mutex<(accepted: Int, received: [UInt8])>((0, []))
  private let thread = Mutex<pthread_t?>(nil)

  init?(_ scripts: [Step]...) {
    guard let listener = Listener() else { return nil }
    self.port = listener.port
    self.listener = listener
    self.scripts = scripts
    start()
  }

  /// Waits for the end of all scripts and says how many connections there were.
  func finish() -> Int {
    if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
    return state.withLock { $0.accepted }
  }

  /// Everything the clients have sent so far.
  var received: [UInt8] { state.withLock { $0.received } }

  private func start() {
    var new = pthread_t()
    // SAFETY: the thread takes over the reference that the pointer holds.
    let context = unsafe Unmanaged.passRetained(self).toOpaque()
    let status = unsafe pthread_create(
      &new, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<ScriptedServer>.fromOpaque(context).takeRetainedValue().run()
        }
        return nil
      }, context)
    precondition(status == 0, "a thread can be started")
    thread.withLock { $0 = new }
  }

  private func run() {
    var kept: [Int32] = []
    defer { for peer in kept { close(peer) } }
    for script in scripts {
      var request = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
      let waiting = unsafe poll(&request, 1, 60_000)
      guard waiting == 1 else { return }
      let peer = accept(listener.descriptor, nil, nil)
      guard peer >= 0 else { return }
      state.withLock { $0.accepted += 1 }
      var limit = timeval(tv_sec: 60, tv_usec: 0)
      let size = socklen_t(MemoryLayout<timeval>.size)
      _ = unsafe setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
      for step in script { perform(step, peer) }
      if case .handOver = script.last { kept.append(peer) } else { close(peer) }
    }
  }

  private func perform(_ step: Step, _ peer: Int32) {
    switch step {
    case .send(let bytes): send(bytes, peer)
    case .trickle(let bytes): for byte in bytes { send([byte], peer) }
    case .receivePacket:
      let head = receive(4, peer)
      if head.count == 4 { _ = receive(Int(head[2]) << 8 + Int(head[3]) - 4, peer) }
    case .receiveMessage:
      let head = receive(5, peer)
      if head.count == 5 { _ = receive(Int(head[3]) << 8 + Int(head[4]) - 4, peer) }
    case .waitForEnd: _ = receive(1 << 20, peer)
    case .flood(let bytes):
      while unsafe Glibc.send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 {}
    case .handOver: break
    }
  }

  private func send(_ bytes: [UInt8], _ peer: Int32) {
    _ = unsafe Glibc.send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// Receives that many bytes, fewer when the client closes.
  private func receive(_ count: Int, _ peer: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count < count {
      let got = unsafe recv(peer, &chunk, min(chunk.count, count - bytes.count), 0)
      guard got > 0 else { break }
      bytes += chunk.prefix(got)
    }
    state.withLock { $0.received += bytes }
    return bytes
  }
}

/// Messages for scripts.
enum Scripted {
  static func message(_ tag: Unicode.Scalar, _ body: [UInt8] = []) -> [UInt8] {
    let length = UInt32(body.count + 4)
    return [UInt8(ascii: tag)] + (0..<4).map { UInt8(length >> (24 - 8 * $0) & 0xFF) } + body
  }

  static func error(_ code: String, severity: String = "ERROR") -> [UInt8] {
    message("E", Array("S\(severity)\0V\(severity)\0C\(code)\0Mrefused\0\0".utf8))
  }

  static let ready = message("Z", [0x49])
  static let authenticationOk = message("R", [0, 0, 0, 0])
  static let askCleartext = message("R", [0, 0, 0, 3])
  static let version = message("S", Array("server_version\u{0}15.18\u{0}".utf8))
  /// All that a server says until it is ready, without a password.
  static let welcome = authenticationOk + version + message("K", [0, 0, 0, 1, 1, 2, 3, 4]) + ready
  static let copyBothResponse = message("W", [0, 0, 0])
  static let selectOne =
    message("T", [0, 1, 0x61, 0] + [UInt8](repeating: 0, count: 18))
    + message("D", [0, 1, 0, 0, 0, 1, 0x31]) + message("C", Array("SELECT 1\u{0}".utf8)) + ready
}
