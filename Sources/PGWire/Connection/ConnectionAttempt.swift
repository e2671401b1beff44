/// One address: socket, TLS, startup, in the order that `sslmode` says.
struct ConnectionAttempt {
  let parameters: ConnectionParameters
  let host: ConnectionParameters.Host
  let address: SocketAddress
  let extra: [(name: String, value: String)]
  let replication: Bool
  let deadline: Deadline

  private enum Encryption {
    case none, ifOffered, always
  }

  /// Never goes from TLS to clear after the server has answered to the StartupMessage: what was
  /// refused there must not be said again where others can read it.
  func run() throws(PGError) -> Connection {
    if address.isUnixSocket { return try start(connect(.none)) }
    switch parameters.tls.mode {
    case .disable: return try start(connect(.none))
    case .allow: return try clearThenTLS()
    case .prefer: return try start(preferringTLS())
    case .require, .verifyCA, .verifyFull: return try start(connect(.always))
    }
  }

  private func clearThenTLS() throws(PGError) -> Connection {
    let refusal: PGError
    do throws(PGError) {
      return try start(connect(.none))
    } catch {
      guard case .server(let answer) = error, answer.code != "57P03" else { throw error }
      refusal = error
    }
    let transport: Transport
    do throws(PGError) {
      transport = try connect(.always)
    } catch {
      // The first answer tells more than that there is no TLS either.
      throw refusal
    }
    return try start(transport)
  }

  private func preferringTLS() throws(PGError) -> Transport {
    // A mistake in the configuration must not end in clear: the files are read before.
    _ = try TLSContext.make(parameters.tls)
    do throws(PGError) {
      return try connect(.ifOffered)
    } catch {
      // Only the negotiation may fail and be done without: nothing secret was said yet.
      switch error {
      case .tls, .closed(.tls), .transport(_, .tls): return try connect(.none)
      default: throw error
      }
    }
  }

  /// Connects and negotiates TLS.
  private func connect(_ encryption: Encryption) throws(PGError) -> Transport {
    let socket = try Socket.connect(
      to: address, options: parameters.socketOptions, until: deadline)
    var transport = Transport(socket, phase: .startup)
    guard encryption != .none else { return transport }
    transport.phase = .tls
    let isOffered = try requestTLS(&transport)
    if isOffered {
      try handshake(&transport)
    } else if encryption == .always {
      throw .tls(
        "\(address) does not speak TLS. Set ssl = on there, or use a weaker sslmode than "
          + parameters.tls.mode.rawValue)
    }
    transport.phase = .startup
    return transport
  }

  /// Sends SSLRequest and reads its one-byte answer.
  private func requestTLS(_ transport: inout Transport) throws(PGError) -> Bool {
    var request = ByteWriter(capacity: 8)
    FrontendMessage.sslRequest(into: &request)
    try transport.writeAll(request.bytes, until: deadline, what: "asking \(address) for TLS")
    // One byte more than the answer, so that whatever was put behind it shows (CVE-2021-23222).
    var answer = InputBuffer(capacity: 2, limit: 2)
    guard
      try transport.receive(
        1, into: &answer, until: deadline, what: "waiting for \(address) to answer about TLS")
    else { throw .closed(.tls) }
    guard answer.count == 1 else {
      throw .tls(
        "\(address) sent more than its answer before TLS: somebody may sit in between. Check the "
          + "network")
    }
    switch Unicode.Scalar(answer.readable[0]) {
    case "S": return true
    case "N": return false
    // An error here may come from anybody, so its text is not shown (CVE-2024-10977).
    case "E": throw .tls("\(address) answered the request for TLS with an error. See its log")
    default: throw .tls("\(address) is no PostgreSQL server. Check host and port")
    }
  }

  private func handshake(_ transport: inout Transport) throws(PGError) {
    let session = try TLSSession.make(
      parameters.tls, descriptor: transport.descriptor, hostName: host.name)
    while true {
      switch try session.handshake() {
      case .done:
        try session.checkHostName(host.name)
        transport.secure(with: session)
        return
      case .closed: throw .closed(.tls)
      case .wants(let readiness):
        try transport.wait(
          for: readiness, until: deadline, what: "the TLS handshake with \(address)")
      }
    }
  }
}
