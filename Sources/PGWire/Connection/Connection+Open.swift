/// From parameters to a session.
extension Connection {
  /// Connects to the first host that lets us in and is of the wanted kind.
  ///
  /// `startup` are further parameters of the StartupMessage (run-time settings); `timeout` bounds
  /// the whole attempt. An address that cannot be reached gives way to the next one, a server that
  /// is starting up or shutting down, or is not what `target_session_attrs` asks for, to the next
  /// host; any other refusal is final. An `interruption` ends this and every later wait
  /// for an answer. Throws ``PGError``: of a single attempt its own error, otherwise
  /// ``PGError/attemptsFailed(_:)``.
  public static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30),
    interruption: WaitBreaker? = nil
  ) throws(PGError) -> Connection {
    try open(
      parameters, startup: extra, replication: replication, timeout: timeout,
      interruption: interruption, generator: SystemRandomNumberGenerator())
  }

  /// The same with a source of chance of its own, for `load_balance_hosts`.
  static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30),
    interruption: WaitBreaker? = nil, generator: some RandomNumberGenerator
  ) throws(PGError) -> Connection {
    var search = ConnectionSearch(
      parameters, extra: extra, replication: replication,
      deadline: Deadline(after: timeout, interruption), generator: generator)
    return try search.run()
  }
}
