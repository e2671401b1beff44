import PGWire

/// What a start waits for on the server: transactions that hold up a slot's creation, a failover.
extension PostgresSession {
  /// Creates the slot; after a while says who holds it up.
  ///
  /// What is given up is cancelled on the server, so that no half-made slot stays.
  func wait(
    for command: String, _ replication: inout Connection, _ plain: inout Connection
  ) throws(StreamerError) -> [[String?]] {
    let process = replication.backendProcessID
    var blocker: String?
    do throws(PGError) {
      return try replication.query(
        command, timeout: source.createTimeout, patience: Limits.slotPatience
      ) {
        blocker = self.blocker(of: process, &plain)
        log.warning(
          "the creation of the slot waits",
          ["slot": source.replicationSlot, "for": blocker ?? "transactions that are open"])
      }.first?.rows ?? []
    } catch {
      guard let blocker, case .timeout = error else { throw mapped(error) }
      throw StreamerError(
        what: "source \(name)",
        why: "slot \(source.replicationSlot) was not created within createTimeout: it waits for "
          + blocker, hint: "End that transaction, or raise createTimeout.", retryable: true)
    }
  }

  /// Who holds the transaction that a server process waits for; nil when that cannot be told.
  private func blocker(of process: Int32?, _ plain: inout Connection) -> String? {
    guard let process else { return nil }
    let sql = """
      SELECT pg_is_in_recovery(), l.transactionid, a.pid, a.usename, a.state, \
      date_trunc('second', now() - a.xact_start), date_trunc('second', a.query_start), p.gid \
      FROM (SELECT) one LEFT JOIN pg_catalog.pg_locks l ON l.pid = \(process) AND NOT l.granted \
      AND l.locktype = 'transactionid' \
      LEFT JOIN pg_catalog.pg_locks h ON h.locktype = 'transactionid' AND h.granted \
      AND h.transactionid = l.transactionid \
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid \
      LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid LIMIT 1
      """
    guard
      let row = try? plain.query(sql, timeout: Limits.slotPatience).first?.rows.first,
      row.count == 8
    else { return nil }
    guard let xid = row[1] else {
      return row[0] == "t"
        ? "the primary's next record of running transactions: SELECT pg_log_standby_snapshot() there"
        : nil
    }
    if let prepared = row[7] {
      return "prepared transaction \(ReplicationCommand.literal(prepared)), xid \(xid)"
    }
    guard let pid = row[2] else { return "xid \(xid)" }
    var text = "pid \(pid), xid \(xid)"
    if let user = row[3] { text += ", user \(ReplicationCommand.pasted(user))" }
    if let state = row[4] { text += ", \(state)" }
    if let age = row[5] { text += ", open for \(age)" }
    if let start = row[6] { text += ", last query at \(start)" }
    return text
  }

  /// A slot that is missing where positions are known may still come: the server is in recovery, or
  /// was promoted and has not been given it yet.
  ///
  /// Throws what makes the driver try again, for `failoverTimeout`; then the gap counts.
  func awaitFailover(
    _ plain: inout Connection, _ identity: PositionIdentity, _ known: [Position]
  ) throws(StreamerError) {
    let ours = known.filter { $0.systemIdentifier == identity.systemIdentifier }
    guard !ours.isEmpty else { return }
    let isInRecovery = try ask(&plain, "SELECT pg_is_in_recovery()").first?.first == "t"
    guard isInRecovery || ours.contains(where: { $0.timeline != identity.timeline })
    else { return }
    let since = missingSince ?? .now
    missingSince = since
    guard .now - since < source.failoverTimeout else { return }
    throw StreamerError(
      what: "source \(name)",
      why: isInRecovery
        ? "the server is in recovery and has no slot \"\(source.replicationSlot)\""
        : "the server was promoted and has no slot \"\(source.replicationSlot)\" yet",
      hint: "Waiting for it for failoverTimeout; failover = true keeps slots on standbys "
        + "(from 17).",
      retryable: true)
  }
}
