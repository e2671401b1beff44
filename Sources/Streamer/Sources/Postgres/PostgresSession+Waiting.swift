import PGWire

/// What a start waits for on the server: transactions that hold up a slot's creation, a failover.
extension PostgresSession {
  /// Who holds up the creation of a slot.
  private struct Blocker {
    /// What is waited for, for comparison.
    let key: String
    /// The same for people.
    let text: String
  }

  /// Creates the slot; from some time on says who holds it up.
  ///
  /// What is given up is cancelled on the server, so that no half-made slot stays.
  func wait(
    for command: String, _ replication: inout Connection, _ plain: inout Connection
  ) throws(StreamerError) -> [[String?]] {
    let process = replication.backendProcessID
    let limit = source.createTimeout > .zero ? source.createTimeout : nil
    var told: Blocker?
    do throws(PGError) {
      return try replication.query(command, timeout: limit, patience: Limits.slotPatience) {
        let blocker = self.blocker(of: process, &plain)
        guard told == nil || blocker.key != told?.key else { return }
        told = blocker
        log.warning(
          "the creation of the slot waits",
          ["slot": source.replicationSlot, "for": blocker.text])
      }.first?.rows ?? []
    } catch {
      guard error.isUnanswered, let told, !isStopping else { throw mapped(error) }
      throw StreamerError(
        what: "source \(name)",
        why: "slot \"\(source.replicationSlot)\" was not created within createTimeout: it "
          + "waits for \(told.text)", hint: "End what it waits for, or raise createTimeout.",
        retryable: true)
    }
  }

  /// Who holds the transaction that a server process waits for.
  private func blocker(of process: Int32?, _ plain: inout Connection) -> Blocker {
    let unknown = Blocker(key: "", text: "transactions that are open")
    let sql = """
      SELECT pg_is_in_recovery(), l.transactionid, a.pid, a.usename, a.state, \
      date_trunc('second', now() - a.xact_start), date_trunc('second', a.query_start), p.gid \
      FROM (SELECT) one LEFT JOIN pg_catalog.pg_locks l ON l.pid = \(process ?? 0) \
      AND NOT l.granted AND l.locktype = 'transactionid' \
      LEFT JOIN pg_catalog.pg_locks h ON h.locktype = 'transactionid' AND h.granted \
      AND h.transactionid = l.transactionid \
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid \
      LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid LIMIT 1
      """
    guard
      let row = try? plain.query(sql, timeout: Limits.slotPatience).first?.rows.first,
      row.count == 8
    else { return unknown }
    guard let xid = row[1] else {
      guard row[0] == "t" else { return unknown }
      return Blocker(
        key: "standby",
        text: "the primary's next record of running transactions: SELECT "
          + "pg_log_standby_snapshot() there")
    }
    if let prepared = row[7] {
      return Blocker(
        key: xid,
        text: "prepared transaction \(ReplicationCommand.literal(prepared)), xid \(xid)")
    }
    guard let pid = row[2] else { return Blocker(key: xid, text: "xid \(xid)") }
    var text = "pid \(pid), xid \(xid)"
    if let user = row[3] { text += ", user \"\(user)\"" }
    if let state = row[4] { text += ", \(state)" }
    if let age = row[5] { text += ", open for \(age)" }
    if let start = row[6] { text += ", last query at \(start)" }
    return Blocker(key: xid, text: text)
  }

  // MARK: - Failover

  /// Whether what a failover explains is still waited for: `failoverTimeout` long, and as long again
  /// once the server has been promoted.
  func awaitsFailover(inRecovery: Bool) -> Bool {
    if failover?.inRecovery != inRecovery { failover = (.now, inRecovery) }
    return failover.map { .now - $0.since < source.failoverTimeout } ?? false
  }

  /// Refuses a standby that decodes nothing until it is promoted: those before 16.
  func checkDecoding(_ server: ServerFacts, _ known: [Position]?) throws(StreamerError) {
    guard server.isInRecovery, server.version.major < 16 else { return }
    let isFailover = try !positions(known).isEmpty && awaitsFailover(inRecovery: true)
    throw StreamerError(
      what: "source \(name)", why: Self.recovery(server.version),
      hint: "Name the primary in dsn; a promotion is waited for.", retryable: true,
      cause: isFailover ? .failover : .other)
  }

  /// Why a standby of an old version cannot be read.
  static func recovery(_ version: ServerVersion) -> String {
    "the server is in recovery, and PostgreSQL \(version) decodes nothing there"
  }

  /// A slot that is missing where positions are known may still come: the server is in recovery, or
  /// was promoted and has not been given it yet.
  ///
  /// Throws what makes the driver try again, for `failoverTimeout`; then the gap counts.
  func awaitSlot(
    _ server: ServerFacts, _ identity: PositionIdentity, _ known: [Position]?
  ) throws(StreamerError) {
    let ours = try positions(known).filter { $0.systemIdentifier == identity.systemIdentifier }
    guard !ours.isEmpty,
      server.isInRecovery || ours.contains(where: { $0.timeline != identity.timeline }),
      awaitsFailover(inRecovery: server.isInRecovery)
    else { return }
    throw StreamerError(
      what: "source \(name)",
      why: server.isInRecovery
        ? "the server is in recovery and has no slot \"\(source.replicationSlot)\""
        : "the server was promoted and has no slot \"\(source.replicationSlot)\" yet",
      hint: "It is waited for as long as failoverTimeout says; failover = true keeps slots on "
        + "standbys (from 17).", retryable: true, cause: .failover)
  }

  /// What was confirmed in this process, or at its start what is stored.
  private func positions(_ known: [Position]?) throws(StreamerError) -> [Position] {
    if let known { known } else { try store.load(source: name) }
  }
}
