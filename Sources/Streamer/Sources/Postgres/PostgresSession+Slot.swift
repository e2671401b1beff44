import PGWire

/// The slot: found and examined, or created.
extension PostgresSession {
  /// Finds the slot and says where it stands; throws when it cannot be read, or not yet.
  func findSlot(
    _ plain: inout Connection, _ replication: inout Connection, _ server: ServerFacts,
    database: String
  ) throws(StreamerError) -> StartingPositions.Slot {
    let version = server.version.number
    let sql = ReplicationSlot.query(name: source.replicationSlot, serverVersion: version)
    if source.failover {
      try mapped { () throws(PGError) in
        try ServerFeature.failoverSlots.require(on: server.version)
      }
    }
    guard let slot = try ask(&plain, sql).lazy.compactMap(ReplicationSlot.init(row:)).first else {
      return .missing
    }
    if let refusal = SlotRefusal(of: slot, database: database), refusal.isLost {
      return .lost(refusal)
    }
    let confirmed = try check(slot, database: database)
    try alterFailover(of: slot, &replication, version)
    return .at(confirmed)
  }

  /// Drops a slot that the server has invalidated, so that another can be made in its place.
  func dropLost(_ plain: inout Connection) throws(StreamerError) {
    try checkGoingOn()
    let name = ReplicationCommand.literal(source.replicationSlot)
    _ = try ask(&plain, "SELECT pg_catalog.pg_drop_replication_slot(\(name))")
    log.warning("dropped a slot that was invalidated", ["slot": source.replicationSlot])
  }

  /// Makes the slot and gives its consistent point.
  func createSlot(
    _ replication: inout Connection, _ server: ServerFacts, _ plain: inout Connection
  ) throws(StreamerError) -> LSN {
    guard source.createSlot else {
      throw StreamerError(
        what: "source \(name)", why: "slot \"\(source.replicationSlot)\" does not exist",
        hint: "Create it, or set createSlot = true.", exit: .preflight)
    }
    let command = try mapped { () throws(PGError) in
      try ReplicationCommand.createSlot(
        source.replicationSlot, temporary: source.temporary, failover: source.failover,
        serverVersion: server.version.number)
    }
    try checkGoingOn()
    let begin = ContinuousClock.now
    let created = try wait(for: command, &replication, &plain)
    deadline += .now - begin
    guard let point = created.first.flatMap({ $0.count > 1 ? $0[1] : nil }).flatMap({ LSN($0) })
    else {
      throw StreamerError(
        what: "source \(name)", why: "the server did not say where the new slot stands",
        exit: .preflight)
    }
    log.info("created a slot", ["slot": source.replicationSlot, "lsn": "\(point)"])
    return point
  }

  private func check(_ slot: ReplicationSlot, database: String) throws(StreamerError) -> LSN {
    if let refusal = SlotRefusal(of: slot, database: database) {
      throw StreamerError(
        what: "source \(name)", why: "slot \"\(slot.name)\" \(refusal.why)",
        hint: refusal.hint, exit: refusal.isTemporary ? .failure : .preflight,
        retryable: refusal.isTemporary,
        cause: refusal.isTemporary && awaitsFailover(inRecovery: true) ? .failover : .other)
    }
    if let pid = slot.activePID {
      throw StreamerError(
        what: "source \(name)", why: "slot \"\(slot.name)\" is active for pid \(pid)",
        hint: "Waiting as a standby until it is free.", retryable: true, cause: .slotActive)
    }
    if slot.health == .atRisk {
      log.warning(
        "the slot lags so far that the server may invalidate it",
        ["slot": slot.name, "status": slot.walStatus ?? ""])
    }
    return slot.confirmedFlushLSN ?? .zero
  }

  /// A slot that was made without `failover` gets it; one that has it keeps it.
  private func alterFailover(
    of slot: ReplicationSlot, _ replication: inout Connection, _ version: Int
  ) throws(StreamerError) {
    guard source.failover, slot.isFailover != true else { return }
    let command = try mapped { () throws(PGError) in
      try ReplicationCommand.alterSlot(slot.name, failover: true, serverVersion: version)
    }
    try checkGoingOn()
    _ = try ask(&replication, command)
    log.info("made the slot a failover slot", ["slot": slot.name])
  }
}
