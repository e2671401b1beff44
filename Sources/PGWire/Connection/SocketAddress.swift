import Glibc

/// The address of a server's socket, with the text that errors call it by.
struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
  let family: Int32
  /// The bytes of the `sockaddr`.
  let bytes: [UInt8]
  /// "db.example:5432 (10.0.0.1)" or the path of the Unix socket.
  let description: String
  /// The address in numbers; nil for a Unix socket.
  let numeric: String?

  /// Whether it is a Unix socket, where there is no TLS.
  var isUnixSocket: Bool { family == AF_UNIX }

  /// All addresses of a host, in the order of the resolver.
  ///
  /// Throws ``PGError/timeout(_:)`` when the resolver does not answer in time.
  static func resolve(
    _ host: ConnectionParameters.Host, until deadline: Deadline
  ) throws(PGError) -> [SocketAddress] {
    if let directory = host.socketDirectory {
      return [try unixSocket(directory: directory, port: host.port)]
    }
    // Without a name there is an address: all else goes by the Unix socket.
    let name = host.address ?? host.name ?? ""
    var outcome: NameLookup.Outcome? = lookUp(name, host.port, isNumeric: true)
    if case .failed = outcome, host.address == nil {
      outcome = try NameLookup.run(name, port: host.port, until: deadline) { name, port in
        lookUp(name, port, isNumeric: false)
      }
    }
    switch outcome {
    case .found(let addresses):
      return addresses.map { family, bytes, numeric in
        SocketAddress(
          family: family, bytes: bytes,
          description: numeric == host.name ?? host.address
            ? host.description : "\(host) (\(numeric))", numeric: numeric)
      }
    case .failed(let status, let error):
      throw .connect(address: host.description, reason: reason(status, error))
    case nil: throw .timeout("looking up \(host)")
    }
  }

  /// Whether a text is an address that needs no look-up.
  static func isNumeric(_ text: String) -> Bool {
    if case .found = lookUp(text, 0, isNumeric: true) { true } else { false }
  }

  /// Asks getaddrinfo, which blocks unless the text is numeric.
  private static func lookUp(
    _ name: String, _ port: UInt16, isNumeric: Bool
  ) -> NameLookup.Outcome {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = isNumeric ? AI_NUMERICHOST : 0
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(name, String(port), &hints, &list)
    guard status == 0 else { return .failed(status: status, error: errno) }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [(family: Int32, bytes: [UInt8], numeric: String)] = []
    // SAFETY: getaddrinfo's list ends with nil and lives until freeaddrinfo.
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      if let address = unsafe entry.ai_addr {
        let bytes = unsafe UnsafeRawBufferPointer(
          start: address, count: Int(entry.ai_addrlen))
        let text = unsafe Self.numeric(address, entry.ai_addrlen) ?? name
        unsafe addresses.append((entry.ai_family, Array(bytes), text))
      }
      unsafe next = entry.ai_next
    }
    return .found(addresses)
  }

  private static func reason(_ status: Int32, _ error: Int32) -> String {
    if status == EAI_SYSTEM { return systemError(error) }
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
    return SocketAddress(family: AF_UNIX, bytes: family + name, description: path, numeric: nil)
  }
}
