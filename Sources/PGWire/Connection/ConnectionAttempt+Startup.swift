import CLinux

/// The startup of a session on a stream whose encryption is settled.
extension ConnectionAttempt {
  /// Sends the StartupMessage and goes on to ReadyForQuery.
  func start(
    _ transport: consuming Transport, _ encryption: Encryption
  ) throws(PGError) -> Connection {
    let (password, warning) = parameters.password(for: endpoint.host)
    let rules = AuthenticationRules(
      channelBinding: parameters.channelBinding, required: parameters.requiredAuthentication,
      requiredCertificate: parameters.tls.certificateMode == .require
        ? transport.certificateUse : nil)
    var machine = StartupMachine(
      PasswordAuthentication(
        user: parameters.user,
        credential: Credential(password: password, scramKeys: parameters.scramKeys), rules: rules,
        material: try transport.bindingMaterial(), nonce: try Self.nonce()),
      versions: parameters.protocolVersions)
    var input = InputBuffer(
      capacity: replication
        ? ConnectionLimits.replicationWindow : ConnectionLimits.queryWindow)
    var output = ByteWriter()
    FrontendMessage.startup(
      version: parameters.protocolVersions.upperBound, parameters: try startupParameters(),
      into: &output)
    var action = StartupMachine.Action.send
    while action != .ready {
      switch action {
      case .send:
        do throws(PGError) {
          try transport.writeAll(output.bytes, until: deadline, what: what)
        } catch {
          throw explain(error, &machine, &transport, &input)
        }
        output.removeAll()
      case .receive(let missing):
        let isOpen = try transport.receive(missing, into: &input, until: deadline, what: what)
        guard isOpen else { throw machine.endOfInput(input.readable) }
      case .ready: break
      }
      let consumed: Int
      (consumed, action) = try machine.receive(input.readable, into: &output)
      input.consume(consumed)
    }
    transport.phase = .query
    // Once TLS is on, a CancelRequest must have it as well.
    let used: Encryption =
      !transport.isEncrypted ? .clear : encryption == .direct ? .direct : .requested
    let cancel = machine.keyData.map { CancelRequest(endpoint, used, $0) }
    return try Connection(
      transport, input, machine, endpoint: endpoint, cancelRequest: cancel,
      interruption: deadline.interruption,
      notices: warning.map { [Self.notice($0)] } ?? [])
  }

  private var what: String { "waiting for \(endpoint.address) to finish the startup" }

  /// A server that closed before we could write has usually said why: an alert of TLS, an error.
  private func explain(
    _ error: PGError, _ machine: inout StartupMachine, _ transport: inout Transport,
    _ input: inout InputBuffer
  ) -> PGError {
    guard error == .closed(.startup) else { return error }
    var unsent = ByteWriter()
    do throws(PGError) {
      while try transport.receive(1, into: &input, until: deadline, what: what) {
        let (consumed, _) = try machine.receive(input.readable, into: &unsent)
        input.consume(consumed)
      }
      return machine.endOfInput(input.readable)
    } catch {
      return error
    }
  }

  private static func notice(_ warning: String) -> ServerError {
    var notice = ServerError()
    notice.severity = "WARNING"
    notice.message = warning
    return notice
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
    let isSet = Set(list.map { $0.0.lowercased() })
    list += parameters.environmentSettings.filter { !isSet.contains($0.name) }
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
