import Glibc

/// The options of a TCP socket that connection parameters set.
struct SocketOptions: Hashable, Sendable {
  /// Whether dead peers are looked for.
  var keepalives = true
  /// Seconds of silence before the first probe; nil for the system's value.
  var keepalivesIdle: Int?
  /// Seconds between probes; nil for the system's value.
  var keepalivesInterval: Int?
  /// Lost probes that end the connection; nil for the system's value.
  var keepalivesCount: Int?
  /// Milliseconds that sent bytes may stay unacknowledged; nil for the system's value.
  var tcpUserTimeout: Int?

  /// Reads the `keepalives` family of keywords.
  init(_ values: [ConnectionKeyword: String]) throws(PGError) {
    keepalives = try ConnectionParameters.integer(values, .keepalives) ?? 1 != 0
    keepalivesIdle = try Self.positive(values, .keepalivesIdle)
    keepalivesInterval = try Self.positive(values, .keepalivesInterval)
    keepalivesCount = try Self.positive(values, .keepalivesCount)
    tcpUserTimeout = try Self.positive(values, .tcpUserTimeout)
  }

  /// Sets the options; none of them is worth failing for.
  func apply(to descriptor: Int32) {
    let tcp = Int32(IPPROTO_TCP)
    Self.set(descriptor, tcp, TCP_NODELAY, 1)
    if let tcpUserTimeout { Self.set(descriptor, tcp, TCP_USER_TIMEOUT, tcpUserTimeout) }
    guard keepalives else { return }
    Self.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    if let keepalivesIdle { Self.set(descriptor, tcp, TCP_KEEPIDLE, keepalivesIdle) }
    if let keepalivesInterval { Self.set(descriptor, tcp, TCP_KEEPINTVL, keepalivesInterval) }
    if let keepalivesCount { Self.set(descriptor, tcp, TCP_KEEPCNT, keepalivesCount) }
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int) {
    var value = Int32(clamping: value)
    let size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: the value lives for the call and is as large as said.
    _ = unsafe setsockopt(descriptor, level, option, &value, size)
  }

  private static func positive(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword
  ) throws(PGError) -> Int? {
    guard let value = try ConnectionParameters.integer(values, keyword), value > 0 else {
      return nil
    }
    return value
  }
}
