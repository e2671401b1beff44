/// One address: socket, TLS, startup, in the ways that `sslmode` allows.
struct ConnectionAttempt {
  let parameters: ConnectionParameters
  let endpoint: ServerEndpoint
  let target: TargetSessionAttrs
  let extra: [(name: String, value: String)]
  let replication: Bool
  let deadline: Deadline

  /// A session of the wanted kind; nil, with the failures appended, when there is none.
  func run(_ failures: inout [FailedAttempt]) -> Connection? {
    let plan = EncryptionPlan(parameters.tls, isUnixSocket: endpoint.address.isUnixSocket)
    var next: Encryption? = plan.first
    while let encryption = next {
      var stage = AttemptStage.connecting
      do throws(PGError) {
        // A mistake in the configuration must not end in clear: the files are read before.
        if encryption == .requestedOrClear { _ = try TLSContext.make(parameters.tls) }
        return try open(encryption, &stage)
      } catch {
        failures.append(
          FailedAttempt(
            address: endpoint.address.description,
            how: endpoint.address.isUnixSocket ? nil : encryption.rawValue, error: error))
        next = encryption == plan.first ? plan.second(after: stage, error) : nil
      }
    }
    return nil
  }

  private func open(
    _ encryption: Encryption, _ stage: inout AttemptStage
  ) throws(PGError) -> Connection {
    let transport = try endpoint.open(encryption, until: deadline, stage: &stage)
    stage = .session
    var connection = try start(transport, encryption)
    if let reason = try unsuitability(&connection) {
      connection.close()
      throw .unsuitableServer(
        "\(reason), but target_session_attrs=\(parameters.targetSessionAttrs.rawValue). Name "
          + "further hosts, or change it")
    }
    return connection
  }

  /// Why the session is not of the wanted kind, which older servers have to be asked; else nil.
  private func unsuitability(_ connection: inout Connection) throws(PGError) -> String? {
    switch target.verdict(connection.parameterStatus) {
    case .accepted: return nil
    case .rejected(let reason): return reason
    case .ask(let query):
      let answer = try connection.query(query, until: deadline).first?.rows.first?.first
      guard case .rejected(let reason) = target.verdict(answer: answer ?? nil) else { return nil }
      return reason
    }
  }
}
