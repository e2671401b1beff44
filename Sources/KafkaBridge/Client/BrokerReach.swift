import CRdKafka
import Glibc
import Synchronization

// Whether the brokers can be reached where they say they are.
//
// The cluster answers at the bootstrap servers, and records go to the leaders' advertised addresses:
// where those lead nowhere, librdkafka tries for ever and nothing else shows it.
extension ClientHandle {
  /// Connects to every broker's advertised address and lets go again; says which cannot be reached.
  ///
  /// Throws when the cluster does not answer within `timeout`, and when no broker can be reached.
  func unreachableBrokers(timeout: Duration) throws(KafkaError) -> [KafkaError] {
    let deadline = Deadline(timeout)
    let operation = "reach the brokers"
    var metadata: UnsafePointer<rd_kafka_metadata>?
    // SAFETY: the metadata is destroyed after its last use.
    let code = unsafe rd_kafka_metadata(client, 0, nil, &metadata, deadline.milliseconds())
    guard let metadata = unsafe metadata, code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaError(code, operation: operation).explained(for: self)
    }
    unsafe learn(brokersOf: metadata)
    unsafe rd_kafka_metadata_destroy(metadata)
    let brokers = brokers.withLock { $0 }
    let unreachable = brokers.sorted { $0.key < $1.key }.compactMap { broker, address in
      BrokerAddress(address).whyUnreachable(until: deadline).map { reason in
        KafkaError(
          RD_KAFKA_RESP_ERR__TRANSPORT,
          text: "broker \(broker) advertises \(address), which cannot be reached: \(reason)",
          operation: operation,
          remedy: "set the broker's advertised.listeners to one that can be reached from here")
      }
    }
    if let first = unreachable.first, unreachable.count == brokers.count { throw first }
    return unreachable
  }
}

/// Where a broker says it is, "host:port".
private struct BrokerAddress {
  let host: String
  let port: String

  init(_ text: String) {
    let colon = text.lastIndex(of: ":") ?? text.endIndex
    host = String(text[..<colon])
    port = String(text[colon...].dropFirst())
  }

  /// Why nobody answers there; nil when somebody does at one of its addresses.
  func whyUnreachable(until deadline: Deadline) -> String? {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, port, &hints, &list)
    guard code == 0 else { return unsafe String(cString: gai_strerror(code)) }
    // SAFETY: the list is read before it is freed.
    defer { unsafe freeaddrinfo(list) }
    var reason = "it has no address"
    var next = unsafe list
    while let address = unsafe next {
      guard let failure = unsafe Self.connect(address.pointee, deadline) else { return nil }
      reason = failure
      unsafe next = address.pointee.ai_next
    }
    return reason
  }

  private static func connect(_ address: addrinfo, _ deadline: Deadline) -> String? {
    let descriptor = unsafe socket(
      address.ai_family, address.ai_socktype | CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue),
      address.ai_protocol)
    guard descriptor >= 0 else { return words(errno) }
    defer { _ = Glibc.close(descriptor) }
    if unsafe Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return nil }
    guard errno == EINPROGRESS else { return words(errno) }
    var waited = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    let count = unsafe Glibc.poll(&waited, 1, deadline.milliseconds(atMost: 3000))
    guard count > 0 else { return count == 0 ? words(ETIMEDOUT) : words(errno) }
    var error: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
    return error == 0 ? nil : words(error)
  }

  private static func words(_ code: CInt) -> String { unsafe String(cString: strerror(code)) }
}

extension Producer {
  /// The brokers that cannot be reached where they say they are; blocks, from any thread.
  ///
  /// Throws when none can be.
  public func unreachableBrokers(timeout: Duration) throws(KafkaError) -> [KafkaError] {
    try handle.unreachableBrokers(timeout: timeout)
  }
}

extension Admin {
  /// The brokers that cannot be reached where they say they are.
  ///
  /// Throws when none can be.
  public func unreachableBrokers(timeout: Duration) throws(KafkaError) -> [KafkaError] {
    try handle.unreachableBrokers(timeout: timeout)
  }
}
