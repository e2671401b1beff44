import Glibc
import Testing

@testable import PGWire

/// The options of TCP that connection parameters set.
struct SocketOptionsTests {
  private func options(_ text: String) throws -> [Int32] {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    try ConnectionParameters(ConnectionString(text)).socketOptions.apply(to: descriptor)
    let tcp = Int32(IPPROTO_TCP)
    return [
      (SOL_SOCKET, SO_KEEPALIVE), (tcp, TCP_KEEPIDLE), (tcp, TCP_KEEPINTVL), (tcp, TCP_KEEPCNT),
      (tcp, TCP_USER_TIMEOUT), (tcp, TCP_NODELAY),
    ].map { level, option in
      var value: Int32 = -1
      var size = socklen_t(MemoryLayout<Int32>.size)
      // SAFETY: the value lives for the call and is as large as said.
      _ = unsafe getsockopt(descriptor, level, option, &value, &size)
      return value
    }
  }

  @Test func valuesReachTheSocket() throws {
    let set = try options(
      "keepalives_idle=11 keepalives_interval=12 keepalives_count=13 tcp_user_timeout=14000")
    #expect(set == [1, 11, 12, 13, 14_000, 1])
    let system = try options("keepalives=0")
    #expect(system.first == 0)
    // Zero and less are the system's own.
    #expect(
      try options("keepalives_idle=0 keepalives_interval=-1 keepalives_count='' tcp_user_timeout=0")
        == [1] + system.dropFirst())
  }

  @Test(arguments: ["keepalives=x", "keepalives_idle=1.5", "tcp_user_timeout=1s"])
  func nonsense(text: String) {
    #expect(throws: PGError.self) { try options(text) }
  }
}
