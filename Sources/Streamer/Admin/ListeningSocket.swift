import Glibc

/// A TCP socket that listens; it is made here and not by libmicrohttpd, because that does not
/// tell why it could not.
struct ListeningSocket: ~Copyable {
  /// How many connections may wait to be accepted.
  ///
  /// Many: one that is turned away tries again after a second, which is too late for a probe.
  private static let backlog: CInt = 1024

  private let descriptor: CInt
  /// The port, also when the system has chosen it.
  let port: UInt16
  /// Whether only this machine can reach it.
  let isLoopback: Bool

  /// Binds and listens.
  ///
  /// Throws `StreamerError` when the port is in use, or the host has no address here.
  init(_ address: HTTPAddress) throws(StreamerError) {
    // All interfaces are one IPv6 socket that takes IPv4 too, or IPv4 where there is no IPv6.
    let family = !address.host.isEmpty ? AF_UNSPEC : Self.hasIPv6 ? AF_INET6 : AF_INET
    descriptor = try Self.open(address, family: family)
    (port, isLoopback) = Self.place(of: descriptor)
  }

  private static var hasIPv6: Bool {
    let probe = socket(AF_INET6, CInt(SOCK_STREAM.rawValue), 0)
    if probe >= 0 { close(probe) }
    return probe >= 0
  }

  deinit { close(descriptor) }

  /// Gives the descriptor away; whoever takes it closes it.
  consuming func release() -> CInt {
    let descriptor = descriptor
    discard self
    return descriptor
  }

  private static func name(_ address: HTTPAddress) -> String { "HTTP on \"\(address)\"" }

  private static func open(
    _ address: HTTPAddress, family: CInt
  ) throws(StreamerError) -> CInt {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = family
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let host = address.host.isEmpty ? nil : address.host
    let code = unsafe getaddrinfo(host, String(address.port), &hints, &list)
    guard code == 0, let first = unsafe list else {
      // SAFETY: gai_strerror returns constants.
      let why = unsafe String(cString: gai_strerror(code))
      throw StreamerError(
        what: name(address), why: why, hint: "Set http to an address of this machine.",
        exit: code == EAI_AGAIN ? .failure : .preflight)
    }
    defer { unsafe freeaddrinfo(first) }
    return try unsafe listen(to: first.pointee, name: name(address))
  }

  private static func listen(to info: addrinfo, name: String) throws(StreamerError) -> CInt {
    let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
    let descriptor = try SystemCall.retrying(name) { unsafe socket(info.ai_family, type, 0) }
    var on: CInt = 1
    var off: CInt = 0
    let size = socklen_t(MemoryLayout<CInt>.size)
    // A restart must not wait for the connections of the process before.
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
    if unsafe info.ai_family == AF_INET6 {
      unsafe setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &off, size)
    }
    if unsafe bind(descriptor, info.ai_addr, info.ai_addrlen) == 0,
      Glibc.listen(descriptor, backlog) == 0
    {
      return descriptor
    }
    let code = errno
    close(descriptor)
    guard code == EADDRINUSE else { throw StreamerError(errno: code, name, exit: .preflight) }
    throw StreamerError(
      what: name, why: "the port is in use",
      hint: "Stop the process that has it, or set http to another port.")
  }

  /// The port and whether the address is a loopback one.
  private static func place(of descriptor: CInt) -> (port: UInt16, isLoopback: Bool) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      guard let base = bytes.baseAddress,
        unsafe getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
      else { return (0, false) }
      // SAFETY: a sockaddr_storage has room for either kind of address.
      if unsafe base.load(as: sa_family_t.self) == sa_family_t(AF_INET) {
        let address = unsafe base.load(as: sockaddr_in.self)
        let isLoopback = UInt32(bigEndian: address.sin_addr.s_addr) >> 24 == 127
        return (UInt16(bigEndian: address.sin_port), isLoopback)
      }
      let port = unsafe UInt16(bigEndian: base.load(as: sockaddr_in6.self).sin6_port)
      // ::1 is fifteen zero bytes and a one; the address lies at offset 8.
      let isLoopback = (0..<16).allSatisfy { unsafe bytes[8 + $0] == ($0 == 15 ? 1 : 0) }
      return (port, isLoopback)
    }
  }
}
