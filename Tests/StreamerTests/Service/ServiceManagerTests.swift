import Glibc
import Testing

@testable import Streamer

/// A socket on which a service manager would listen.
private final class ManagerSocket {
  let path: String
  private let descriptor: CInt
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    path = "\(directory.path)/notify"
    descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
  }

  deinit { close(descriptor) }

  /// The next message that was sent; nil when there is none.
  func next() -> String? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe recv(descriptor, &bytes, bytes.count, CInt(MSG_DONTWAIT))
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}

/// The socket of systemd (U18).
@Suite struct ServiceManagerTests {
  @Test(.timeLimit(.minutes(15)))
  func `A manager that does not read holds nothing up, and hears the newest of all later`() throws {
    let socket = try ManagerSocket()
    let manager = try #require(ServiceManager(path: socket.path, watchdog: nil, watched: nil))
    // More than any queue of datagrams takes (net.unix.max_dgram_qlen).
    for number in 0..<5000 { manager.send("STATUS=\(number)") }
    manager.send("READY=1\nSTATUS=last")
    manager.send("WATCHDOG=1")
    var count = 0
    while let message = socket.next() {
      #expect(message == "STATUS=\(count)")
      count += 1
    }
    #expect(count > 0 && count < 5000)
    manager.send(nil)
    #expect(socket.next() == "READY=1\nSTATUS=last\nWATCHDOG=1")
    manager.send(nil)
    #expect(socket.next() == nil)
  }

  @Test func `One that is not there is none of our trouble`() throws {
    let manager = try #require(
      ServiceManager(path: "/nonexistent/notify", watchdog: nil, watched: nil))
    manager.send("READY=1")
    manager.send(nil)
  }
}
