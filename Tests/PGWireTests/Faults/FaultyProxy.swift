import Glibc
import Synchronization

/// Stands between clients and a real server and forwards both ways, with a fault in what the server
/// says: another one for each client, one after the other.
final class FaultyProxy: Sendable {
  /// The connection string's keywords that lead here.
  let address: String
  private let listener: FaultyListener
  private let server: UInt16
  private let faults: [Fault]
  /// How many bytes of the server's the last client was sent, counted before they go.
  private let delivered = Atomic<Int>(0)

  /// How many bytes the server has said to the last client so far; at least what that client has read.
  var bytesDelivered: Int { delivered.load(ordering: .sequentiallyConsistent) }

  /// Listens; `server` is the real one's port on 127.0.0.1.
  init(to server: UInt16, faults: [Fault]) throws {
    listener = try FaultyListener(.tcp)
    address = listener.address
    self.server = server
    self.faults = faults
    _ = Thread { [self] in run() }
  }

  private func run() {
    for fault in faults {
      guard let client = listener.accept() else { return }
      if let server = connectToServer() {
        var stream = FaultyStream(descriptor: client, fault: fault)
        forward(&stream, server)
        close(server)
        if case .reset = fault, stream.isOver {} else { FaultyServer.drain(client) }
      }
      close(client)
    }
  }

  private func connectToServer() -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = server.bigEndian
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    // SAFETY: the name is as large as said.
    let status = unsafe withUnsafePointer(to: &name) {
      unsafe connect(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self), size)
    }
    guard status == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// Until one side closes, or the fault has ended the stream.
  private func forward(_ stream: inout FaultyStream, _ server: Int32) {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while !stream.isOver {
      var requests = [
        pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      let count = unsafe poll(&requests, 2, 120_000)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      if requests[0].revents != 0 {
        let count = unsafe recv(stream.descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return }
        FaultyStream.sendAll(chunk[..<count], to: server)
      }
      if requests[1].revents != 0 {
        let count = unsafe recv(server, &chunk, chunk.count, 0)
        guard count > 0 else {
          shutdown(stream.descriptor, Int32(SHUT_WR))
          return
        }
        delivered.store(stream.delivered + count, ordering: .sequentiallyConsistent)
        stream.deliver(Array(chunk[..<count]))
      }
    }
    // A server of which a client hears no more may say what it likes, and stays.
    if case .silence = stream.fault { FaultyServer.drain(stream.descriptor) }
  }
}
