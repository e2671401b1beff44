import CLinux

/// From parameters to a session.
extension Connection {
  /// Connects to the first host that lets us in.
  ///
  /// `startup` are further parameters of the StartupMessage (run-time settings); `timeout` bounds
  /// the whole attempt, names' look-ups excepted. An address that cannot be reached, or a server
  /// that is starting up or shutting down, gives way to the next one; any other refusal is final.
  /// Throws ``PGError``.
  public static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30)
  ) throws(PGError) -> Connection {
    let deadline = Deadline(after: timeout)
    var failures: [PGError] = []
    hosts: for host in parameters.hosts {
      let addresses: [SocketAddress]
      do throws(PGError) {
        addresses = try SocketAddress.resolve(host)
      } catch {
        failures.append(error)
        continue
      }
      for address in addresses {
        let attempt = ConnectionAttempt(
          parameters: parameters, host: host, address: address, extra: extra,
          replication: replication, deadline: deadline.earlier(after: parameters.connectTimeout))
        do throws(PGError) {
          return try attempt.run()
        } catch {
          failures.append(error)
          switch error {
          case .server(let refusal) where refusal.code == "57P03": continue hosts
          case .connect, .timeout, .closed, .transport: break
          default: throw error
          }
        }
        if deadline.hasPassed { break hosts }
      }
    }
    if failures.count == 1, let only = failures.first { throw only }
    throw .everyHostFailed(failures)
  }
}

/// One address: socket, TLS, startup, in the order that `sslmode` says.
private struct ConnectionAttempt {
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

  /// Sends the StartupMessage and goes on to ReadyForQuery.
  private func start(_ transport: consuming Transport) throws(PGError) -> Connection {
    let (password, warning) = parameters.password(for: host)
    var machine = StartupMachine(
      PasswordAuthentication(
        user: parameters.user, password: password, channelBinding: parameters.channelBinding,
        material: try transport.bindingMaterial(), nonce: try Self.nonce()))
    var input = InputBuffer(
      capacity: replication
        ? ConnectionLimits.replicationWindow : ConnectionLimits.queryWindow)
    var output = ByteWriter()
    FrontendMessage.startup(parameters: try startupParameters(), into: &output)
    let what = "waiting for \(address) to finish the startup"
    try transport.writeAll(output.bytes, until: deadline, what: what)
    output.removeAll()
    while true {
      let (consumed, action) = try machine.receive(input.readable, into: &output)
      input.consume(consumed)
      switch action {
      case .send:
        try transport.writeAll(output.bytes, until: deadline, what: what)
        output.removeAll()
      case .receive(let missing):
        let isOpen = try transport.receive(missing, into: &input, until: deadline, what: what)
        guard isOpen else { throw machine.endOfInput(input.readable) }
      case .ready:
        transport.phase = .query
        var notices: [ServerError] = []
        if let warning {
          var notice = ServerError()
          notice.severity = "WARNING"
          notice.message = warning
          notices.append(notice)
        }
        return try Connection(transport, input, machine, host: host, notices: notices)
      }
    }
  }

  private func startupParameters() throws(PGError) -> [(name: String, value: String)] {
    var list = [("user", parameters.user), ("database", parameters.database)]
    if replication { list.append(("replication", "database")) }
    if let options = parameters.options { list.append(("options", options)) }
    if let name = parameters.applicationName { list.append(("application_name", name)) }
    // Texts are read as UTF-8 everywhere, so client_encoding is not for the user to choose.
    if !extra.contains(where: { $0.name == "client_encoding" }) {
      list.append(("client_encoding", "UTF8"))
    }
    list += extra
    for (name, value) in list where name.utf8.contains(0) || value.utf8.contains(0) {
      throw .connectionString("startup parameter \(name) holds a zero byte. Take it out")
    }
    return list
  }

  /// 18 random bytes in base64, as libpq makes it.
  private static func nonce() throws(PGError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 18)
    // SAFETY: the buffer has as many bytes as said.
    guard unsafe clinux_random(&bytes, bytes.count) == 0 else {
      throw .authentication("the system gives no random numbers: \(systemError())")
    }
    return Base64.encode(bytes)
  }
}
