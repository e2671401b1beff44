import Glibc

/// The address of a server's socket, with the text that errors call it by.
struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
  let family: Int32
  /// The bytes of the `sockaddr`.
  let bytes: [UInt8]
  /// "db.example:5432 (10.0.0.1)" or the path of the Unix socket.
  let description: String

  /// Whether it is a Unix socket, where there is no TLS.
  var isUnixSocket: Bool { family == AF_UNIX }

  /// All addresses of a host, in the order of the resolver.
  ///
  /// A name's look-up blocks as long as the resolver does, whatever the deadline.
  static func resolve(_ host: ConnectionParameters.Host) throws(PGError) -> [SocketAddress] {
    if let directory = host.socketDirectory {
      return [try unixSocket(directory: directory, port: host.port)]
    }
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = host.address == nil ? 0 : AI_NUMERICHOST
    var list: UnsafeMutablePointer<addrinfo>?
    let name = host.address ?? host.name
    let status = unsafe getaddrinfo(name, String(host.port), &hints, &list)
    guard status == 0 else {
      throw .connect(address: host.description, reason: Self.reason(status))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    // SAFETY: getaddrinfo's list ends with nil and lives until freeaddrinfo.
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      if let address = unsafe entry.ai_addr {
        let bytes = unsafe UnsafeRawBufferPointer(
          start: address, count: Int(entry.ai_addrlen))
        let numeric = unsafe Self.numeric(address, entry.ai_addrlen)
        let text =
          numeric == nil || numeric == host.name
          ? host.description : "\(host) (\(numeric ?? ""))"
        unsafe addresses.append(
          SocketAddress(family: entry.ai_family, bytes: Array(bytes), description: text))
      }
      unsafe next = entry.ai_next
    }
    return addresses
  }

  private static func reason(_ status: Int32) -> String {
    if status == EAI_SYSTEM { return systemError() }
    // SAFETY: gai_strerror returns a constant text.
    let text = unsafe gai_strerror(status).map { unsafe String(cString: $0) }
    return "\(text ?? "the name cannot be resolved"). Check the host name and the resolver"
  }

  private static func numeric(
    _ address: UnsafePointer<sockaddr>, _ length: socklen_t
  ) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // SAFETY: the address has `length` bytes; the buffer's size is given.
    let status = unsafe getnameinfo(
      address, length, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
    guard status == 0 else { return nil }
    return String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// `<directory>/.s.PGSQL.<port>`; a directory that starts with "@" is in the abstract name space.
  private static func unixSocket(
    directory: String, port: UInt16
  ) throws(PGError) -> SocketAddress {
    let path = "\(directory)/.s.PGSQL.\(port)"
    var name = Array(path.utf8)
    let isAbstract = directory.hasPrefix("@")
    if isAbstract { name[0] = 0 } else { name.append(0) }
    let offset = MemoryLayout<sa_family_t>.size
    guard name.count <= MemoryLayout<sockaddr_un>.size - offset else {
      throw .connect(
        address: path, reason: "a Unix socket's path has at most 107 bytes. Use a shorter one")
    }
    let family = unsafe withUnsafeBytes(of: sa_family_t(AF_UNIX)) { unsafe Array($0) }
    return SocketAddress(family: AF_UNIX, bytes: family + name, description: path)
  }
}
