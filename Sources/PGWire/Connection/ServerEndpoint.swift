/// One address of a server, and how to get a byte stream to it.
struct ServerEndpoint: Sendable {
  let host: ConnectionParameters.Host
  let address: SocketAddress
  let tls: TLSConfiguration
  let socketOptions: SocketOptions
  let requiredPeer: String?

  init(
    _ parameters: ConnectionParameters, host: ConnectionParameters.Host, address: SocketAddress
  ) {
    self.host = host
    self.address = address
    tls = parameters.tls
    socketOptions = parameters.socketOptions
    requiredPeer = parameters.requiredPeer
  }

  /// Connects and negotiates TLS; `stage` tells how far it came.
  func open(
    _ encryption: Encryption, until deadline: Deadline, stage: inout AttemptStage
  ) throws(PGError) -> Transport {
    stage = .connecting
    let socket = try Socket.connect(to: address, options: socketOptions, until: deadline)
    if let requiredPeer, address.isUnixSocket { try socket.checkPeer(requiredPeer, address) }
    var transport = Transport(socket, phase: .startup)
    guard encryption != .clear else { return transport }
    transport.phase = .tls
    stage = .negotiating
    var isOffered = true
    if encryption != .direct { isOffered = try requestTLS(&transport, until: deadline) }
    if isOffered {
      stage = .handshake
      try handshake(&transport, encryption, until: deadline)
    } else if encryption == .requested {
      throw .tls(
        "\(address) does not speak TLS. Set ssl = on there, or use a weaker sslmode than "
          + tls.mode.rawValue)
    }
    transport.phase = .startup
    return transport
  }

  /// Sends SSLRequest and reads its one-byte answer.
  private func requestTLS(
    _ transport: inout Transport, until deadline: Deadline
  ) throws(PGError) -> Bool {
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
      throw .garbled(
        "\(address) sent more than its answer before TLS: somebody may sit in between. Check the "
          + "network")
    }
    switch Unicode.Scalar(answer.readable[0]) {
    case "S": return true
    case "N": return false
    // An error here may come from anybody, so its text is not shown (CVE-2024-10977).
    case "E": throw .garbled("\(address) answered the request for TLS with an error. See its log")
    default: throw .garbled("\(address) is no PostgreSQL server. Check host and port")
    }
  }

  private func handshake(
    _ transport: inout Transport, _ encryption: Encryption, until deadline: Deadline
  ) throws(PGError) {
    let session = try TLSSession.make(
      tls, descriptor: transport.descriptor, hostName: host.name)
    while true {
      switch try session.handshake() {
      case .done:
        try session.checkProtocol()
        try session.checkHostName(host.name)
        transport.secure(with: session)
        return
      case .closed:
        guard encryption == .direct else { throw .closed(.tls) }
        throw .connect(
          address: address.description,
          reason: "it closed the connection at direct TLS. Servers before 17 do not know "
            + "sslnegotiation=direct")
      case .wants(let readiness):
        try transport.wait(
          for: readiness, until: deadline, what: "the TLS handshake with \(address)")
      }
    }
  }
}
