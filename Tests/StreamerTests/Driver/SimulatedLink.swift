import Glibc
import PGWire

/// The server's end of one connection.
final class SimulatedLink {
  private var descriptor: CInt = -1
  private var client: CInt = -1
  private var received: [UInt8] = []
  /// Bytes on their way to the client.
  var pending: [UInt8] = []

  init() {
    var ends: [CInt] = [-1, -1]
    // A child that another test starts must not keep a connection that was closed here.
    let kind =
      CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
    precondition(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0, "no socketpair")
    (descriptor, client) = (ends[0], ends[1])
  }

  deinit {
    close()
    if client >= 0 { _ = Glibc.close(client) }
  }

  /// The client's end, which belongs to the caller.
  func takeClientEnd() -> CInt {
    defer { client = -1 }
    return client
  }

  /// Whether neither end has closed.
  var isOpen: Bool {
    guard descriptor >= 0 else { return false }
    var entry = pollfd(fd: descriptor, events: 0, revents: 0)
    _ = unsafe poll(&entry, 1, 0)
    return Int32(entry.revents) & (POLLHUP | POLLERR) == 0
  }

  /// Sends what waits, as far as there is room; false when there was none.
  func flush() -> Bool {
    guard descriptor >= 0, !pending.isEmpty else { return false }
    let count = unsafe send(descriptor, pending, pending.count, CInt(MSG_NOSIGNAL))
    guard count > 0 else { return false }
    pending.removeFirst(count)
    return true
  }

  /// The status updates that have come since the last call.
  func receive() -> [StandbyStatusUpdate] {
    guard descriptor >= 0 else { return [] }
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      received += buffer.prefix(count)
    }
    var updates: [StandbyStatusUpdate] = []
    while received.count >= 5 {
      let length = Int(Self.number(received[1..<5]))
      guard received.count >= 1 + length else { break }
      let message = Array(received[..<(1 + length)])
      received.removeFirst(1 + length)
      guard message[0] == UInt8(ascii: "d"), message[5] == UInt8(ascii: "r") else { continue }
      updates.append(
        StandbyStatusUpdate(
          written: LSN(Self.number(message[6..<14])), flushed: LSN(Self.number(message[14..<22])),
          replyRequested: message[38] == 1))
    }
    return updates
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Ends the stream towards the client.
  func shutDown() { if descriptor >= 0 { _ = shutdown(descriptor, CInt(SHUT_WR)) } }

  func close() {
    guard descriptor >= 0 else { return }
    _ = Glibc.close(descriptor)
    descriptor = -1
  }
}
