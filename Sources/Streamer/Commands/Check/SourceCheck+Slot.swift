import PGWire

extension SourceCheck {
  /// Examines the slot and whether the stored positions go on where it stands.
  func examineSlot(
    _ connection: inout Connection, _ system: SystemIdentification?, database: String,
    _ report: inout CheckReport
  ) throws(PGError) {
    let sql = ReplicationSlot.query(
      name: source.replicationSlot, serverVersion: connection.serverVersion.number)
    let rows = try ask(&connection, sql)
    guard let slot = rows.lazy.compactMap(ReplicationSlot.init(row:)).first else {
      return report.add(missingSlot)
    }
    if let refusal = SlotRefusal(of: slot, database: database) {
      return report.add(
        .init("slot", target, .fail, "\"\(slot.name)\" \(refusal.why)", refusal.hint))
    }
    report.add(state(of: slot))
    guard let system, !stored.isEmpty else { return }
    report.add(position(slot, system, database: database))
  }

  private var missingSlot: CheckFinding {
    let lost = !stored.isEmpty && !source.temporary
    let found = "\"\(source.replicationSlot)\" does not exist"
    if lost, source.onGap == .stop {
      return CheckFinding(
        "slot", target, .fail, "\(found) although a position is stored: changes may be missing",
        "`run --accept-gap NAME` creates it anew, once, and goes on from now.")
    }
    guard source.createSlot else {
      return CheckFinding(
        "slot", target, .fail, found, "Create it, or set createSlot = true.")
    }
    return CheckFinding("slot", target, lost ? .warn : .ok, "\(found); it will be created")
  }

  private func state(of slot: ReplicationSlot) -> CheckFinding {
    let held = slot.walHeld.map { "; holds \(ByteSize(Int(clamping: $0)).rounded) of WAL" } ?? ""
    let safe = slot.safeWALSize.map {
      ", \(ByteSize(Int(clamping: max($0, 0))).rounded) more are safe"
    }
    let status = slot.walStatus.map { " (\($0)\(safe ?? ""))" } ?? ""
    let found =
      "\"\(slot.name)\" confirmed up to \(slot.confirmedFlushLSN ?? .zero)\(held)\(status)"
    if let pid = slot.activePID {
      return CheckFinding(
        "slot", target, .warn, "\(found); in use by pid \(pid)",
        "A second instance waits as a standby until it is free.")
    }
    if slot.health == .atRisk {
      return CheckFinding(
        "slot", target, .warn, found,
        "It lags: read it soon, or raise max_slot_wal_keep_size before it is invalidated.")
    }
    return CheckFinding("slot", target, .ok, found)
  }

  /// Decides as `run` would where reading begins, but for a change of the timeline, which only the
  /// server's history explains.
  private func position(
    _ slot: ReplicationSlot, _ system: SystemIdentification, database: String
  ) -> CheckFinding {
    let identity = PositionIdentity(
      source: name, systemIdentifier: system.systemIdentifier, timeline: system.timeline,
      database: database, slot: slot.name, publications: [source.publication])
    let confirmed = slot.confirmedFlushLSN ?? .zero
    let comparable = stored.filter { $0.timeline == system.timeline }
    guard comparable.count == stored.count else {
      return CheckFinding(
        "position", target, .warn, "stored on another timeline than \(system.timeline)",
        "`run` compares it with the server's history.")
    }
    let start = StartingPositions(
      known: comparable, identity: identity, slot: .at(confirmed),
      serverLSN: max(system.flushLSN, confirmed), onGap: source.onGap)
    do throws(StreamerError) {
      let decision = try start.decide(sinks: sinks)
      if let cause = decision.acceptedGap {
        return CheckFinding(
          "position", target, .warn, "changes may be missing: \(cause)",
          "onGap = \"accept\" goes on all the same.")
      }
      var least = confirmed
      if case .positions(let positions) = decision.start { least = positions.min() ?? confirmed }
      return CheckFinding("position", target, .ok, "reading begins at \(least)")
    } catch { return CheckFinding("position", target, .fail, error.why, error.hint) }
  }
}
