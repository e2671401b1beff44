/// From parameters to a session.
extension Connection {
  /// Connects to the first host that lets us in and is of the wanted kind.
  ///
  /// `startup` are further parameters of the StartupMessage (run-time settings); `timeout` bounds
  /// the whole attempt. An address that cannot be reached gives way to the next one, a server that
  /// is starting up or shutting down, or is not what `target_session_attrs` asks for, to the next
  /// host; any other refusal is final. Throws ``PGError``: of a single attempt its own error,
  /// otherwise ``PGError/attemptsFailed(_:)``.
  public static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30)
  ) throws(PGError) -> Connection {
    try open(
      parameters, startup: extra, replication: replication, timeout: timeout,
      generator: SystemRandomNumberGenerator())
  }

  /// The same with a source of chance of its own, for `load_balance_hosts`.
  static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30),
    generator: some RandomNumberGenerator
  ) throws(PGError) -> Connection {
    var search = ConnectionSearch(
      parameters, extra: extra, replication: replication, deadline: Deadline(after: timeout),
      generator: generator)
    return try search.run()
  }
}
